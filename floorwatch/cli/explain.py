"""``floorwatch explain``: why accuracy or SLA attainment changed, by shift-share between two windows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from config.nearest import choices
from floorwatch.cli.options import ConfigOption, JsonOption, VarOption, duration_ms, scope_of
from floorwatch.output.terminal import MISSING, DataTable, say, say_json_text, say_lines, wide_console
from streams.core.formatting import printable

if TYPE_CHECKING:
    from floorwatch.analysis.rca.answer import Cut, RootCause
    from floorwatch.analysis.rca.findings import PartFinding
    from floorwatch.cli.age import Age
    from floorwatch.cli.cluster_session import ClusterSession
    from floorwatch.replay.reader import EventLog
    from floorwatch.replay.replayer import Replay
    from streams.core.policy import CorePolicy
    from streams.core.rca.ratio_tally import RatioTally
    from streams.core.rca.shift import Key
    from streams.core.rca.slices import Measure, Slices

Row = Mapping[str, Any]
Rows = Mapping[str, Mapping[str, Row]]
"""Rows by scope key by window."""

DEFAULT_BY = ("site", "vendor", "team", "policy", "market", "queue", "labeler")
_TRIES = 3


class MeasureName(str, Enum):
    """What can be explained."""

    accuracy = "accuracy"
    sla = "sla"


class Source(str, Enum):
    """Where the counts come from."""

    auto = "auto"
    rows = "rows"
    log = "log"


def explain(
    measure: Annotated[MeasureName, typer.Argument(help="accuracy or sla.")],
    scope: Annotated[str, typer.Option(help="The scope: vendor=bpo-a, queue=hate,policy=P3 … or all.")] = "all",
    window: Annotated[str, typer.Option(help="The time to explain: 1h, 24h …")] = "24h",
    against: Annotated[str, typer.Option(help="The longer time up to now to hold it against, itself left out.")] = "7d",
    by: Annotated[
        str | None,
        typer.Option(help="Dimensions, e.g. policy,labeler; two are also crossed. Default: all that fit."),
    ] = None,
    source: Annotated[
        Source, typer.Option(help="rows: the read model; log: replay events.v1; auto: rows where they are kept.")
    ] = Source.auto,
    top: Annotated[int, typer.Option(min=1, max=10_000, help="Parts shown of each cut.")] = 8,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Show which parts moved a number between two windows, by rate, mix or both, and which effects are only chance."""
    from floorwatch.cli.cluster_session import open_session

    wanted, names = scope_of("--scope", scope), _by(by, scope)
    sizes_ms = {name: _size_ms(name, option) for name, option in ((window, "--window"), (against, "--against"))}
    if sizes_ms[against] <= sizes_ms[window]:
        _misused(f"--against {against}: must be longer than --window {window}, which is left out of it")
    session = open_session(config, var)
    kept = _kept(session, measure.value, wanted, names, (window, against))
    missing = ", ".join(kept)
    if source is Source.rows and kept:
        _misused(f"--source rows: {missing} not kept; add it to tables.scopes or tables.windows, or use --source log")
    if source is Source.log or (source is Source.auto and kept):
        found, age = _from_log(session, measure.value, wanted, names, (window, against), sizes_ms)
    else:
        found, age = _from_read_model(session, measure.value, wanted, names, (window, against))
    if as_json:
        import orjson

        from floorwatch.analysis.rca.answer import answer_json

        shown = answer_json(found) | {"window": window, "against": against} | age.for_programs
        say_json_text(orjson.dumps(shown, option=orjson.OPT_INDENT_2))
    else:
        wide_console().print(age.title(f"{measure.value} · last {window} against {against}"))
        _print(found, top)


def _misused(said: str) -> NoReturn:
    say_lines([said], err=True)
    raise typer.Exit(2)


def _by(text: str | None, scope: str) -> tuple[str, ...]:
    from streams.core.policy import DIMENSIONS

    inside = scope_of("--scope", scope)
    if text is None:
        return tuple(name for name in DEFAULT_BY if name not in inside)
    names = tuple(dict.fromkeys(part.strip() for part in text.replace("×", ",").split(",") if part.strip()))
    for name in names:
        if name not in DIMENSIONS:
            _misused(f"--by {text}: {name} is not a dimension; {choices(name, DIMENSIONS)}")
        if name in inside:
            _misused(f"--by {text}: {name} is fixed by --scope {scope}, so it cannot cut it")
    if not names:
        _misused("--by: name at least one dimension, such as policy")
    return names


def _size_ms(name: str, option: str) -> int:
    from streams.core.policy import QUARTER_MS

    size_ms = duration_ms(option, name)
    if size_ms % QUARTER_MS:
        _misused(f"{option} {name}: must be a whole number of quarter hours")
    return size_ms


def _kept(
    session: ClusterSession, measure: str, scope: Mapping[str, str], by: Sequence[str], windows: Sequence[str]
) -> list[str]:
    """Return the scopes that the read model does not keep and would have to, as they are written in tables.scopes."""
    from streams.core.policy import DIMENSIONS

    audited = session.policy.audit_scopes if measure == "accuracy" else ()
    scopes = {frozenset(kind) for kind in (*session.policy.scopes, *audited)}
    needed = [frozenset(scope), *(frozenset([*scope, name]) for name in by)]
    if len(by) == 2:
        needed.append(frozenset([*scope, *by]))
    missing = [
        f"scope [{', '.join(name for name in DIMENSIONS if name in kind)}]" for kind in needed if kind not in scopes
    ]
    names = {window.name for window in session.policy.windows if window.size_ms}
    return missing + [f"window {name}" for name in windows if name not in names]


def _from_log(
    session: ClusterSession,
    measure: Literal["accuracy", "sla"],
    scope: Mapping[str, str],
    by: Sequence[str],
    names: tuple[str, str],
    sizes_ms: Mapping[str, int],
) -> tuple[RootCause, Age]:
    from floorwatch.cli.age import age_of
    from floorwatch.cli.cluster_session import told

    seen: dict[str, set[str]] = {name: set() for name in scope}
    found, done = session.run(lambda log: explain_log(log, session.policy, measure, scope, by, names, sizes_ms, seen))
    for line in told(done):
        say(line, err=True)
    exit_if_unknown(scope, seen)
    watermark_ms = done.floor.watermark_ms
    return found, age_of(watermark_ms if watermark_ms >= 0 else None, ())


def exit_if_unknown(scope: Mapping[str, str], seen: Mapping[str, Collection[str]]) -> None:
    """Exit with code 1 if nothing was ever counted for a value of the scope, and name the values there are."""
    for name, value in scope.items():
        if seen[name] and value not in seen[name]:
            say(f"there is no {name} {printable(value)}; {printable(choices(value, sorted(seen[name])))}", err=True)
            raise typer.Exit(1)


async def explain_log(
    log: EventLog,
    policy: CorePolicy,
    measure: Literal["accuracy", "sla"],
    scope: Mapping[str, str],
    by: Sequence[str],
    names: tuple[str, str],
    sizes_ms: Mapping[str, int],
    seen: dict[str, set[str]] | None = None,
) -> tuple[RootCause, Replay]:
    """Explain from the log: every task's contributions, summed by the dimensions asked for.

    Args:
        log: The log of events.
        policy: Today's configuration.
        measure: What is explained.
        scope: The scope; it need not be kept.
        by: Dimensions to cut by.
        names: The window and the longer one to hold it against.
        sizes_ms: Their lengths.
        seen: Takes the values that the log has for the dimensions named in it.

    Returns:
        The answer and what was read. Costs a replay of the log; memory holds one partition's tasks at a time.
    """
    from dataclasses import replace

    from floorwatch.analysis.rca.answer import answer, weighted_or_raw
    from floorwatch.replay.replayer import replay
    from streams.core.effects import contributions
    from streams.core.policy import DIMENSIONS
    from streams.core.rca.slices import Slices, windows

    measures: tuple[Measure, ...] = ("sla",) if measure == "sla" else ("accuracy", "unweighted_accuracy", "labels")
    slices = {name: Slices(name, scope, by) for name in measures}

    def visit(partition_replay: Any, partition_facts: Any) -> None:
        for task_id, facts in partition_facts.tasks(partition_replay.knows):
            for group in contributions(task_id, facts, partition_replay.watermark_ms).values():
                for one in slices.values():
                    one.add(group)
                for name, values in (seen or {}).items():
                    values.add(group.dims[DIMENSIONS.index(name)] or "")

    # The facts do not depend on the scopes that are kept, so the replay leaves them out and makes no rows.
    done = await replay(log, replace(policy, scopes=((),), audit_scopes=()), visit=visit)
    spans = windows(policy, names[0], names[1], sizes_ms, max(0, done.floor.watermark_ms))

    def cut_of(one: Slices) -> Cut:
        return lambda by: (one.cut(by, spans.before), one.cut(by, spans.after))

    cuts = {name: cut_of(one) for name, one in slices.items()}
    if measure == "sla":
        return answer("sla", scope, by, cuts["sla"]), done
    return weighted_or_raw(scope, by, cuts), done


def _from_read_model(
    session: ClusterSession,
    measure: Literal["accuracy", "sla"],
    scope: Mapping[str, str],
    by: Sequence[str],
    names: tuple[str, str],
) -> tuple[RootCause, Age]:
    import asyncio
    from dataclasses import replace

    from floorwatch.cli.age import age_of, partial_words
    from floorwatch.cli.common import exit_on_redis_error
    from streams.core.rca.shift import PartsDoNotAddUp

    for left in reversed(range(_TRIES)):
        with exit_on_redis_error(session.settings.redis.url):
            rows, as_of_ms = asyncio.run(_rows(session, measure, names))
        own = [row for row in rows[names[1]].values() if row["scope"].keys() == scope.keys()]
        exit_if_unknown(scope, {name: {str(row["scope"][name]) for row in own} for name in scope})
        try:
            found = explain_rows(measure, scope, by, rows, names)
            partial_rows = partial_words(rows_behind(rows, scope, by))
            say_lines([partial_rows] if partial_rows else [], err=True)
            return found, replace(age_of(as_of_ms, own), partial=bool(partial_rows))
        except PartsDoNotAddUp:
            # Partitions publish one after the other. Read in between, the parts and the whole may be of different
            # times.
            if not left:
                say("The rows keep changing while they are read; try again, or use --source log.", err=True)
                raise typer.Exit(1) from None
    raise AssertionError("unreachable")


def rows_behind(rows: Rows, scope: Mapping[str, str], by: Sequence[str]) -> list[Row]:
    """Return the rows that an answer is made of: those of the scope and of its cuts."""
    kinds = [set(scope), *({*scope, name} for name in by), *([{*scope, *by}] if len(by) == 2 else [])]
    return [
        row
        for kept in rows.values()
        for row in kept.values()
        if row["scope"].keys() in kinds and all(row["scope"][name] == value for name, value in scope.items())
    ]


async def _rows(session: ClusterSession, measure: str, names: tuple[str, str]) -> tuple[Rows, int | None]:
    from streams.adapters.clients import redis_client
    from streams.adapters.readmodel import ReadModel

    redis = redis_client(session.settings)
    try:
        model = ReadModel(redis, session.settings.redis.prefix)
        as_of_ms = await model.watermark_ms()
        return {name: await model.rows(measure, name) for name in names}, as_of_ms
    finally:
        await redis.aclose()


def explain_rows(
    measure: Literal["accuracy", "sla"], scope: Mapping[str, str], by: Sequence[str], rows: Rows, names: tuple[str, str]
) -> RootCause:
    """Explain from rows of the read model.

    Args:
        measure: What is explained.
        scope: The scope; its rows and those of its cuts must be kept.
        by: Dimensions to cut by.
        rows: Rows by scope key, of both windows.
        names: The window and the longer one around it.

    Raises:
        PartsDoNotAddUp: The rows are not of one moment.
    """
    from floorwatch.analysis.rca.answer import answer, weighted_or_raw
    from streams.core.rca.shift import completed, minus, summed
    from streams.core.rca.slices import row_tally

    def tallies(measure: Measure, name: str, by: tuple[str, ...]) -> dict[Key, RatioTally]:
        wanted = {*scope, *by}
        found: dict[Key, RatioTally] = {}
        for row in rows[name].values():
            own = row["scope"]
            if own.keys() == wanted and all(own[key] == value for key, value in scope.items()):
                tally = row_tally(measure, row)
                if tally.total:
                    found[tuple(own[key] for key in by)] = tally
        return found

    def cut(measure: Measure, by: tuple[str, ...]) -> tuple[dict[Key, RatioTally], dict[Key, RatioTally]]:
        later, longer = (tallies(measure, name, by) for name in names)
        if by:
            later = completed(summed(tallies(measure, names[0], ()).values()), later, len(by))
            longer = completed(summed(tallies(measure, names[1], ()).values()), longer, len(by))
        return minus(longer, later), later

    # Beyond two dimensions only single cuts are kept.
    deep = len(by) == 2
    if measure == "sla":
        return answer("sla", scope, by, partial(cut, "sla"), deep=deep)
    measures: tuple[Measure, ...] = ("accuracy", "unweighted_accuracy", "labels")
    return weighted_or_raw(scope, by, {name: partial(cut, name) for name in measures}, deep=deep)


def _print(found: RootCause, top: int) -> None:
    console = wide_console()
    for line in found.summary:
        console.print(line)
    for cut in found.cuts:
        console.print()
        console.print(cut_table(found, cut, top))


def cut_table(found: RootCause, cut: list[PartFinding], top: int) -> DataTable:
    """Return one cut for a terminal: the parts that moved the number most, in percentage points."""
    from floorwatch.analysis.rca.findings import points

    title = f"{found.measure} by {' and '.join(cut[0].dimensions)} · points of the whole"
    shown = DataTable(title)
    shown.add_names(*cut[0].dimensions)
    shown.add_numbers(
        "effect", "95% interval", "rate", "mix", "both", "before", "now", "", spare=("both", "mix", "rate")
    )
    for one in cut[:top]:
        shown.add_row(
            *one.key,
            points(one.effect_pp, 2),
            f"{one.low_pp:+.2f} – {one.high_pp:+.2f}",
            *(points(value, 2) for value in (one.rate_pp, one.mix_pp, one.interaction_pp)),
            *(_share(tally) for tally in (one.before, one.after)),
            verdict_words(one),
        )
    rest = cut[top:]
    total = found.change.change_pp if found.change is not None else 0.0
    if rest:
        others = f"{sum(one.effect_pp for one in rest):+.2f}"
        shown.add_row(f"{len(rest)} more", *([""] * (len(cut[0].dimensions) - 1)), others)
    shown.add_section()
    shown.add_row("all", *([""] * (len(cut[0].dimensions) - 1)), f"{total:+.2f}")
    return shown


def verdict_words(one: PartFinding) -> str:
    """Return a verdict in a word.

    A part that only did more or less of the work, like every team at a change of shift, is not a cause.
    """
    if one.verdict == "evident" and one.moved_by_share:
        return "mix"
    return {"evident": "evident", "alike": "as the rest", "noise": "chance", "few": "too few"}[one.verdict]


def _share(tally: RatioTally) -> str:
    return f"{100 * tally.share:.1f}% of {tally.total:,}" if tally.total else MISSING
