"""Hand-made rows in the read model's JSON, and small builders."""

from __future__ import annotations

from typing import Any

from alerts.baseline import BaselineState, Sample
from alerts.evaluate import evaluate
from alerts.kinds.registry import RuleSet
from alerts.rules import Rule
from alerts.scopes import scope_key
from alerts.signals import Signal
from alerts.view import MemoryRowView, Row
from streams.core.formatting import rfc3339
from streams.core.window_names import window_ms

NOW_MS = 1_795_428_120_000
"""Mon 23 Nov 2026 10:02 UTC, the watermark of most tests."""

MINUTE_MS = 60_000


def rule(kind: str, **fields: Any) -> Rule:
    """One rule, checked like a file."""
    return RuleSet.model_validate({"rules": [{"name": "the-rule", "kind": kind, **fields}]}).rules[0]


def common(scope: dict[str, str], window: str = "1h", end_ms: int = NOW_MS + MINUTE_MS) -> dict[str, Any]:
    """What every row has: a sliding window whose last pane holds the watermark."""
    return {
        "scope": scope,
        "scope_key": scope_key(scope),
        "window": window,
        "start": rfc3339(end_ms - window_ms(window)),
        "end": rfc3339(end_ms),
    }


def accuracy(
    scope: dict[str, str], correct: int, audited: int, *, critical: int = 0, technical: int = 0, **more: Any
) -> Row:
    """An accuracy row. Its audits were drawn with a probability of 1/20, unless ``more`` says how they were drawn."""
    base = common(scope, more.pop("window", "1h"), more.pop("end_ms", NOW_MS + MINUTE_MS))
    counts = {"labels": audited * 20, "audited": audited, "correct": correct, "critical_errors": critical}
    drawn = (
        {} if more.keys() & {"sample_audited", "targeted", "assumed"} else sample(correct, audited, technical, critical)
    )
    return {"table": "accuracy", **base, **counts, **drawn, "wrong": {"technical": technical}, **more}


def sample(correct: int, audited: int, technical: int = 0, critical: int = 0, weight: int = 20) -> dict[str, Any]:
    """The fields of an accuracy row whose audits were all drawn with the probability 1/weight."""
    name = str(1 << weight.bit_length() - 1)
    return {
        "weight_sum": float(audited * weight),
        "weight_correct": float(correct * weight),
        "weight_technical": float(technical * weight),
        "weight_critical": float(critical * weight),
        "sample_audited": {name: audited},
        "sample_wrong": {name: audited - correct},
        "sample_technical": {name: technical},
        "sample_critical": {name: critical},
        "sample_weight": {name: float(audited * weight)},
    }


def sla(scope: dict[str, str], met: int, missed: int, **more: Any) -> Row:
    """An sla row."""
    return {"table": "sla", **common(scope), "due": met + missed, "met": met, "missed": missed, **more}


def throughput(scope: dict[str, str], labels: int, end_ms: int = NOW_MS + MINUTE_MS, window: str = "1h") -> Row:
    """A throughput row."""
    return {"table": "throughput", **common(scope, window, end_ms), "labels": labels}


def view(*rows: Row) -> MemoryRowView:
    """A view over rows by table and window."""
    tables: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        tables.setdefault((row["table"], row["window"]), {})[row["scope_key"]] = row
    return MemoryRowView(tables)


def signals(the_rule: Rule, *rows: Row, baseline: BaselineState | None = None, at_ms: int = NOW_MS) -> list[Signal]:
    """Signals of one rule over rows."""
    return evaluate([the_rule], view(*rows), at_ms, baseline or BaselineState())


def one(the_rule: Rule, *rows: Row, baseline: BaselineState | None = None) -> Signal:
    """The only signal of one rule over rows."""
    (signal,) = signals(the_rule, *rows, baseline=baseline)
    return signal


def flat_baseline(counts: dict[str, list[int]], window: str = "1h") -> BaselineState:
    """A baseline whose past windows ended hours ago, each wholly covered."""
    size_ms = window_ms(window)
    rings = {
        key: tuple(Sample(NOW_MS - (len(labels) - place) * size_ms, size_ms, n) for place, n in enumerate(labels))
        for key, labels in counts.items()
    }
    return BaselineState(origin_ms=0, rings={window: rings})
