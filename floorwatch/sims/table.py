"""The table of situations: what the detectors and intervals did in each before, what is promised now, and what is measured.

Lines of simulations belong to a situation by their ``row``. ``docs/statistics.md`` holds the table as last measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from floorwatch.sims.lines import ReportLine, between_marks, number

PAGE = Path("docs/statistics.md")

BEGIN, END = "<!-- situations: written by `floorwatch sims --picture` -->\n", "<!-- end of situations -->\n"


class Situation(NamedTuple):
    """One row of the table.

    Attributes:
        row: Its number.
        words: The situation.
        before: What was measured with the code of commit 24565ae, which took raw counts and the means of batches.
        promised: What is promised now.
        claims: How many claims that is: with fewer lines than that it is not measured.
    """

    row: int
    words: str
    before: str
    promised: str
    claims: int


SITUATIONS = tuple(
    Situation(row, *rest)
    for row, rest in enumerate(
        (
            (
                "400 random audits (π = .05), 40 wrong; a lead looks at those 40 again, without a probability, and confirms all",
                "weighted accuracy 100%, scorecard above the target, detectors see no error",
                "90%: the outcome of the latest verdict, the weight of the label's first random audit",
                1,
            ),
            (
                "recall: 20,000 items, 5% and 2% of them deserve the value, true recall 90%; flagged audited at 20%, passed at 1%",
                "interval covers 49%; 36% of runs read 100%, at 2% all of them; rows unweighted (98.8% for 80.0%)",
                "interval covers 95%; gate and interval from the audits of items that did not get the value",
                2,
            ),
            (
                "vendor at 96.6%, target 95%: two labellers with 20 audits an hour and 2% wrong, eight with 1 and 10%",
                "pages in 100% of runs of 13 days",
                "within the budget of false alarms",
                1,
            ),
            (
                "one labeller with 40 audits an hour and 20% wrong, twenty with 1 and 2% (86.0%)",
                "pages in 0%",
                "as fast as 86% with as many independent audits",
                1,
            ),
            (
                "due tasks: by day 200 an hour, 1% missed, by night 4 and 15% (98.9%); a peak hour of 400, 40%, else 10, 1% (74%)",
                "85–88% of months alarm; 0%",
                "within the budget; found the same day",
                2,
            ),
            (
                "accuracy and its interval where flagged work is audited more often",
                "interval of the raw share covers the true accuracy in 0–18%",
                "interval of the weighted estimate covers at least 92.5%; the raw share is last and named so",
                1,
            ),
            (
                "scorecard: 25 random audits (1 wrong), 20 targeted (10 wrong); a flagged tenth all audited, the rest at 2%, 96.2%",
                "below the target beyond chance in 75–95% of weeks",
                "too few to say; not below",
                2,
            ),
            (
                "trend, coaching and expected from peers where only the share of audits changed",
                "worse than before in 46–71%",
                "2.5%",
                3,
            ),
            (
                "throughput whose level varies by 5–10% from day to day; and half of the labels gone",
                "alarm in 23–97% of months",
                "at most 9%; found in a median of 8 h at 12 an hour, 3 h at 48, 1 h at 400",
                4,
            ),
            (
                "floor at 93% against 95% for 75 days",
                "5 alarms, 4.4 of them resolved without improvement",
                "one incident that stays; an end only on evidence of recovery, with a stated error",
                2,
            ),
            (
                "root cause: parts with unlike π, nothing changed",
                "somebody evident in 18–56%; interval covers 65–82%",
                "at most 5% over all cuts shown together; at least 93%",
                2,
            ),
            (
                "judged beyond chance at targets of .95 to .995, 30 to 50 audits",
                "one-sided error 6–14%",
                "at most 2.5%",
                1,
            ),
            (
                "150 labellers, all at 95%",
                "needs coaching names 3.5–9 a week; after useless coaching 23% recovered",
                "a stated rate of false discoveries, held; regression to the mean taken out",
                2,
            ),
            (
                "α and κ of 30 items on which all agree; skewed values",
                "1.0 [1.0, 1.0]",
                "an interval with a width; covers at least 92%",
                2,
            ),
            (
                "predicted time of an SLA breach",
                "9–17 min late with a single promise, 40 with several",
                "unbiased within 5 min, where tasks are taken by due time and where they are taken as they came",
                2,
            ),
            (
                "60 of 60 audits wrong within an hour (three labellers)",
                "score 44 of 140,000: no alarm",
                "a page at the next evaluation",
                1,
            ),
            (
                "a tool that says nothing of sampling: 640 of 640 audits wrong",
                "no alarm ever, no weighted figure",
                "assumed random: a class of its own, weighted by labels over audits of that class; an alarm",
                2,
            ),
        ),
        start=1,
    )
)
"""The seventeen, in the order of their numbers."""

ROWS = tuple(situation.row for situation in SITUATIONS)


class SituationResult(NamedTuple):
    """A situation with the lines that measure it.

    Attributes:
        situation: Which.
        lines: What the simulations that were run say of it.
    """

    situation: Situation
    lines: tuple[ReportLine, ...]

    @property
    def passes(self) -> bool | None:
        """Whether every line allows what is promised; None where not every claim was measured."""
        if not all(line.ok for line in self.lines):
            return False
        return True if len(self.lines) >= self.situation.claims else None

    @property
    def shown(self) -> bool:
        """Whether every measured number is as promised itself."""
        return all(line.shown for line in self.lines)


def measured(lines: Iterable[ReportLine], rows: Sequence[int] = ROWS) -> list[SituationResult]:
    """Return each situation with its lines, in the order they come.

    Args:
        lines: Of any simulations.
        rows: Which situations.

    Raises:
        ValueError: A line names a row that there is not.
    """
    of: dict[int, list[ReportLine]] = {row: [] for row in ROWS}
    for line in lines:
        if line.row is not None:
            if line.row not in of:
                raise ValueError(f"{line.name!r} is of row {line.row}: use 1 to {len(ROWS)} (floorwatch/sims/table.py)")
            of[line.row].append(line)
    return [SituationResult(SITUATIONS[row - 1], tuple(of[row])) for row in rows]


def verdict(passes: bool | None, *, shown: bool = True) -> str:
    """Return the word for whether a situation passes.

    Args:
        passes: As ``SituationResult.passes``.
        shown: Whether every measured number is as promised itself; else an interval alone allows the promise.
    """
    if passes is None:
        return "not measured"
    return ("ok" if shown else "allowed") if passes else "NOT"


def as_text(table: Iterable[SituationResult]) -> list[str]:
    """Return the table as lines to print."""
    said = []
    for one in table:
        row, words, before, promised, claims = one.situation
        said += ["", f"{row:>2}  {words}", f"    before    {before}", f"    promised  {promised}"]
        said += [f"    {line}" for line in one.lines]
        if one.passes is None:
            said.append(f"    NOT measured: {len(one.lines)} of at least {claims} lines in what was run")
    return said


def summary(table: Sequence[SituationResult]) -> str:
    """Return how many situations are as promised, and which are not."""
    words = f"{sum(one.passes is True for one in table)} of {len(table)} situations as promised"
    failed = [str(one.situation.row) for one in table if one.passes is False]
    missing = [str(one.situation.row) for one in table if one.passes is None]
    allowed = [str(one.situation.row) for one in table if one.passes and not one.shown]
    words += f"; an interval alone allows it: {', '.join(allowed)}" if allowed else ""
    words += f"; not as promised: {', '.join(failed)}" if failed else ""
    return words + (f"; not measured: {', '.join(missing)}" if missing else "")


def as_markdown(table: Iterable[SituationResult], scale: float, seed: int) -> str:
    """Return the table as docs/statistics.md holds it."""
    table = list(table)
    how = f"Measured with seed {seed} at scale {scale:g}, with 99% intervals of the simulation."
    said = [
        how if any(one.lines for one in table) else "Not measured yet.",
        "",
        "| # | situation | before | promised | measured | |",
        "|---|---|---|---|---|---|",
    ]
    for one in table:
        row, words, before, promised, _ = one.situation
        cell = "<br>".join(_found(line) for line in one.lines) or "–"
        said.append(f"| {row} | {words} | {before} | {promised} | {cell} | {verdict(one.passes, shown=one.shown)} |")
    return "\n".join(said)


def _found(line: ReportLine) -> str:
    mark = {"ok": "", "allowed": " *allowed*", "NOT": " **NOT**"}[line.verdict]
    interval = "" if line.low == line.high else f" [{number(line.low)}, {number(line.high)}]"
    name = line.name.replace("|", "/")
    return f"{name}: {number(line.measured)}{interval} ({line.sense} {number(line.expected)}){mark}"


def page_with(text: str, table: str) -> str:
    """Return the page with a table of situations in its place.

    Raises:
        ValueError: The page lacks the marks around the table.
    """
    return between_marks(text, BEGIN, END, table, str(PAGE))


def write_table(table: Iterable[SituationResult], scale: float, seed: int, root: Path = Path()) -> Path:
    """Write the table into docs/statistics.md below ``root`` and return its path."""
    path = root / PAGE
    path.write_text(page_with(path.read_text(encoding="utf-8"), as_markdown(table, scale, seed)), encoding="utf-8")
    return path
