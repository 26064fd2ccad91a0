"""What a link does: looks at the incident, writes the action to the log once, remembers it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any

from msgspec import Struct, structs

from alerts.codec import incident_of
from alerts.incident import Act, Via, incident_key
from alerts.links import Claim, doer
from alerts.next_told import is_tier_left
from alerts.plain_text import TextFault, comment_text, one_line
from alerts.routing.policy import RoutingPolicy
from floorwatch.replay.task_look import TaskLook
from floorwatch.web.details_page import details_page
from floorwatch.web.link_pages import END_NOW, SPANS, about, page_of, unavailable
from floorwatch.web.links_store import LinkAct, LinksStore, StoreAway
from floorwatch.web.note_pages import replaced_page
from floorwatch.web.page import Page
from floorwatch.web.tasks_page import seen_from_ms, tasks_of, tasks_page
from floorwatch.web.told_together import (
    MOST_TOGETHER,
    TOGETHER,
    MessageIncident,
    is_left,
    notice_of,
    told_by,
    with_others,
)
from streams.core.formatting import UTC_ZONE
from streams.core.records import CONTENT_ERRORS

_log = logging.getLogger(__name__)

MOST_NAME = 80
_WAY: dict[Via, str] = {"link": "link", "slack": "button in Slack", "cli": "command", "api": "request"}


class NotWritten(Exception):
    """The log did not take an action. Operator: see the reason.

    Attributes:
        unsure: It may be on the log all the same: the broker did not answer in time.
    """

    def __init__(self, reason: str, *, unsure: bool = False) -> None:
        super().__init__(reason)
        self.unsure = unsure


LookAtTasks = Callable[[tuple[str, ...], int], Awaitable[TaskLook | None]]
"""From ids of tasks and a time (Unix ms) to what the log says of them since; None where it does not answer."""

Append = Callable[[Act], Awaitable[str]]
"""Writes an action to the log, and returns the place on the log in words. Raises NotWritten."""


class Given(Struct, frozen=True):
    """What a person filled in.

    Attributes:
        name: Who it is; empty where they did not say.
        span: The chosen length of a silence; empty for all else.
        note: A comment; empty for all else.
        every: Whether it is for all incidents of the message.
    """

    name: str = ""
    span: str = ""
    note: str = ""
    every: bool = False


class BadForm(Exception):
    """A field of the form holds what it may not. The message says which and what it may."""


class LinkActions:
    """Follows links that are good."""

    def __init__(
        self,
        store: LinksStore,
        append: Append,
        clock_ms: Callable[[], int],
        zone_of: Callable[[str], str] = lambda _receiver: UTC_ZONE,
        policy: RoutingPolicy | None = None,
        look: LookAtTasks | None = None,
        task_url: str = "",
    ) -> None:
        """Act by a store and a log.

        Args:
            store: Incidents, and what links have done.
            append: Writes to the log.
            clock_ms: Wall time.
            zone_of: IANA name of a receiver's zone.
            policy: Says who is told next; None: the page of details does not say it.
            look: Looks at tasks on the log; None: their ids are shown alone.
            task_url: Where the tool shows a task, with ``{task}`` in place of its id; empty: nowhere.
        """
        self._policy, self._look_at, self._task_url = policy, look, task_url
        self._store, self._append, self._clock_ms, self._zone_of = store, append, clock_ms, zone_of

    async def show(self, claim: Claim) -> Page:
        """Return the page of a link. Nothing is changed by it, however often it is asked for."""
        page = await self.shown(claim, name_of(claim))
        try:
            told = await self._told(claim)
        except StoreAway:
            return page
        return with_others(page, claim, told, self._clock_ms(), self._zone_of(claim.receiver))

    async def act(self, claim: Claim, given: Given) -> Page | None:
        """Do what the link is for.

        Returns:
            None once it is on the log, or was before: ``show`` says so. A page where it cannot be done.

        Raises:
            BadForm: A field is wrong. Nothing was done.
        """
        now_ms = self._clock_ms()
        wanted = _wanted(claim, given, now_ms)
        if not given.every or claim.purpose not in TOGETHER:
            return await self.do(claim, wanted, name_of(claim), "link")
        try:
            left = [one for one in await self._told(claim) if is_left(claim, one, now_ms)]
        except StoreAway as error:
            return unavailable(claim, str(error))
        for one in left:
            each = structs.replace(claim, incident=one.record["key"])
            page = await self.do(each, wanted, name_of(each), "link")
            if page is not None and page.status != 200:
                return page
        return None

    async def do(self, claim: Claim, wanted: LinkAct, name: str, via: Via) -> Page | None:
        """Write an action to the log, once.

        Args:
            claim: What it is about.
            wanted: The action.
            name: Under which it is remembered that it was done.
            via: The way it came.

        Returns:
            None once it is on the log, or was before. A page where it cannot be done.
        """
        try:
            record, done = await self._look(claim, name)
            if (later := await self._later(claim, record)) is not None:
                return replaced_page(about(claim, later, self._zone_of(claim.receiver)), later)
            zone, left = self._zone_of(claim.receiver), self._tier_left(claim, record)
            page = page_of(claim, record, done, self._clock_ms(), zone, tier_left=left)
            if record is None or not page.button:
                return page if page.status != 200 else None  # nothing to do, or it is done: the page says so
            if wanted.note and done is not None and (done.note, done.by) == (wanted.note, wanted.by):
                return None  # pressed twice
            if done is not None and structs.replace(done, state=wanted.state) == wanted:
                return None  # the same action once more
            if not await self._store.begin(name, wanted, over=done):
                return None  # another request of the same link was faster
            return await self._write(claim, name, wanted, done, via)
        except StoreAway as error:
            return unavailable(claim, str(error))

    async def shown(self, claim: Claim, name: str) -> Page:
        """Return what is so now of a claim, done under a name. Nothing is changed by it."""
        try:
            record, done = await self._look(claim, name)
            later = await self._later(claim, record)
        except StoreAway as error:
            return unavailable(claim, str(error))
        zone, now_ms = self._zone_of(claim.receiver), self._clock_ms()
        if later is not None:
            return replaced_page(about(claim, later, zone), later)
        if claim.purpose == "details" and record is not None:
            behind = await self._store.behind(record)
            return details_page(about(claim, record, zone), record, behind, self._policy, now_ms, zone)
        if claim.purpose == "tasks" and record is not None:
            seen = await self._seen(record)
            return tasks_page(about(claim, record, zone), record, seen, self._task_url, zone)
        return page_of(claim, record, done, now_ms, zone, tier_left=self._tier_left(claim, record))

    def _tier_left(self, claim: Claim, record: dict[str, Any] | None) -> bool:
        """Tell whether an escalation would find somebody to tell; True also where that is not known here."""
        if claim.purpose != "escalate" or record is None or self._policy is None:
            return True
        try:
            return is_tier_left(self._policy, incident_of(record))
        except CONTENT_ERRORS:
            return True

    async def _told(self, claim: Claim) -> list[MessageIncident]:
        """Return the incidents that the message of a link told its receiver of, its own among them. Raises StoreAway."""
        if claim.purpose not in TOGETHER:
            return []
        record = await self._store.incident(claim.incident)
        notice = "" if record is None else notice_of(claim, record)
        if record is None or not told_by(record, notice, claim.receiver):
            return []
        records = await self._store.told_of(notice, MOST_TOGETHER)
        keys = [structs.replace(claim, incident=one["key"]) for one in records]
        return [
            MessageIncident(one, await self._store.act(name_of(key)))
            for one, key in zip(records, keys, strict=True)
            if told_by(one, notice, claim.receiver)
        ]

    async def _later(self, claim: Claim, record: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the incident that has taken the place of one that a link comments on; None: it is the last of its rule and scope."""
        if claim.purpose != "comment" or record is None or record["state"] != "resolved":
            return None
        return await self._store.incident(incident_key(record["rule"], record["scope_key"], record["episode"] + 1))

    async def _seen(self, record: dict[str, Any]) -> TaskLook | None:
        """Return what the log says of the tasks behind an incident; None where it cannot be asked."""
        tasks, since_ms = tasks_of(record), seen_from_ms(record)
        return await self._look_at(tasks, since_ms) if self._look_at is not None and tasks else None

    async def _write(self, claim: Claim, name: str, wanted: LinkAct, before: LinkAct | None, via: Via) -> Page | None:
        act = Act(
            what=wanted.what,  # type: ignore[arg-type]
            key=claim.incident,
            by=wanted.by,
            at_ms=wanted.at_ms,
            id=f"{via}:{name}:{wanted.at_ms}",
            note=wanted.note,
            until_ms=wanted.until_ms,
            via=via,
            notice=claim.notice[:200],
        )
        try:
            place = await self._append(act)
        except NotWritten as error:
            _log.warning("%s of %s not written: %s", wanted.what, claim.incident[:12], error)
            if not error.unsure:
                await self._store.undo(name, before)
            return unavailable(claim, str(error), unsure=error.unsure)
        except asyncio.CancelledError:
            _log.warning("%s of %s: the request ended before the broker answered", wanted.what, claim.incident[:12])
            raise
        _log.info("%s of %s by a %s of %s: %s", wanted.what, claim.incident[:12], _WAY[via], claim.receiver, place)
        await self._store.written(name, structs.replace(wanted, state="written"))
        return None

    async def _look(self, claim: Claim, name: str) -> tuple[dict[str, Any] | None, LinkAct | None]:
        if claim.purpose == "check":
            return None, None
        return await self._store.incident(claim.incident), await self._store.act(name)


def name_of(claim: Claim) -> str:
    """Return under which name it is remembered what was done.

    An acknowledgement counts once for each link, which may comment and escalate again. Of silences and of a receiver's marks the last
    one counts, whichever link it came by.
    """
    match claim.purpose:
        case "silence":
            parts: tuple[str, ...] = ("silence", claim.incident)
        case "useful" | "not_useful":
            parts = ("mark", claim.incident, claim.receiver)
        case _:
            parts = (claim.purpose, claim.incident, claim.notice, claim.receiver)
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def _wanted(claim: Claim, given: Given, now_ms: int) -> LinkAct:
    name = _text("your name", given.name, lambda text: one_line(text, MOST_NAME))
    until_ms = None
    if claim.purpose == "silence":
        if given.span not in SPANS and (given.span != END_NOW or given.every):
            raise BadForm("how long: choose one of the times on the page")
        until_ms = now_ms if given.span == END_NOW else now_ms + 1000 * SPANS[given.span]
    note = _text("the comment", given.note, comment_text) if claim.purpose == "comment" else ""
    return LinkAct(claim.purpose, doer(claim.receiver, name)[:200], now_ms, until_ms, note=note)


def _text(field: str, text: str, check: Callable[[str], str]) -> str:
    try:
        return check(text)
    except TextFault as fault:
        raise BadForm(f"{field}: {fault}") from None
