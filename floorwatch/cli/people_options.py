"""What the commands about people read besides the log: windows, weights, coaching steps, tenure. Reports errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from config.nearest import choices
from floorwatch.cli.options import duration_ms
from floorwatch.output.terminal import say_lines
from streams.models.timestamps import parse_rfc3339_ms

if TYPE_CHECKING:
    from floorwatch.analysis.people.coaching import Told
    from floorwatch.analysis.people.learning import PriorTenure
    from floorwatch.analysis.people.people_policy import PeoplePolicy

T = TypeVar("T")


def fail(message: str, *more: str) -> typer.Exit:
    """Print a message to standard error, one sentence a line, and return the exit to raise, code 2."""
    say_lines((message, *more), err=True)
    return typer.Exit(2)


def as_percent(option: str, value: float) -> float:
    """Return percent above 1 and below 100 unchanged.

    Raises:
        typer.Exit: The value is out of range. A ratio such as 0.95 is refused, because it would mean less than one
        percent.
    """
    if 1 < value < 100:
        return value
    hint = f"{100 * value:g}" if 0 < value <= 1 else "95"
    raise fail(f"{option} {value:g}: write percent, for example {hint}")


def people_policy(
    settings: PeoplePolicy, weights: list[str] | None, cap: str | None, target: float | None
) -> PeoplePolicy:
    """Return the configured bounds with the options given in their place.

    Args:
        settings: As configured, section ``people``.
        weights: ``POLICY=NUMBER`` each; ``*`` is every other policy. Any of them replaces all configured weights.
        cap: Exposure cap, a duration.
        target: Accuracy target in percent.

    Raises:
        typer.Exit: An option is wrong.
    """
    from floorwatch.analysis.people.people_policy import MILLI

    severity: dict[str, int] = {}
    for text in weights or ():
        match = re.fullmatch(r"(.+)=(\d{1,6}(?:\.\d{1,3})?)", text.strip())
        if match is None:
            raise fail(f"--weight {text}: write POLICY=NUMBER with at most three decimals, for example minor_safety=2")
        severity[match[1]] = round(float(match[2]) * MILLI)
    if target is not None:
        as_percent("--target", target)
    found = settings
    if weights:
        other = severity.pop("*", MILLI)
        found = replace(found, severity_milli=severity, other_severity_milli=other, exposure_configured=True)
    if cap is not None:
        found = replace(found, exposure_cap_ms=duration_ms("--cap", cap))
    return found if target is None else replace(found, accuracy_target_ratio=target / 100)


def _object(line: str) -> dict[str, Any]:
    try:
        raw = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(raw, dict):
        raise ValueError("each line is one JSON object")  # noqa: TRY004 - told as every fault of the line
    return raw


def _records(option: str, path: Path, read: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    from config.files import MAX_LIST_BYTES, FileFault, read_text

    try:
        text = read_text(path, MAX_LIST_BYTES)
    except FileFault as error:
        raise fail(f"{option} {path}: {error}") from None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield read(_object(line))
        except KeyError as error:
            raise fail(f"{path}:{number}: {error.args[0]} is missing") from None
        except ValueError as error:
            raise fail(f"{path}:{number}: {error}") from None


def read_coaching(path: Path | None) -> dict[str, list[Told]]:
    """Return the coaching steps of a JSON-lines file by labeller; nothing without a file.

    One line a step: ``{"labeler_id": "kul-017", "time": "2026-11-23T10:00:00Z", "step": "coached", "by": "lead-02"}``.

    Raises:
        typer.Exit: A line cannot be read; the message names it.
    """
    from floorwatch.analysis.people.coaching import CoachingStep, Told

    def told(raw: dict[str, Any]) -> tuple[str, Told]:
        names = [step.value for step in CoachingStep]
        if raw["step"] not in names:
            raise ValueError(f"step {raw['step']!r}: {choices(str(raw['step']), names)}")
        return str(raw["labeler_id"]), Told(
            parse_rfc3339_ms(str(raw["time"])), CoachingStep(raw["step"]), str(raw.get("by", ""))
        )

    found: dict[str, list[Told]] = {}
    if path is not None:
        for labeler_id, step in _records("--coaching", path, told):
            found.setdefault(labeler_id, []).append(step)
    return found


def read_tenure(path: Path | None) -> dict[str, PriorTenure]:
    """Return what is known of the time before the log, by labeller; nothing without a file.

    One line a person: ``{"labeler_id": "kul-017", "labels": 12000, "since": "2026-01-05T00:00:00Z"}``.

    Raises:
        typer.Exit: A line cannot be read; the message names it.
    """
    from floorwatch.analysis.people.learning import PriorTenure

    def known(raw: dict[str, Any]) -> tuple[str, PriorTenure]:
        if type(raw["labels"]) is not int or raw["labels"] < 0:  # true is an int too
            raise ValueError("labels: write a whole number, 0 or more")
        return str(raw["labeler_id"]), PriorTenure(raw["labels"], parse_rfc3339_ms(str(raw["since"])))

    return dict(_records("--tenure", path, known)) if path is not None else {}


def append_step(path: Path, labeler_id: str, time_ms: int, step: str, by: str) -> None:
    """Write one coaching step at the end of the file."""
    from streams.core.time_text import rfc3339

    record = {"labeler_id": labeler_id, "time": rfc3339(time_ms), "step": step, "by": by}
    with path.open("a") as out:
        out.write(json.dumps(record) + "\n")


def plain(value: Any) -> Any:
    """Return named tuples, enumerations and their like as JSON values."""
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
