"""Which messages of Slack tell of which incidents, by the receipts on the log: for a Redis that has lost it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from alerts.channels.slack_posts import Post
from alerts.incident import Incident
from alerts.outgoing import MOST_SHOWN
from alerts.receipts import NoticeReceipts


def posts_of(
    incidents: Iterable[Incident], receipts: Callable[[str], NoticeReceipts | None]
) -> dict[tuple[str, str], Post]:
    """Return by channel and incident the message that told of it first, as far as receipts name one.

    Later steps change that message or reply to it, and their receipts may name the reply. What the message shows is not known any
    more, so the next step changes it whatever it is.

    Args:
        incidents: All that is known of incidents.
        receipts: What became of a notice; None where it is not known any more.
    """
    known = list(incidents)
    members: dict[str, set[str]] = defaultdict(set)
    for incident in known:
        for told in incident.told_people:
            members[told.notice].add(incident.key)
    found: dict[tuple[str, str], Post] = {}
    for incident in known:
        for told in incident.told_people:
            state = receipts(told.notice)
            refs = {} if state is None else {one.channel: one.ref for one in state.receipts if one.outcome == "sent"}
            for channel in told.channels:
                where, _, ts = refs.get(channel, "").partition("/")
                if where and ts and (channel, incident.key) not in found:
                    keys = tuple(sorted(members[told.notice]))
                    named = keys if len(keys) <= MOST_SHOWN else ()
                    found[channel, incident.key] = Post(where, ts, named, {})
    return found
