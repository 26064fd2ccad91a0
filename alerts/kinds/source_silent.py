"""source_silent: a labelling tool has stopped sending."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.kinds.base import Finding, RuleContext
from alerts.rules import SourceSilentRule
from alerts.scopes import SOURCE
from alerts.view import instant_ms
from streams.core.formatting import duration, instant


def evaluate(rule: SourceSilentRule, context: RuleContext) -> Iterable[Finding]:
    """Silence of each source against ``rule.target`` seconds.

    ``silent_ms`` of the row (measured by a process with a clock) is used where given. If every source is silent, the
    watermark stands still and would hide it. Else it is the watermark minus ``last_event``.
    """
    rows = context.view.rows("sources", rule.window)
    for key in sorted(rows):
        row = rows[key]
        if not rule.scope.matches(row["scope"]):
            continue
        last_ms = instant_ms(row["last_event"])
        given = row.get("silent_ms")
        silent_s = (context.watermark_ms - last_ms if given is None else int(given)) / 1000
        yield Finding(
            scope=dict(row["scope"]),
            scope_key=key,
            firing=silent_s > rule.target,
            value=silent_s,
            target=rule.target,
            evidence=(
                f"{row['scope'].get(SOURCE, 'every source')} has sent nothing for {duration(silent_s)} "
                f"(last event {instant(last_ms)}), at most {duration(rule.target)} wanted"
            ),
            since_ms=last_ms,
        )
