"""dead_letters: events were refused; what they carried is in no number."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.kinds.base import Finding, RuleContext
from alerts.rules import DeadLettersRule
from alerts.signals import Contributor
from streams.core.formatting import plural
from streams.core.window_names import window_ms, window_words


def evaluate(rule: DeadLettersRule, context: RuleContext) -> Iterable[Finding]:
    """Refused events in the window against ``rule.target``, the most allowed; contributors are the reason codes."""
    rows = context.view.rows("dead_letters", rule.window)
    for key in sorted(rows):
        row = rows[key]
        if not rule.scope.matches(row["scope"]):
            continue
        count = int(row["count"])
        firing = count > rule.target and count >= rule.min_sample
        codes = sorted((row.get("by_code") or {}).items(), key=lambda item: (-item[1], item[0]))
        parts = tuple(
            Contributor(
                "code", code, -round(100 * number / count, 2), 0, plural(number, "event"), share_of="refused events"
            )
            for code, number in (codes[:5] if firing else [])
        )
        yield Finding(
            scope=dict(row["scope"]),
            scope_key=key,
            firing=firing,
            value=float(count),
            target=float(rule.target),
            evidence=f"{plural(count, 'event')} refused in {window_words(rule.window)}, at most {rule.target:,} allowed",
            since_ms=context.watermark_ms - window_ms(rule.window),
            contributors=parts,
        )
