"""Where people and projects of a tool belong, as its section of the configuration says."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr

from config.base import Section, refuse_one
from config.errors import ConfigError, ConfigErrors
from config.files import FileFault, read_text
from config.nearest import nearest
from gateway.sources.fields import LabelerDims

MAX_USERS_BYTES = 16 * 1024 * 1024
MAX_USERS = 100_000
_DIMS = tuple(LabelerDims.model_fields)
COLUMNS = ("user", *_DIMS, "name")
_MOST_TOLD = 20
_MOST_CHARS = 256


class ProjectDims(LabelerDims):
    """Where the work of a project belongs, beside what its tasks say; team, site and vendor for people that have none."""

    queue: str | None = Field(default=None, max_length=256, description="Queue of its tasks; else its name.")
    policy: str | None = Field(default=None, max_length=256, description="Policy its tasks are judged by.")
    policy_version: str | None = Field(default=None, max_length=256, description="Version of that policy.")
    market: str | None = Field(default=None, max_length=256, description="Language or region.")
    priority: str | None = Field(default=None, max_length=256, description="Urgency.")
    sla_class: str | None = Field(default=None, max_length=256, description="One of targets.sla_classes.")


def _texts(given: Any) -> Any:
    """Return the keys of a table as texts, for an id may be written as a number."""
    if not isinstance(given, dict):
        return given
    found = {str(key) if type(key) is int else key: value for key, value in given.items()}
    if len(found) != len(given):
        twice = next(key for key in given if type(key) is int and str(key) in given)
        refuse_one(f"project {twice} is there twice, as a number and as a text", "keep one of the two")
    return found


class PlaceSettings(Section):
    """What the sections of all tools say of people and projects."""

    labelers: dict[str, LabelerDims] = Field(
        default={},
        description="Team, site and vendor by labeler id, as Floorwatch names people: tools send none of them.",
    )
    users_csv: Path | None = Field(
        default=None,
        description="The same from a file with the columns user, team, site, vendor and name; read at the start, so a change of it "
        "needs a restart. A path is taken from the folder in which the gateway starts.",
    )
    projects: Annotated[dict[str, ProjectDims], BeforeValidator(_texts)] = Field(
        default={},
        description="Dimensions by the project's id or name (of Argilla: the dataset's); SOURCE/ID or SOURCE/NAME where several "
        "sources have equal ones.",
    )
    _users: dict[str, LabelerDims] | None = PrivateAttr(default=None)

    @property
    def people(self) -> dict[str, LabelerDims]:
        """Everybody who is placed, by labeler id; of ``users_csv`` what ``load_users`` has read."""
        return self.labelers if self._users is None else self._users

    def load_users(self) -> None:
        """Read ``users_csv``, once.

        Raises:
            ConfigErrors: What is wrong with it, with its line and column.
        """
        if self.users_csv is not None and self._users is None:
            self._users = read_users(self.users_csv, self.labelers)

    def dims_of(self, labeler: str, project: ProjectDims | None) -> dict[str, Any]:
        """Return team, site and vendor of a labeller; those of the project where nothing is said of the labeller."""
        own = self.people.get(labeler)
        sides = [one for one in (own, project) if one is not None]
        return {name: next((found for one in sides if (found := getattr(one, name))), None) for name in _DIMS}

    def project_key(self, source: str, number: Any, name: Any) -> str | None:
        """Return under which key of ``projects`` a project stands; None where nothing is said of it.

        Args:
            source: CloudEvents source, ``<tool>/<name>``.
            number: Its id.
            name: Its title.
        """
        said = [str(one) for one in (number, name) if one is not None]
        short = source.partition("/")[2]
        keys = [*(f"{short}/{one}" for one in said), *said]
        return next((key for key in keys if key in self.projects), None)

    def project(self, source: str, number: Any, name: Any) -> ProjectDims | None:
        """Return what is said of a project; arguments as of ``project_key``."""
        key = self.project_key(source, number, name)
        return None if key is None else self.projects[key]


def read_users(path: Path, others: dict[str, LabelerDims]) -> dict[str, LabelerDims]:
    """Return the people of a file, together with those that the configuration names.

    Args:
        path: CSV with a line of names first.
        others: People who stand elsewhere, and so must not stand in it.

    Raises:
        ConfigErrors: Every fault found, at most 20, with line and column.
    """
    faults: list[ConfigError] = []

    def fault(line: int, column: int, reason: str, hint: str | None) -> None:
        faults.append(ConfigError(str(path), line, column, reason, hint))
        if len(faults) >= _MOST_TOLD:
            raise ConfigErrors(faults)

    try:
        rows = csv.reader(io.StringIO(read_text(path, MAX_USERS_BYTES).removeprefix("\ufeff")), strict=True)
        names = [one.strip() for one in next(rows, [])]
        _check_names(names, fault)
        found = dict(others)
        lines: dict[str, int] = {}
        for row in rows:
            if row:
                _take(row, names, rows.line_num, found, lines, fault)
    except FileFault as error:
        raise ConfigErrors([ConfigError(str(path), 0, 0, error.reason, error.hint)]) from error
    except csv.Error as error:
        reason = f"this is no CSV: {error}"
        raise ConfigErrors([ConfigError(str(path), rows.line_num, 1, reason, "save it as CSV with commas")]) from error
    if faults:
        raise ConfigErrors(faults)
    return found


def _check_names(names: list[str], fault: Any) -> None:
    for column, name in enumerate(names, 1):
        if name not in COLUMNS:
            fault(
                1, column, f"there is no column {name[:100]!r}", nearest(name, COLUMNS) or f"use {', '.join(COLUMNS)}"
            )
        elif name in names[: column - 1]:
            fault(1, column, f"the column {name} is there twice", "keep one")
    if "user" not in names:
        fault(1, 1, "there is no column user", "the first line names the columns, e.g. user,team,site,vendor")


def _take(
    row: list[str], names: list[str], line: int, found: dict[str, LabelerDims], lines: dict[str, int], fault: Any
) -> None:
    if "user" not in names:
        return
    if len(row) != len(names):
        fault(
            line,
            1,
            f"the line has {len(row)} values, and {len(names)} columns are named",
            'quote what has a comma: "a, b"',
        )
        return
    said = {name: value.strip() for name, value in zip(names, row, strict=True)}
    at, user = names.index("user") + 1, said["user"]
    if not user:
        fault(line, at, "the line names no user", "write the labeler id, or remove the line")
    elif user in lines:
        fault(line, at, f"{user[:100]!r} stands in line {lines[user]} too", "keep one of the two lines")
    elif user in found:
        fault(line, at, f"{user[:100]!r} stands in labelers of the configuration too", "keep one of the two")
    elif len(lines) >= MAX_USERS:
        fault(line, at, f"the file has more than {MAX_USERS:,} users", "remove those who left")
    else:
        for name in _DIMS:
            if len(said.get(name, "")) > _MOST_CHARS:
                fault(line, names.index(name) + 1, f"{name} has more than {_MOST_CHARS} characters", "shorten it")
                return
        lines[user] = line
        found[user] = LabelerDims(**{name: said.get(name) or None for name in _DIMS})
