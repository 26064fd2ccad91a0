"""Facts, counters and outcomes as text for people."""

from __future__ import annotations

from collections.abc import Iterable

from streams.core import counters as c
from streams.core import facts as f
from streams.core.formatting import instant
from streams.core.policy import DIMENSIONS, Dims
from streams.core.time_text import rfc3339
from streams.models.measures.registry import HISTOGRAM_SPAN, registry


def shown(values: str) -> str:
    """Return decision values as people write them; ``(none)`` for an empty choice."""
    return c.readable(values) or "(none)"


def counter_name(counter: c.Counter) -> str:
    """Return the name of a counter, such as ``correct``, ``wrong.false_positive`` or ``confusion safe→hate``."""
    if isinstance(counter, int):
        for base, name in registry.histograms.items():
            if base <= counter < base + HISTOGRAM_SPAN:
                return f"{name}.{counter - base}"
        return registry.names.get(counter, f"cell.{counter}")
    for prefix, name in registry.prefixes.items():
        if counter.startswith(prefix):
            first, *truth = counter[len(prefix) :].split(c.PAIR_SEPARATOR)
            right = ["(not said)" if one == c.UNKNOWN_TRUTH else c.readable(one) for one in truth]
            return f"{name} {'→'.join([c.readable(first), *right])}"
    return counter


def named(counters: Iterable[tuple[c.Counter, int]]) -> dict[str, int]:
    """Return counters by name; histogram buckets are left out, they repeat the times beside them."""
    return {
        counter_name(counter): amount
        for counter, amount in counters
        if not (isinstance(counter, int) and counter >= c.HANDLE_HISTOGRAM)
    }


def dims_text(dims: Dims) -> str:
    """Return known dimensions as ``vendor=bpo-a, queue=hate``."""
    return ", ".join(f"{name}={value}" for name, value in zip(DIMENSIONS, dims, strict=True) if value is not None)


def verdict_text(wrong: bool, error_code: int, severity_code: int) -> str:
    """Return a verdict as ``correct`` or ``incorrect (false_positive, critical)``."""
    if not wrong:
        return "correct"
    said = [name for name in (c.ERROR_CLASSES[error_code], c.SEVERITIES[severity_code]) if name != "unspecified"]
    return f"incorrect ({', '.join(said)})" if said else "incorrect"


def says(fact: f.Fact) -> str:
    """Return one sentence: what a fact says of its task."""
    match fact:
        case f.Created():
            return _created(fact)
        case f.Label():
            return _label(fact)
        case f.LabelWithdrawn():
            return f"label {fact.label_id} withdrawn"
        case f.Audit():
            return _audit(fact)
        case f.Incomparable():
            return f"audit {fact.audit_id} of {_audited(fact)}: incomparable, no verdict"
        case f.AuditWithdrawn():
            return f"audit {fact.audit_id} withdrawn"
        case f.AppealDecided():
            return _decided(fact)
        case _:
            return _short(fact)


def _short(fact: f.Fact) -> str:
    match fact:
        case f.Claimed():
            return f"claimed by {fact.labeler}"
        case f.Cancelled():
            return "cancelled"
        case f.AppealOpened():
            return f"appeal {fact.appeal_id} opened against {_target(fact)}"
        case f.Roster():
            return f"roster: {fact.kind}"
        case _:
            return type(fact).__name__


def _created(fact: f.Created) -> str:
    parts = ["task created"]
    if fact.due_ms is not None:
        parts.append(f"due {rfc3339(fact.due_ms)}")
    if fact.required_labels != 1:
        parts.append(f"{fact.required_labels} labels required")
    if fact.policy_version is not None:
        parts.append(f"policy version {fact.policy_version}")
    return _with_dims(parts, fact.dims)


def _label(fact: f.Label) -> str:
    parts = [f"label {fact.label_id}: {shown(fact.values)}"]
    if fact.started_ms is not None:
        parts.append(f"took {(fact.time_ms - fact.started_ms) / 1000:g} s")
    if fact.policy_version is not None:
        parts.append(f"policy version {fact.policy_version}")
    return _with_dims(parts, fact.dims)


def _with_dims(parts: list[str], dims: Dims) -> str:
    return ", ".join([*parts, dims_text(dims)] if any(dims) else parts)


def _audited(fact: f.Audit | f.Incomparable) -> str:
    return f"label {fact.label_id}" if fact.label_id is not None else "the task's latest label"


def _audit(fact: f.Audit) -> str:
    parts = [
        f"audit {fact.audit_id} of {_audited(fact)}: {verdict_text(fact.wrong, fact.error_code, fact.severity_code)}"
    ]
    if fact.values is not None:
        parts.append(f"right is {shown(fact.values)}")
    if fact.auditor is not None:
        parts.append(f"by {fact.auditor}")
    by = " (by the configuration, at intake)" if fact.configured else ""
    if fact.weight_nano:
        parts.append(f"sampled 1 in {fact.weight_nano / c.NANO:g}{by}")
    else:
        parts.append("assumed to be random: it says nothing of sampling" if fact.assumed else f"targeted{by}")
    parts += [word for word, is_so in (("blind", fact.blind), ("gold", fact.gold)) if is_so]
    return ", ".join(parts)


def _target(fact: f.AppealOpened | f.AppealDecided) -> str:
    return f"{'audit' if fact.of_audit else 'label'} {fact.target_id or 'unknown'}"


def _decided(fact: f.AppealDecided) -> str:
    outcome = "overturned" if fact.overturned else "upheld"
    text = f"appeal {fact.appeal_id} against {_target(fact)}: {outcome}"
    if fact.overturned and (fact.error_code or fact.severity_code):
        text += f", then {verdict_text(wrong=True, error_code=fact.error_code, severity_code=fact.severity_code)}"
    return text


def brief(fact: f.Fact) -> str:
    """Return what a fact says of its task in a few words that name no person; empty for what is about work in progress.

    Example:
        >>> brief(f.Cancelled(7, "e-1", 0))
        'task cancelled'
    """
    match fact:
        case f.Created():
            return "task created" if fact.due_ms is None else f"task created, due {instant(fact.due_ms)}"
        case f.Cancelled():
            return "task cancelled"
        case f.Label():
            return f"label: {shown(fact.values)}"
        case f.LabelWithdrawn():
            return "label withdrawn"
        case f.Audit():
            said = f"audit: {verdict_text(fact.wrong, fact.error_code, fact.severity_code)}"
            return said if fact.values is None else f"{said}, right is {shown(fact.values)}"
        case f.Incomparable():
            return "audit: no verdict"
        case _:
            return _brief_appeal(fact)


def _brief_appeal(fact: f.Fact) -> str:
    match fact:
        case f.AuditWithdrawn():
            return "audit withdrawn"
        case f.AppealOpened():
            return "appeal opened"
        case f.AppealDecided():
            return "appeal: overturned" if fact.overturned else "appeal: upheld"
        case _:
            return ""
