"""``floorwatch quality``: what audits, appeals and overlapping labels say of people, guidelines and vendors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from config.nearest import choices
from floorwatch.cli.options import AsOfOption, ConfigOption, JsonOption, VarOption, duration_ms, past_ms, timestamp_ms
from floorwatch.output.terminal import say, say_json, wide_console

if TYPE_CHECKING:
    from floorwatch.analysis.quality.quality_report import QualityReport
    from floorwatch.cli.age import Age


def quality(
    by: Annotated[str | None, typer.Option(help="Also by one dimension: vendor, site, team, queue, market …")] = None,
    policy: Annotated[str | None, typer.Option(help="Only labels of this policy.")] = None,
    window: Annotated[str | None, typer.Option(help="Only labels of the last 24h, 7d … of event time.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only labels from this moment on, e.g. 2026-11-22T18:00:00Z.")
    ] = None,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Report accuracy, agreement, auditors, guidelines and vendors from a replay of the log.

    Events that were accepted within the last seconds may not be on the log yet: what a running `floorwatch up` still has to bring
    there is told on standard error.
    """
    from floorwatch.analysis.quality.quality_report import quality_of
    from floorwatch.cli.age import age_of_log
    from floorwatch.cli.cluster_session import open_session, told

    _check_dimension(by)
    window_ms = None if window is None else duration_ms("--window", window)
    since_ms = None if since is None else timestamp_ms("--since", since)
    until_ms = None if as_of is None else past_ms("--as-of", as_of)
    session = open_session(config, var)
    report, done = session.run(
        lambda log: quality_of(
            log,
            session.policy,
            by=by,
            only_policy=policy,
            since_ms=since_ms,
            window_ms=window_ms,
            until_ms=until_ms,
        )
    )
    for line in told(done):
        say(line, err=True)
    age = age_of_log(done.floor.watermark_ms, live=until_ms is None)
    if as_json:
        _print_json(report, age)
    else:
        _print(report, age)


def _check_dimension(by: str | None) -> None:
    from streams.core.policy import DIMENSIONS

    if by is not None and by not in DIMENSIONS:
        say(f"--by {by}: no such dimension; {choices(by, DIMENSIONS)}", err=True)
        raise typer.Exit(2)


def _print_json(report: QualityReport, age: Age | None) -> None:

    from floorwatch.analysis.quality.quality_report import as_json
    from streams.core.time_text import rfc3339

    body = as_json(report)
    start_ms = report.span.start_ms
    del body["span"]
    told = {} if age is None else age.for_programs
    say_json({"since": rfc3339(start_ms) if start_ms > 0 else None, **told, **body})


def _print(report: QualityReport, age: Age | None) -> None:
    from floorwatch.analysis.quality.quality_text import render

    console = wide_console()
    if age is not None:
        console.print(age.title("quality"))
    for block in render(report):
        console.print(block)
