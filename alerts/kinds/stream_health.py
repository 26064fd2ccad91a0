"""Kinds of incidents about the stream itself. No rule over tables raises them; ``alerts/health`` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from alerts.incident import Incident
from alerts.kinds.words import Phrase, count, figure, phrase
from alerts.signals import Severity
from streams.core.formatting import duration, plural


class StreamKind(Struct, frozen=True):
    """A kind of incident about the stream.

    Attributes:
        name: What ``kind`` of the incident is; also the name of the runbook.
        headline: What is wrong, in the list of incidents.
        say: An incident's number in words.
        fires: When it fires, in a sentence.
        severity: Of its incidents.
        figures: Further numbers by name, with what each counts.
    """

    name: str
    headline: str
    say: Callable[[Incident], Phrase]
    fires: str
    severity: Severity = "page"
    figures: Mapping[str, str] = field(default_factory=dict)

    @property
    def rule(self) -> str:
        """What ``rule`` of its incidents is; no rule of the configuration may have this name."""
        return self.name.replace("_", "-")


def _lasting(incident: Incident, broken: str, well: str, extra: str = "") -> Phrase:
    """Return ``delivers nothing for 14 min (at most 10 min)``; once it is over, only what is well."""
    limit = duration(incident.target)
    if incident.value is None:
        return Phrase("", limit, well, line=incident.evidence)
    number = duration(incident.value)
    return phrase(broken, number, limit, held="at most", extra=extra, line=incident.evidence)


def _stalled(incident: Incident) -> Phrase:
    return _lasting(incident, "no new numbers for", "numbers go on")


def _dead(incident: Incident) -> Phrase:
    broken = "notifier stands still for" if incident.scope else "nobody is told of anything for"
    return _lasting(incident, broken, "messages are delivered")


def _failing(incident: Incident) -> Phrase:
    return _lasting(incident, "delivers nothing for", "delivers again", count(incident, "waiting", "waiting"))


def _silent(incident: Incident) -> Phrase:
    """Return ``silent (usually 40 events a minute)``, or ``silent (at most 15 min)`` where the threshold is set."""
    usual = figure(incident, "usual_per_hour")
    if incident.value is None:
        return Phrase("", "", "sends again", line=incident.evidence)
    if not usual:
        return _lasting(incident, "silent for", "sends again")
    held = f"usually {rate_words(usual)}"
    return Phrase("silent", held, f"silent ({held})", line=incident.evidence)


def _refused(incident: Incident) -> Phrase:
    """Return ``37 requests refused``."""
    times = figure(incident, "refused")
    if incident.value is None or times is None:
        return Phrase("", "", "not refused any more", line=incident.evidence)
    said = plural(times, "request")
    return Phrase(said, "", f"{said} refused", line=incident.evidence)


def rate_words(per_hour: int) -> str:
    """Return a rate of events in words: by the minute, or by the hour where that is less than two.

    Example:
        >>> rate_words(2_400), rate_words(30)
        ('40 events a minute', '30 events an hour')
    """
    return (
        f"{plural(round(per_hour / 60), 'event')} a minute"
        if per_hour >= 120
        else f"{plural(per_hour, 'event')} an hour"
    )


STREAM_KINDS: tuple[StreamKind, ...] = (
    StreamKind(
        "source_silent",
        "Source is silent",
        _silent,
        "A source (CloudEvents `source`) that usually sends has sent nothing for `alerts.health.source_silent_after` and until "
        "20 events are missing; or for what `alerts.health.sources` says of it.",
        severity="warn",
        figures={"usual_per_hour": "events an hour that usually come at this time"},
    ),
    StreamKind(
        "source_refused",
        "Source is refused",
        _refused,
        "The gateways have refused 10 requests or more of a source of `gateway.sources` within half an hour (429 is not counted).",
        severity="warn",
        figures={"refused": "requests refused within half an hour"},
    ),
    StreamKind(
        "watermark_stalled",
        "Numbers stand still",
        _stalled,
        "Rules have not looked for `alerts.health.stalled_after`, or incidents have not taken in what they said.",
    ),
    StreamKind(
        "notifier_dead",
        "Notifier is dead",
        _dead,
        "A part of a worker's notifier, or of all, has done nothing for `alerts.health.notifier_dead_after`.",
    ),
    StreamKind(
        "receiver_failing",
        "Channel delivers nothing",
        _failing,
        "Each attempt on a channel has failed for `alerts.health.receiver_failing_after`. It is told on other channels.",
        figures={"waiting": "notifications that wait for it", "given_up": "notifications given up"},
    ),
)

STREAM_KIND_OF: dict[str, StreamKind] = {kind.name: kind for kind in STREAM_KINDS}
STREAM_RULES: frozenset[str] = frozenset(kind.rule for kind in STREAM_KINDS)
"""Names that no rule of the configuration may have."""
