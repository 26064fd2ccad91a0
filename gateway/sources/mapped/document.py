"""What stands in the file of a mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from config.base import Section, SettingsFault, refuse, refuse_one
from config.nearest import nearest
from config.zone_names import hint as zone_hint
from gateway.sources.mapped.contract import EVENTS, fields_of, required_of
from gateway.sources.mapped.expressions import BadExpression, Expression, Place


def _list(text: str) -> str:
    _places(text)
    return text


def _places(text: str) -> frozenset[Place]:
    try:
        return Expression(text).places
    except BadExpression as fault:
        refuse_one(str(fault), fault.hint)


def _expression(text: str) -> str:
    places = _places(text)
    if () in places or ("_hook",) in places:
        refuse_one(
            "the expression takes all of the hook, so all of its content would be kept",
            "name the fields, e.g. data.id; to keep all by choice write  keep: all",
        )
    return text


Text = Annotated[str, AfterValidator(_expression)]
"""An expression in JMESPath over an item of the hook; ``_hook`` in it is the whole hook."""


ListText = Annotated[str, AfterValidator(_list)]
"""An expression over the hook."""


class FieldRule(Section):
    """Where a field of an event comes from."""

    expression: Text = Field(alias="from", description="What the tool says.")
    table: str | None = Field(default=None, description="Table by which it is put into other words.")
    column: str | None = Field(default=None, description="Column of a table from a file; by default the field's name.")


def _plain(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


Fields = dict[str, Annotated[FieldRule, BeforeValidator(_plain)]]


class EventRule(Section):
    """An event, and the items of a hook that mean it."""

    when: Text = Field(description="An item of which this is true means the event.")
    event: str = Field(description="The event's type, e.g. label.submitted.")
    task: Text | None = Field(default=None, description="The task's id in the tool; by default the mapping's task.")
    time: Text | None = Field(
        default=None,
        description="When it happened in the tool; by default the mapping's time. Not when the hook was sent: sent again, it "
        "would be another event.",
    )
    revision: Text | None = Field(
        default=None,
        description="Where the tool tells no time: its own number or id of this change, the same when it sends it again. The "
        "time is then that of arrival.",
    )
    fields: Fields = Field(default={}, description="The event's data.")

    @field_validator("event")
    @classmethod
    def _known(cls, event: str) -> str:
        if event not in EVENTS:
            refuse_one(f'there is no event "{event}"', nearest(event, EVENTS))
        return event

    @model_validator(mode="after")
    def _sound(self) -> EventRule:
        known = fields_of(self.event)
        faults = [
            SettingsFault(("fields", name), f"{self.event} has no such field", nearest(name, known))
            for name in self.fields
            if name not in known
        ]
        faults += [
            SettingsFault(("fields",), f"{self.event} needs {name}", f"add  {name}: EXPRESSION")
            for name in required_of(self.event)
            if name not in self.fields
        ]
        if {"active_s", "active_ms"} <= self.fields.keys():
            faults.append(SettingsFault(("fields", "active_s"), "active_ms is there too", "keep one of the two"))
        refuse(faults)
        return self


class IgnoreRule(Section):
    """Items that mean nothing here."""

    when: Text = Field(description="An item of which this is true, and that no event takes, means nothing.")
    reason: str = Field(min_length=1, max_length=200, description="Why, for people who read the answer.")


class TableRule(Section):
    """Words of the tool in ours: values here, or a CSV file."""

    values: dict[str, str] | None = Field(default=None, description="Ours by the tool's.")
    csv: Path | None = Field(default=None, description="File with a line of names first; beside the mapping's file.")
    key: str | None = Field(default=None, description="Column of the file that holds the tool's word.")

    @model_validator(mode="after")
    def _one(self) -> TableRule:
        if (self.values is None) == (self.csv is None):
            refuse_one("a table has either values or a csv", "write  values: {theirs: ours}  or  csv: FILE")
        if (self.csv is None) != (self.key is None):
            refuse_one("key goes with csv", "name the column that holds the tool's word, e.g. key: user")
        return self


class ToolTimes(Section):
    """How the tool writes times."""

    format: Literal["rfc3339", "unix_s", "unix_ms"] = Field(
        default="rfc3339", description="Text, or a number since 1970."
    )
    zone: str | None = Field(
        default=None, description="Zone of texts that say none; without it such a time is refused."
    )

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, zone: str | None) -> str | None:
        try:
            if zone is not None:
                ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            refuse_one(f'"{zone}" is no time zone', zone_hint(str(zone)))
        return zone


class ExpectedEvent(Section):
    """An event that an example gives; only what is written here is compared."""

    event: str
    task: str | None = None
    time: str | None = None
    data: dict[str, Any] = Field(default={})


class Example(Section):
    """A hook and what it means."""

    name: str = Field(default="", description="For people.")
    hook: Any = Field(description="The hook's body.")
    events: tuple[ExpectedEvent, ...] = Field(default=(), description="All events it gives, in order.")
    ignored: bool = Field(default=False, description="Whether all of it is ignored.")
    problems: tuple[str, ...] = Field(default=(), description="Codes of the dead letters, in order.")


class MappingDocument(Section):
    """The file of a mapping."""

    version: Literal[1]
    title: str = Field(min_length=1, max_length=64, description="The tool's name for people.")
    each: ListText | None = Field(
        default=None, description="The list whose items are mapped; else the hook is the one item."
    )
    task: Text | None = Field(default=None, description="The task's id, for events that say none.")
    time: Text | None = Field(
        default=None, description="When it happened, for events that say neither time nor revision."
    )
    times: ToolTimes = ToolTimes()
    tables: dict[str, TableRule] = Field(default={})
    events: tuple[EventRule, ...] = Field(default=(), max_length=100)
    ignore: tuple[IgnoreRule, ...] = Field(default=(), max_length=100)
    keep: Literal["all"] | tuple[Text, ...] = Field(
        default=(),
        description="What else is kept of a hook, for a mapping to come; all: everything, see docs/security.md.",
    )
    examples: tuple[Example, ...] = Field(default=(), max_length=1000)

    def time_of(self, rule: EventRule) -> str | None:
        """Return where the time of an event comes from; None where it has a revision only."""
        return self.time if rule.time is None and rule.revision is None else rule.time

    @model_validator(mode="after")
    def _identity(self) -> MappingDocument:
        faults = []
        for number, rule in enumerate(self.events):
            if rule.task is None and self.task is None:
                faults.append(SettingsFault(("events", number, "task"), "no task is named", "add  task: EXPRESSION"))
            if rule.revision is None and self.time_of(rule) is None:
                reason = "without a time or a revision of the tool, a hook that is sent again cannot be told from a new change"
                hint = "add  time: EXPRESSION, when it happened; or  revision: EXPRESSION, the tool's own number of the change"
                faults.append(SettingsFault(("events", number, "time"), reason, hint))
        refuse(faults)
        return self

    @model_validator(mode="after")
    def _tables(self) -> MappingDocument:
        faults = []
        for number, rule in enumerate(self.events):
            for name, one in rule.fields.items():
                place = ("events", number, "fields", name, "table")
                table = self.tables.get(one.table or "")
                if one.table is not None and table is None:
                    faults.append(
                        SettingsFault(place, f"there is no table {one.table}", nearest(one.table, self.tables))
                    )
                elif one.column is not None and (table is None or table.csv is None):
                    faults.append(
                        SettingsFault((*place[:-1], "column"), "only a table from a file has columns", "remove it")
                    )
        refuse(faults)
        return self
