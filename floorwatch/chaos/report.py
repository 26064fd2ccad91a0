"""The printout of a chaos run."""

from __future__ import annotations

from collections import Counter
from statistics import median

from floorwatch.chaos import schedule as s
from floorwatch.chaos.fault_injection import TAKEOVER_LIMIT_S, Takeover
from floorwatch.chaos.run import ChaosOutcome, ChaosPlan
from floorwatch.chaos.stack import SESSION_TIMEOUT_S

_MAX_WRONG = 20


def plan_text(plan: ChaosPlan) -> str:
    """Return what will be run, with the whole schedule."""
    head = (
        f"seed {plan.seed}: {round(plan.rate * plan.load_s)} events at {plan.rate:g}/s over {plan.load_s:g} s, "
        f"{plan.partitions} partitions, session timeout {SESSION_TIMEOUT_S:g} s, "
        f"compaction after {plan.compaction_lag_s:g} s"
    )
    return "\n".join([head, *(f"  {fault}" for fault in plan.faults)])


def outcome_text(outcome: ChaosOutcome) -> str:
    """Return the counts, the takeovers and the verdict."""
    lines = [*_fault_lines(outcome), *_takeover_lines(outcome), *_load_lines(outcome), *_verdict_lines(outcome)]
    if outcome.faulty:
        lines.append(
            f"FAULTY: {len(outcome.faulty)} times a worker ended by a fault of the program; its log says where"
        )
    if outcome.exact:
        lines.append(f"0 wrong rows; {outcome.took_s:.0f} s")
    else:
        lines.append(f"WRONG. Replay with: floorwatch chaos --seed {outcome.plan.seed} and the same other options")
    return "\n".join(lines)


def _fault_lines(outcome: ChaosOutcome) -> list[str]:
    faults = outcome.faults
    if faults is None:
        return []
    total = sum(faults.done.values())
    lines = [f"{total} faults"]
    lines += [f"  {faults.done[kind]:3d} {kind:<12} {meaning}" for kind, meaning in s.MEANING.items()]
    if faults.skipped:
        lines.append(f"  {sum(faults.skipped.values())} skipped: no worker was there to suffer them")
    if faults.hung:
        lines.append(f"  {faults.hung} workers did not end on SIGTERM within 30 s and were killed")
    for how, times in Counter(outcome.exits).most_common(8):
        lines.append(f"  {times} × a worker ended by itself and was started again: {how}")
    return lines


def _takeover_lines(outcome: ChaosOutcome) -> list[str]:
    faults = outcome.faults
    if faults is None:
        return []
    groups = {
        "taken over by other workers, undisturbed": [t for t in faults.takeovers if not t.alone and not t.disturbed],
        "taken over while another fault was under way": [t for t in faults.takeovers if not t.alone and t.disturbed],
        "started again, no other worker there": [t for t in faults.takeovers if t.alone],
    }
    lines = [
        f"From SIGKILL until every partition of the killed commits again (session timeout {SESSION_TIMEOUT_S:g} s)"
    ]
    lines += [f"  {name}: {_times(found)}" for name, found in groups.items() if found]
    return lines if len(lines) > 1 else []


def _times(found: list[Takeover]) -> str:
    times = [takeover.took_s for takeover in found if takeover.took_s is not None]
    text = f"{len(found)} kills"
    if times:
        text += f", median {median(times):.1f} s, longest {max(times):.1f} s"
    late = len(found) - len(times)
    return text + (f", {late} not within {TAKEOVER_LIMIT_S:g} s" if late else "")


def _load_lines(outcome: ChaosOutcome) -> list[str]:
    sent = f"{outcome.events} events, {outcome.repeated} of them sent again on purpose, {outcome.retried} sends retried"
    lines = [f"{sent}; folded {outcome.drained_s:.0f} s after the last"]
    for found in outcome.compaction:
        gone = 1 - found.left / found.written
        lines.append(f"  {found.topic}: {found.written} records written, {100 * gone:.0f}% compacted away")
    return lines


def _verdict_lines(outcome: ChaosOutcome) -> list[str]:
    lines = []
    if outcome.stuck:
        lines.append(f"STUCK: {outcome.stuck}")
    for verdict in (outcome.verdict, outcome.rebuilt):
        if verdict is None:
            continue
        lines += [f"  {rows} rows compared: {where}" for where, rows in verdict.rows.items()]
        if verdict.dead:
            lines.append(f"  {verdict.dead}")
        if verdict.wrong:
            lines.append(f"  {verdict.wrong_rows} wrong rows, {len(verdict.wrong)} wrong fields")
            lines += [f"    {where}: {found}" for where, found in verdict.wrong[:_MAX_WRONG]]
    return lines
