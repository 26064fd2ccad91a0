"""Coaching steps taken from incidents: somebody was alerted to a person's work and acknowledged it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from floorwatch.analysis.people.coaching import Told


def load_steps(config: Path | None, var: Path | None, until_ms: int, *, now: bool) -> dict[str, list[Told]]:
    """Return the steps that the incidents of the read model tell of, by labeller; see :func:`steps_of`.

    Raises:
        typer.Exit: The configuration is wrong, or Redis does not answer.
    """
    from config.connect import redis_options
    from floorwatch.cli.common import exit_on_config_error, load_for_reader
    from floorwatch.cli.incident_records import read_incidents

    with exit_on_config_error():
        redis = load_for_reader(config, var).redis
    return steps_of(read_incidents(redis_options(redis), redis.prefix), until_ms, now=now)


def steps_of(incidents: Iterable[dict[str, Any]], until_ms: int, *, now: bool) -> dict[str, list[Told]]:
    """Return *alerted* (when the incident opened, by its rule) and *acknowledged* (by whom) by labeller.

    Args:
        incidents: Records of the read model.
        until_ms: The moment looked at, event time.
        now: ``until_ms`` is the present, so every action is before it. Actions are dated by the clock of the person's
            machine, which may be ahead of the last event.
    """
    from alerts.codec import incident_of
    from alerts.kinds.registry import KINDS
    from floorwatch.analysis.people.coaching import CoachingStep, Told

    coaching = {kind.name for kind in KINDS if kind.coaching}
    found: dict[str, list[Told]] = {}
    for incident in map(incident_of, incidents):
        if incident.kind not in coaching or "labeler" not in incident.scope or incident.opened_ms is None:
            continue
        steps = found.setdefault(incident.scope["labeler"], [])
        steps.append(Told(incident.opened_ms, CoachingStep.alerted, incident.rule))
        for act in incident.acts:
            if act.what == "ack":
                at_ms = max(incident.opened_ms, min(act.at_ms, until_ms - 1) if now else act.at_ms)
                steps.append(Told(at_ms, CoachingStep.acknowledged, act.by))
    return found


def with_place(told: Sequence[Told], heard: Iterable[Told]) -> list[Told]:
    """Return the steps of incidents that fit between the recorded steps. An old acknowledgement after coaching does not fit.

    Raises:
        StepRefused: A recorded step does not fit.
    """
    from floorwatch.analysis.people.coaching import StepRefused, fold_steps

    taken: list[Told] = []
    for step in sorted(heard, key=lambda step: step.time_ms):
        try:
            fold_steps([*told, *taken, step])
        except StepRefused:
            continue
        if step not in told:
            taken.append(step)
    fold_steps([*told, *taken])
    return taken
