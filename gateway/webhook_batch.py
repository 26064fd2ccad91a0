"""Translates several webhooks in order, given the tool state. Pure."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.recorded import Record, dead_letter, recorded
from gateway.settings import GatewaySettings
from gateway.sources.base import TranslationContext, Webhook
from gateway.sources.registry import tool_of
from gateway.webhooks import BadWebhook, Remembered, Translation, WebhookProblem
from streams.models.events import AuditCompleted, LabelSubmitted
from streams.models.grants import SenderGrant
from streams.models.sampling_plan import NO_PLAN, NOTHING_KNOWN, SamplingPlan
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PendingWebhook:
    """A webhook that was accepted.

    Attributes:
        number: Ascending in the order of arrival.
        source: CloudEvents source.
        received_ms: When it arrived, Unix milliseconds.
        hook: Distilled body.
        grant: What its sender may do, as it was when the webhook came; None for everything.
    """

    number: int
    source: str
    received_ms: int
    hook: Webhook
    grant: SenderGrant | None = None


@dataclass(frozen=True)
class WebhookOutcome:
    """What became of one webhook.

    Attributes:
        events: How many events it made.
        ignored: Why there are none, where none are expected.
        problems: What could not be translated.
        incomparable: How many of the events are audits without a verdict.
        unmapped: Who and what is not placed, though others of its source are: ``person`` or ``project``, and the id.
    """

    events: int
    ignored: str | None
    problems: tuple[WebhookProblem, ...]
    incomparable: int = 0
    unmapped: tuple[tuple[str, str], ...] = ()


@dataclass
class WebhookBatch:
    """What webhooks mean together.

    Attributes:
        records: To publish, in order.
        dead: Dead letters.
        remember: What to add to the tool state once the events are published.
        outcomes: One a webhook.
    """

    records: list[Record] = field(default_factory=list)
    dead: list[Record] = field(default_factory=list)
    remember: dict[str, Remembered] = field(default_factory=dict)
    outcomes: list[WebhookOutcome] = field(default_factory=list)


def rounds_of(hooks: Sequence[PendingWebhook]) -> int:
    """Return how often ``keys_of`` is asked for these webhooks."""
    return max((tool_of(one.source).lookup_rounds for one in hooks), default=1)


def keys_of(
    hooks: Sequence[PendingWebhook], settings: GatewaySettings, seen: Mapping[str, Remembered] | None = None
) -> list[str]:
    """Return every key of the memory that the webhooks need, given what of it is known so far."""
    found: dict[str, None] = {}
    for one in hooks:
        try:
            found.update(dict.fromkeys(tool_of(one.source).lookups(one.hook, seen or {}, _context(one, settings))))
        except BadWebhook:  # told by translation
            continue
    return list(found)


def translate_all(
    hooks: Sequence[PendingWebhook],
    seen: Mapping[str, Remembered],
    settings: GatewaySettings,
    limits: EventLimits = DEFAULT_LIMITS,
    key: bytes | None = None,
    plan: SamplingPlan = NO_PLAN,
) -> WebhookBatch:
    """Translate webhooks one after the other. Each sees the tool state that the one before it left.

    Args:
        hooks: In order of arrival.
        seen: The tool state under ``keys_of``.
        settings: How webhooks are read.
        limits: How far an event's times may be from its own.
        key: Key with which grants are signed; None without one.
        plan: What is said of audits, about which these tools say nothing.
    """
    batch = WebhookBatch()
    now_seen = dict(seen)
    for one in hooks:
        found = _translate(one, now_seen, settings)
        now_seen.update(found.remember)
        batch.remember.update(found.remember)
        problems = list(found.problems)
        unmapped = _unmapped(one, found, settings)
        published = incomparable = 0
        for event in found.events:
            record, refusals = recorded(event, limits, one.grant, key, plan, found.audited.get(event.id, NOTHING_KNOWN))
            about = {"id": event.id, "subject": event.subject}
            problems += [WebhookProblem(one.code, one.field, one.reason, about, one.hint) for one in refusals]
            if record is not None:
                batch.records.append(record)
                published += 1
                incomparable += isinstance(event, AuditCompleted) and event.data.verdict == "incomparable"
        batch.dead += [dead_letter(problem, one.source, one.received_ms) for problem in problems]
        batch.outcomes.append(WebhookOutcome(published, found.ignored, tuple(problems), incomparable, unmapped))
    return batch


def _translate(one: PendingWebhook, seen: Mapping[str, Remembered], settings: GatewaySettings) -> Translation:
    try:
        return tool_of(one.source).translate(one.hook, seen, _context(one, settings))
    except BadWebhook as fault:
        problem = WebhookProblem(fault.code, fault.field, fault.reason, {"action": one.hook.get("action")})
    except Exception as error:  # noqa: BLE001 - one webhook must not hold up all that come after it
        # Neither the message nor the traceback: both may quote the webhook.
        _log.error("a %r webhook could not be read: %s", one.hook.get("action"), type(error).__name__)
        reason = (
            f"the gateway failed on this webhook ({type(error).__name__}); this is a fault in Floorwatch, report it"
        )
        problem = WebhookProblem("internal_error", None, reason, {"action": one.hook.get("action")})
    return Translation(problems=[problem])


def _unmapped(one: PendingWebhook, found: Translation, settings: GatewaySettings) -> tuple[tuple[str, str], ...]:
    """Return who labelled and has no place, and the project if it has none; nothing where nobody, or no project, is placed."""
    section = settings.tool_settings(one.source)
    told: dict[tuple[str, str], None] = {}
    if section.people:
        labels = (event.data for event in found.events if isinstance(event, LabelSubmitted))
        told.update({("person", data.labeler_id): None for data in labels if data.labeler_id not in section.people})
    project_of = tool_of(one.source).project_of
    if section.projects and project_of is not None and found.events:
        said = project_of(one.hook)
        known = [str(part) for part in said if part is not None]
        if known and section.project_key(one.source, *said) is None:
            told[("project", known[0])] = None
    return tuple(told)


def _context(one: PendingWebhook, settings: GatewaySettings) -> TranslationContext:
    return TranslationContext(one.source, one.received_ms, settings.tool_settings(one.source))
