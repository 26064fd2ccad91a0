"""A mapping that was read and checked, ready to be used."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping as Table
from dataclasses import dataclass
from pathlib import Path

from config.errors import ConfigError, ConfigErrors
from config.files import MAX_LIST_BYTES, FileFault, read_text
from config.nearest import nearest
from config.yaml_file import YamlFile, read_yaml_file
from gateway.sources.mapped.contract import Kind, fields_of
from gateway.sources.mapped.document import EventRule, Example, MappingDocument, TableRule, ToolTimes
from gateway.sources.mapped.expressions import Expression, Place
from gateway.sources.mapped.kept import Keeping

MAX_FILE_BYTES = 1_048_576
MAX_ROWS = 100_000

HOOK = "_hook"
"""The member of an item by which expressions reach the hook around it."""


@dataclass(frozen=True)
class MappedField:
    """A field of an event.

    Attributes:
        name: In the contract, e.g. ``prediction.model``.
        expression: Where it comes from.
        kind: What the field takes.
        table: Ours by the tool's word; None where it is taken as it is.
        place: Where it stands in the mapping.
    """

    name: str
    expression: Expression
    kind: Kind
    table: Table[str, str] | None
    place: str


@dataclass(frozen=True)
class MappedEvent:
    """An event, and which items mean it; see ``EventRule``."""

    when: Expression
    event: str
    task: Expression
    time: Expression | None
    revision: Expression | None
    fields: tuple[MappedField, ...]
    place: str


@dataclass(frozen=True)
class Mapping:
    """What the webhooks of a tool mean.

    Attributes:
        title: The tool's name for people.
        each: The list of items; None where the hook is the one item.
        times: How the tool writes times.
        events: What items mean.
        ignore: What means nothing, with the reason.
        keeping: What is kept of a hook.
        item: Where an item stands.
        used: Places that an expression names.
        examples: Hooks with what they mean.
        file: Where the mapping stands, for faults of its examples.
    """

    title: str
    each: Expression | None
    times: ToolTimes
    events: tuple[MappedEvent, ...]
    ignore: tuple[tuple[Expression, str], ...]
    keeping: Keeping
    item: Place
    used: frozenset[Place]
    examples: tuple[Example, ...]
    file: YamlFile


def load_mapping(path: Path) -> Mapping:
    """Read the file of a mapping and the tables it names.

    Raises:
        ConfigErrors: Every fault found, with its place.
    """
    try:
        file = read_yaml_file(path, MAX_FILE_BYTES)
    except FileFault as fault:
        raise ConfigErrors([ConfigError(str(path), 0, 0, fault.reason, fault.hint)]) from fault
    document = file.read_as(MappingDocument, "version: 1")
    tables = {name: _rows(file, path.parent, name, rule) for name, rule in document.tables.items()}
    faults: list[ConfigError] = []
    events = tuple(_event(number, rule, document, tables, file, faults) for number, rule in enumerate(document.events))
    if not (events or document.ignore or document.keep):
        faults.append(file.fault((), "the mapping says nothing: it has no events, ignore or keep", "add  events:"))
    each = None if document.each is None else Expression(document.each)
    items = _items_of(file, document, faults)
    if faults:
        raise ConfigErrors(faults)
    ignore = tuple((Expression(one.when), one.reason) for one in document.ignore)
    used = _used(document, each, items)
    kept = {()} if document.keep == "all" else {place for one in document.keep for place in _from_top(one, items)}
    return Mapping(
        document.title, each, document.times, events, ignore, Keeping(used | kept), items, used, document.examples, file
    )


def _items_of(file: YamlFile, document: MappingDocument, faults: list[ConfigError]) -> Place:
    """Return where items stand: ``each`` has to lead to one place, so that it is known what of the hook is kept."""
    if document.each is None:
        return ()
    leads = Expression(document.each).leads_to
    if len(leads) != 1:
        reason = "leads to no list, or to several"
        faults.append(file.fault(("each",), reason, "name one list, e.g. each: data.items"))
        return ()
    return next(iter(leads))


def _used(document: MappingDocument, each: Expression | None, items: Place) -> frozenset[Place]:
    texts = [one.when for one in document.ignore]
    for rule in document.events:
        said = (rule.when, rule.task or document.task, document.time_of(rule), rule.revision)
        texts += [one for one in said if one is not None]
        texts += [one.expression for one in rule.fields.values()]
    found = {place for text in texts for place in _from_top(text, items)}
    return frozenset(found if each is None else found | (each.places - {items}))


def _from_top(text: str, items: Place) -> set[Place]:
    """Return the places that an expression about an item names, from the top of the hook."""
    places = Expression(text).places
    return {place[1:] if place[:1] == (HOOK,) else (*items, *place) for place in places}


def _event(
    number: int,
    rule: EventRule,
    document: MappingDocument,
    tables: Table[str, Table[str, Table[str, str]]],
    file: YamlFile,
    faults: list[ConfigError],
) -> MappedEvent:
    kinds = fields_of(rule.event)
    fields = []
    for name, one in rule.fields.items():
        table = None
        if one.table is not None:
            column = one.column or name
            columns = tables[one.table]
            table = columns.get(column) if document.tables[one.table].csv is not None else columns[""]
            if table is None:
                reason = f"the table {one.table} has no column {column}"
                faults.append(file.fault(("events", number, "fields", name, "table"), reason, nearest(column, columns)))
        fields.append(
            MappedField(name, Expression(one.expression), kinds[name], table, f"events[{number}].fields.{name}")
        )
    time, revision = (None if one is None else Expression(one) for one in (document.time_of(rule), rule.revision))
    return MappedEvent(
        Expression(rule.when),
        rule.event,
        Expression(rule.task or document.task or ""),
        time,
        revision,
        tuple(fields),
        f"events[{number}]",
    )


def _rows(file: YamlFile, folder: Path, name: str, rule: TableRule) -> dict[str, dict[str, str]]:
    """Return the columns of a table, each as ours by the tool's word; of ``values`` the one column without a name.

    Raises:
        ConfigErrors: The file cannot be read, or has no such column, or a word twice.
    """
    if rule.csv is None:
        return {"": dict(rule.values or {})}
    place = ("tables", name, "csv")
    where = rule.csv if rule.csv.is_absolute() else folder / rule.csv
    try:
        rows = csv.DictReader(io.StringIO(read_text(where, MAX_LIST_BYTES)), strict=True)
        names = list(rows.fieldnames or ())
        if rule.key not in names:
            hint = nearest(str(rule.key), names)
            raise ConfigErrors([file.fault(("tables", name, "key"), f"{where} has no column {rule.key}", hint)])
        found: dict[str, dict[str, str]] = {one: {} for one in names if one != rule.key}
        seen: set[str] = set()
        for row in rows:
            word = row[rule.key] or ""
            wide = None in row or None in row.values()
            if wide or word in seen or len(seen) >= MAX_ROWS:
                said = "has more or fewer values than names" if wide else f"has {word!r} again, or is beyond {MAX_ROWS}"
                raise ConfigErrors([file.fault(place, f"{where}:{rows.line_num} {said}", "mend the line")])
            seen.add(word)
            for one, column in found.items():
                if row[one]:
                    column[word] = row[one]
    except FileFault as fault:
        raise ConfigErrors([file.fault(place, f"{where} {fault.reason}", fault.hint)]) from fault
    except csv.Error as error:
        raise ConfigErrors([file.fault(place, f"{where} is no CSV: {error}", "save it as CSV with commas")]) from error
    return found
