"""A schedule as a person reads it."""

from __future__ import annotations

import traceback

from tests.simulation.floor import Shape
from tests.simulation.schedule import Outcome


def told(outcome: Outcome, *, timeline: bool = True) -> str:
    """Return what a schedule did and what was wrong at its end."""
    shape = Shape.of(outcome.seed)
    lines = [
        (
            f"seed {outcome.seed}: {'WRONG' if outcome.failed else 'right'} "
            f"({shape.partitions} partition(s), {shape.workers} worker(s), {shape.events} events, compaction lag "
            f"{shape.lag_steps} and tombstones kept {shape.retention_steps} steps, horizon "
            f"{shape.policy.horizon_ms / 3_600_000:g} h)"
        )
    ]
    if timeline:
        lines.extend(f"  {'' if step is None else step:>4}  {text}" for step, text in outcome.timeline)
    lines.extend(f"  {line}" for line in outcome.wrong)
    if outcome.error is not None:
        lines.append("".join(traceback.format_exception(outcome.error)))
    if outcome.failed:
        lines.append(f"  again: python -m tests.simulation --seed {outcome.seed} -v")
    return "\n".join(lines)
