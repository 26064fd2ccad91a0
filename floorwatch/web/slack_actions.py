"""What a button in Slack does: the action goes to the log, and Slack is told what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any

import aiohttp
import msgspec

from alerts.channels.slack_blocks import SILENCE_MS, escaped, plain, said_blocks
from alerts.channels.slack_press import Press
from alerts.links import Claim
from floorwatch.web.link_actions import LinkActions
from floorwatch.web.links_store import LinkAct
from floorwatch.web.page import Page
from streams.core.formatting import instant, plural

_log = logging.getLogger(__name__)

WAIT_S = 2.0
"""How long Slack waits for the action; it gives up after 3 s. What takes longer goes on, and Slack is told then."""

_REPLY_S = 5.0
_MOST_TEXT = 2_900

Reply = Callable[[str, dict[str, Any]], Awaitable[None]]
"""Posts an answer to an address of Slack's. Never raises: the action counts without it."""


class SlackActions:
    """Does what is pressed."""

    def __init__(
        self, actions: LinkActions, reply: Reply, zone_of: Callable[[str], str], wait_s: float = WAIT_S
    ) -> None:
        """Act as links do.

        Args:
            actions: Writes actions to the log.
            reply: Tells Slack.
            zone_of: IANA name of a channel's zone.
            wait_s: How long to wait for the log before Slack is answered.
        """
        self._actions, self._reply, self._zone_of, self._wait_s = actions, reply, zone_of, wait_s
        self._under_way: set[asyncio.Task[None]] = set()

    async def pressed(self, press: Press) -> None:
        """Begin what a button does; return when it is done, or goes on by itself."""
        task = asyncio.create_task(self._do(press))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait({task}, timeout=self._wait_s)

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_REPLY_S)

    async def _do(self, press: Press) -> None:
        try:
            refused = [page for key in press.keys if (page := await self._one(press, key)) is not None]
        except Exception as error:  # noqa: BLE001 - the boundary of the task: the person hears of it in Slack
            _log.error("a button of Slack failed: %s", type(error).__name__)
            refused = [Page("Something went wrong", "sorry", ("Press it again in a minute.",), status=500)]
        done = len(press.keys) - len(refused)
        if press.reply_url:
            for body in answers(press, done, refused, self._zone_of(press.channel)):
                await self._reply(press.reply_url, body)

    async def _one(self, press: Press, key: str) -> Page | None:
        """Do it to one incident; return why it was not done, or None."""
        claim = Claim(press.what, key, press.notice, press.channel, 0)
        until_ms = press.at_ms + SILENCE_MS if press.what == "silence" else None
        wanted = LinkAct(press.what, press.name, press.at_ms, until_ms)
        name = name_of(press, key)
        page = await self._actions.do(claim, wanted, name, "slack")
        if page is not None:
            return page
        shown = await self._actions.shown(claim, name)
        # An incident that is over needs nothing; a message of another button's, such as an end of a silence, is no refusal.
        return shown if shown.title == "This incident is over" else None


def name_of(press: Press, key: str) -> str:
    """Return under which name it is remembered what was done: by whom, and of a silence that it is one of this incident."""
    parts = ("silence", key) if press.what == "silence" else (_question(press.what), key, "slack", press.user)
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def answers(press: Press, done: int, refused: list[Page], zone: str) -> list[dict[str, Any]]:
    """Return what Slack is told, as bodies for the address that came with the button.

    An acknowledgement or silence is shown in the message, to all. A mark, and what could not be done, only the person sees.

    Args:
        press: What was pressed.
        done: How many incidents it was done to.
        refused: What to say of each other one.
        zone: IANA name of the zone of the channel's readers.
    """
    said: list[dict[str, Any]] = []
    if done:
        of = "" if len(press.keys) == 1 else f" ({plural(done, 'incident')})"
        at = instant(press.at_ms, zone=zone)
        match press.what:
            case "ack":
                said.append(_in_message(press, f"{press.name} has it{of}, {at}.", ("ack",)))
            case "silence":
                until = instant(press.at_ms + SILENCE_MS, zone=zone)
                said.append(_in_message(press, f"{press.name} silenced it{of} until {until}.", ()))
            case _:
                words = "useful" if press.what == "useful" else "not useful"
                said.append(
                    _only_to_them(f"Marked as {words}{of}. Thank you: it counts in how often this rule is right.")
                )
    texts = list(dict.fromkeys(f"{page.title}. {' '.join(page.lines)}" for page in refused))
    return said + [_only_to_them(text) for text in texts[:3]]


def _in_message(press: Press, line: str, without: tuple[str, ...]) -> dict[str, Any]:
    if not press.blocks:
        return _only_to_them(line)
    blocks = said_blocks(press.blocks, press.what, line, without)
    return {"replace_original": True, "text": press.text, "blocks": blocks}


def _only_to_them(text: str) -> dict[str, Any]:
    block = {"type": "section", "text": plain(text, _MOST_TEXT)}
    return {"response_type": "ephemeral", "replace_original": False, "text": escaped(text), "blocks": [block]}


def _question(what: str) -> str:
    return "mark" if what in ("useful", "not_useful") else what


class SlackReplies:
    """Posts answers to Slack."""

    def __init__(self) -> None:
        """No connection is made."""
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str, body: dict[str, Any]) -> None:
        """Post an answer; what goes wrong is logged, without the address, which is a secret."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_REPLY_S)
            self._session = aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": "floorwatch"})
        headers = {"Content-Type": "application/json; charset=utf-8"}
        try:
            async with self._session.post(
                url, data=msgspec.json.encode(body), headers=headers, allow_redirects=False
            ) as answer:
                if answer.status >= 300:
                    _log.warning("Slack did not take the answer to a button: %d", answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            _log.warning("Slack did not take the answer to a button: %s", type(error).__name__)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
