"""The incident: the life of one alert on one scope, its inputs and its effects."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from alerts.signals import Contributor, Severity

State = Literal["pending", "quiet", "open", "acknowledged", "escalated", "resolved"]
"""``quiet``: it was pending and ended before it opened. It is never shown, and kept so that a replay is recognised."""

HIDDEN: frozenset[str] = frozenset(("pending", "quiet"))
"""States that are written to the log for the next owner and not shown to people."""

PENDING = "incidents-pending"
"""Name of the Redis hash of pending incidents, by key; those that people see are in ``incidents``."""

LIVE: frozenset[str] = frozenset(("open", "acknowledged", "escalated"))


Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
Note = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]

Comment = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*\Z")]
"""Text of a person, of several lines where they like."""
Reference = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
"""A URL, an incident's key or a name of the configuration."""

Via = Literal["cli", "link", "slack", "api"]
"""The way that an action came: command line, signed link of a message, button in Slack, HTTP API."""

ActKind = Literal[
    "ack", "silence", "comment", "owner", "link", "snooze", "merge", "unmerge", "useful", "not_useful", "escalate"
]
"""What a person does about an incident. ``useful`` and ``not_useful`` judge the alert, not the incident."""

MOST_CALENDAR = 512 * 1024
"""Characters of an iCalendar text on the log."""


class Stamp(Struct, frozen=True, order=True):
    """Place of an input in its log."""

    partition: int
    offset: int


class OperatorAction(Struct, frozen=True):
    """What somebody did about an incident, as its ``Act`` said: who, when (wall time), the comment or why, by which way."""

    what: ActKind
    by: str
    at_ms: int
    note: str = ""
    until_ms: int | None = None
    target: str = ""
    via: Via = "cli"
    id: str = ""


class Snooze(Struct, frozen=True):
    """Somebody wants to hear no more of an incident for a while, unless it becomes worse.

    Attributes:
        until_ms: Wall time at which it ends.
        severity: Of the incident when it was snoozed.
        gap: Its value minus its target then; None without a value.
    """

    until_ms: int
    severity: Severity
    gap: float | None


class Flapping(Struct, frozen=True):
    """An incident that resolves and reopens too often: it is told once, and then nothing until it has been steady.

    Attributes:
        number: Which reopening made it flapping.
        steady_ms: For how long (event time) it must stay open, or over.
    """

    number: int
    steady_ms: int


class Incident(Struct, frozen=True):
    """One alert's life. Times are int ms; ``at`` of signals is event time (watermark), of ticks and acks wall time.

    ``streak`` counts consecutive evaluations that point away from the present state. ``announced`` says that people
    were told of the present firing; it stays False while something holds every message back. ``timer_ms`` is the wall time
    at which people were told, from which escalation counts; None before. ``acts`` are the
    last ``ACTIONS_KEPT``, oldest first. ``figures`` are those of the last signal. ``board_url`` is empty where no
    board is configured, ``runbook_url`` then a path in the repository.

    ``told_people`` says who was told what, oldest first; a step ``resolved-…`` ends what its receiver was told. ``groups`` are
    those that have told of the present firing. ``held`` says who was not told, and why. ``told`` is of version 2: routes.

    ``owner`` works on it, ``links`` are addresses that people gave. ``merged_into`` is the key of the incident that speaks for it
    while that one is live. ``woken_ms`` is the wall time at which a snooze ended: who was told before is told again. ``asked_tier``
    is the tier of escalation that somebody asked for; 0: none. ``reopened_at_ms`` are its last reopenings, as many as make it
    ``flapping``.
    """

    key: str
    rule: str
    kind: str
    severity: Severity
    scope: dict[str, str]
    scope_key: str
    episode: int
    state: State
    evidence: str
    value: float | None
    target: float
    window: str
    since_ms: int
    updated_ms: int
    opened_ms: int | None = None
    resolved_ms: int | None = None
    reopened: int = 0
    tier: int = 0
    told: tuple[str, ...] = ()
    streak: int = 0
    announced: bool = False
    timer_ms: int | None = None
    acknowledged_by: str | None = None
    silenced_until_ms: int | None = None
    acts: tuple[OperatorAction, ...] = ()
    contributors: tuple[Contributor, ...] = ()
    examples: tuple[str, ...] = ()
    board_url: str = ""
    runbook_url: str = ""
    stamp: Stamp | None = None
    figures: dict[str, float] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    told_people: tuple[ToldReceiver, ...] = ()
    held: tuple[Hold, ...] = ()
    owner: str | None = None
    links: tuple[str, ...] = ()
    merged_into: str | None = None
    snooze: Snooze | None = None
    woken_ms: int | None = None
    asked_tier: int = 0
    reopened_at_ms: tuple[int, ...] = ()
    flapping: Flapping | None = None

    @property
    def live(self) -> bool:
        """Whether people should see it as live."""
        return self.state in LIVE

    @property
    def pending(self) -> bool:
        """Whether its rule has fired in its last evaluation, and not yet as often in a row as it takes to open (again)."""
        return self.state == "pending" or (self.state == "resolved" and self.streak > 0)


class Ack(Struct, frozen=True, tag="ack"):
    """A person takes the incident, or takes it over; it stops escalating."""

    key: str
    by: Name
    at_ms: int
    note: Note = ""


class Silence(Struct, frozen=True, tag="silence"):
    """No messages about the incident until ``until_ms`` (wall time). The last silence counts, so it can be shortened."""

    key: str
    by: Name
    at_ms: int
    until_ms: int
    note: Note = ""


class Tick(Struct, frozen=True, tag="tick"):
    """Time passed: wall time ``at_ms``; ``watermark_ms`` is the watermark of the last known evaluation of the rules.

    ``rebuild``: the outbox was found empty or another, so it is to be filled from the log, with all receipts before this tick.

    Ticks are records of the log like signals and actions, so a replay escalates at the same points.
    """

    at_ms: int
    watermark_ms: int | None = None
    rebuild: bool = False


class Act(Struct, frozen=True, tag="act"):
    """What a person does about an incident, whatever the way. ``Ack`` and ``Silence`` are the older form of two of these.

    Attributes:
        what: The action.
        key: Key of the incident.
        by: Who: a name, or ``link of CHANNEL`` where the reader of a channel is not known.
        at_ms: Wall time.
        id: The same for each repetition of one action, so that it counts once; empty: it is not repeated.
        note: The comment, or why.
        until_ms: Wall time at which a silence or snooze ends.
        target: Of ``owner`` who, of ``link`` the URL, of ``merge`` the key of the incident it goes into; else empty.
        via: The way it came.
        notice: Id of the notice whose link was followed; empty where there is none.
    """

    what: ActKind
    key: str
    by: Name
    at_ms: int
    id: Note = ""
    note: Comment = ""
    until_ms: int | None = None
    target: Reference = ""
    via: Via = "cli"
    notice: Note = ""


Outcome = Literal["sent", "failing", "given_up", "gone"]
"""What became of a notice on a channel."""


class Receipt(Struct, frozen=True, tag="receipt"):
    """What became of a notice on one channel.

    Attributes:
        notice: Id of the notice.
        group: Id of its group.
        channel: Name of the channel.
        outcome: ``sent``: the receiver has it. ``failing``: it is tried again. ``given_up``: it is not tried any more. ``gone``: there
            is no such channel any more.
        at_ms: Wall time.
        reason: Why, without secrets; empty for ``sent``.
        ref: What the receiver calls the message, to update it later (Slack: ``channel/ts``); empty where it has no name.
        instead: Channels that get it in place of this one.
    """

    notice: str
    group: str
    channel: str
    outcome: Outcome
    at_ms: int
    reason: str = ""
    ref: str = ""
    instead: tuple[str, ...] = ()


class Override(Struct, frozen=True, tag="override"):
    """A person takes a schedule from ``from_ms`` to ``to_ms`` (wall time, end excluded). The last of an ``id`` counts."""

    id: Name
    schedule: Name
    person: Name
    from_ms: int
    to_ms: int
    by: Name
    at_ms: int
    removed: bool = False


class Maintenance(Struct, frozen=True, tag="maintenance"):
    """Nobody is told of what ``match`` fits from ``from_ms`` to ``to_ms`` (wall time, end excluded). The last of an ``id`` counts.

    ``match`` are matchers as in the configuration (``site=kul``), all of which must fit.
    """

    id: Name
    match: tuple[Reference, ...]
    from_ms: int
    to_ms: int
    by: Name
    at_ms: int
    note: Note = ""
    removed: bool = False


class Calendar(Struct, frozen=True, tag="calendar"):
    """The iCalendar text of a calendar or schedule of the configuration, as it was read at ``at_ms`` (wall time).

    ``sha`` is the SHA-256 of ``text`` in hex. It is written when the text has changed; the last of a ``name`` counts.
    """

    name: Name
    sha: str
    text: Annotated[str, Meta(max_length=MOST_CALENDAR)]
    at_ms: int


class ToldReceiver(Struct, frozen=True):
    """Who was told of an incident.

    Attributes:
        receiver: ``person:mei``, ``channel:ops`` or ``schedule:kul-lead``, the last where nobody was on duty.
        channels: Names of the channels used.
        notice: Id of the notice.
        step: Of the incident: ``open``, ``reopened-1``, ``escalated-0-2``, ``reminder-0-1``, ``resolved-0``.
        at_ms: Wall time of the tick that told them.
        why: In words: ``schedule kul-lead, layer 1``.
    """

    receiver: str
    channels: tuple[str, ...]
    notice: str
    step: str
    at_ms: int
    why: str


HoldReason = Literal[
    "inhibited",
    "silenced",
    "snoozed",
    "quiet",
    "muted",
    "maintenance",
    "grouping",
    "digest",
    "flapping",
    "merged",
    "nobody",
]


class Hold(Struct, frozen=True):
    """Why somebody was not told.

    Attributes:
        why: The reason; ``grouping``: its group tells later, ``digest``: once a day, ``nobody``: no receiver could be found.
        by: What holds it: key of the incident that speaks for it, name of the calendar or maintenance window; empty where nothing
            has a name.
        until_ms: Wall time at which it ends; None where only an event ends it.
        receivers: Who is not told.
        after: What maintenance kept them from being told before this did, in words as ``alerts.late.held_words`` has them; empty
            where none did.
    """

    why: HoldReason
    by: str = ""
    until_ms: int | None = None
    receivers: tuple[str, ...] = ()
    after: str = ""


class Notify(Struct, frozen=True, tag="notify"):
    """A message to people, as data.

    Attributes:
        id: The same message always has the same one.
        step: Step of its incidents, ``changed`` where they differ.
        route: Route that tells.
        incident: The first of them.
        also: Further routes, of version 2.
        channels: Those that get it; empty: those of the routes.
        first_step: Step of the first, where the steps differ.
        members: Further incidents with the step of each.
        counts: How many incidents it is about, shown or not, by kind: ``KIND/again`` of reminders, ``KIND/over`` of those that are
            over; empty: this one.
    """

    id: str
    step: str
    route: str
    incident: Incident
    also: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    first_step: str = ""
    members: tuple[tuple[Incident, str], ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


def incident_key(rule: str, scope_key: str, episode: int) -> str:
    """Stable key of one episode of a rule on a scope: 32 hex digits (blake2b-128)."""
    # A unit separator keeps ("a", "b=1") apart from ("ab", "=1"); neither part can hold a control character.
    return blake2b(f"{rule}\x1f{scope_key}\x1f{episode}".encode(), digest_size=16).hexdigest()
