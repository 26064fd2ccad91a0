"""Which sources a configuration knows by name, and which names of ``sampling.sources`` can be none of them."""

from __future__ import annotations

import json

from config.base import SettingsFault
from config.kafka import KafkaSettings
from config.nearest import nearest
from config.sampling import SamplingSettings
from gateway.settings import GatewaySettings, SourceSettings
from streams.models.events import STAMPS


def sampling_faults(sampling: SamplingSettings, gateway: GatewaySettings, kafka: KafkaSettings) -> list[SettingsFault]:
    """Return which names of ``sampling.sources`` no event can have that a sender of the configuration sends.

    A name is at fault where it is that of a gateway source whose events have another ``source``, or where every sender's ``source`` is
    bound and none of them fits.
    """
    known, closed = _known(gateway, kafka)
    found = []
    for name in sampling.sources:
        if any(_fit(name, one) for one in known):
            continue
        sender = gateway.sources.get(name.rstrip("*/"))
        own = [] if sender is None else _sources_of(name.rstrip("*/"), sender)
        place, reads = ("sampling", "sources", name), (("gateway", "sources"), ("kafka",))
        if own:
            reason = f"{_quoted(name)} is a name in gateway.sources; its events have another source"
            found.append(SettingsFault(place, reason, f"write {' or '.join(map(_quoted, own))}", reads))
        elif closed:
            reason = f"no sender may send events of source {_quoted(name)}"
            found.append(SettingsFault(place, reason, nearest(name, known), reads))
    return found


def sampling_warnings(sampling: SamplingSettings, gateway: GatewaySettings, kafka: KafkaSettings) -> list[str]:
    """Return which names of ``sampling.sources`` look like a known source and are none, as sentences."""
    known, closed = _known(gateway, kafka)
    found = [
        f"sampling.sources: {_quoted(name)} is a word that Floorwatch writes into sampling.source of audits; the names here are the "
        "`source` of the events, such as label-studio/kul"
        for name in sampling.sources
        if name in STAMPS and not any(_fit(name, one) for one in known)
    ]
    for name in sampling.sources:
        meant = "" if closed or any(_fit(name, one) for one in known) else nearest(name, known, "")
        if meant:
            found.append(f"sampling.sources: no known sender has events of source {_quoted(name)}; {meant}")
    return found


def _known(gateway: GatewaySettings, kafka: KafkaSettings) -> tuple[list[str], bool]:
    """Return the sources of events that the configuration names, and whether there can be no others."""
    by_sender = [_sources_of(name, source) for name, source in gateway.sources.items()]
    entries = kafka.bound_topics().values()
    by_topic = [[f"{beginning}*" for beginning in entry.event_sources] for entry in entries if entry.may != ()]
    open_topics = len(kafka.intake_topics) > len(kafka.bound_topics())
    closed = bool(by_sender) and all(by_sender) and all(by_topic) and not open_topics
    known = [one for names in (*by_sender, *by_topic) for one in names]
    return [*known, f"label-studio/{gateway.label_studio.source}"], closed


def _sources_of(name: str, source: SourceSettings) -> list[str]:
    """Return the CloudEvents sources of a sender; none where it may use any."""
    if source.tool is not None:
        return [f"{source.tool}/{name}"]
    return [f"{beginning}*" for beginning in source.event_sources]


def _fit(one: str, other: str) -> bool:
    """Tell whether two names, each perhaps a beginning with ``*``, can be of the same source."""
    a, b = one.removesuffix("*"), other.removesuffix("*")
    if one == a and other == b:
        return a == b
    if one == a:
        return a.startswith(b)
    return b.startswith(a) if other == b else a.startswith(b) or b.startswith(a)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
