"""``floorwatch map``: try the mapping of a tool on its own examples and on hooks, before the gateway uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from floorwatch.cli.options import ConfigFileOption, JsonOption, misused
from floorwatch.output.terminal import DataTable, json_line, say, say_json, say_lines, wide_console
from streams.core.formatting import plural

if TYPE_CHECKING:
    from gateway.sources.mapped.mapping import Mapping
    from gateway.sources.mapped.meaning import HookMeaning
    from gateway.sources.mapped.trial import FieldUse

map_app = typer.Typer(help="Mappings of tools that have no package: try them.", no_args_is_help=True)


@map_app.callback()
def _group() -> None:
    """Mappings of tools that have no package (docs/sources/mapping.md)."""


@map_app.command("test")
def run_test(
    mapping: Annotated[
        Path,
        typer.Argument(
            metavar="MAPPING", help="The mapping, in YAML; with --source there is none, and samples begin here."
        ),
    ],
    samples: Annotated[
        list[Path] | None, typer.Argument(metavar="[SAMPLE.json]...", help="Hooks as the tool sent them, one a file.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="A source of the configuration: show what its settings make of samples. TOOL/NAME where it is none of gateway.sources."
        ),
    ] = None,
    config: ConfigFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a mapping, try its examples, show what samples mean and which fields are used; exit 1 if something is not right."""
    from config.errors import ConfigErrors
    from floorwatch.cli.map_source import mapping_of, run_source
    from gateway.sources.mapped.mapping import load_mapping
    from gateway.sources.mapped.trial import coverage, failures

    if source is not None:
        samples = [mapping, *(samples or ())]
        own = mapping_of(source, config)
        if own is None:
            run_source(source, samples, config, as_json=as_json)
            return
        mapping = own
    try:
        held = load_mapping(mapping)
    except ConfigErrors as errors:
        say("\n\n".join(error.render() for error in errors.errors), err=True)
        raise typer.Exit(1) from errors
    failed = failures(held)
    read = {path: _hook(path) for path in samples or ()}
    meanings = {path: _meaning(hook, held) for path, hook in read.items()}
    fields = coverage([*(one.hook for one in held.examples), *read.values()], held)
    if as_json:
        say_json(_as_json(held, [one.render() for one in failed], meanings, fields))
    else:
        for error in failed:
            say(error.render() + "\n", err=True)
        said = plural(len(failed), "failure") if failed else "all passed"
        say(f"{mapping}: {plural(len(held.examples), 'example')}, {said}")
        for path, meaning in meanings.items():
            say_lines([f"{path}:", *_lines(meaning)])
        _show(fields)
    if failed or any(isinstance(one, str) for one in meanings.values()):
        raise typer.Exit(1)


def _hook(path: Path) -> Any:
    """Return the hook of a file, read as the gateway reads it."""
    import msgspec

    from config.files import FileFault, read_bytes
    from gateway.sources.mapped.kept import MAX_BYTES, read_json
    from gateway.webhooks import BadWebhook

    try:
        return read_json(read_bytes(path, MAX_BYTES))
    except FileFault as fault:
        misused(f"{path}: {fault.reason}; {fault.hint}")
    except BadWebhook as fault:
        misused(f"{path}: {fault.reason}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        misused(f"{path} is not JSON; a sample is one hook, as the tool sent it")


def _meaning(hook: Any, mapping: Mapping) -> HookMeaning | str:
    """Return what a hook means, or why the gateway would refuse it."""
    from gateway.sources.mapped.trial import meaning_of
    from gateway.webhooks import BadWebhook

    try:
        return meaning_of(hook, mapping)
    except BadWebhook as fault:
        return fault.reason


def _lines(meaning: HookMeaning | str) -> list[str]:
    if isinstance(meaning, str):
        return [f"  refused: {meaning}"]
    found = []
    for one in meaning.events:
        at = one["time"] or f"on arrival, revision {one['revision']}"
        found.append(f"  {one['event']} task {one['task']} {at} {json_line(one['data'])}")
    found += [f"  dead letter {one['code']}: {one['field']}: {one['reason']}" for one in meaning.problems]
    found += [f"    {json_line(one['summary']['item'])}" for one in meaning.problems if "item" in one["summary"]]
    return [*found, *(f"  ignored: {reason}" for reason in dict.fromkeys(meaning.ignored))] or ["  no items"]


def _show(fields: list[FieldUse]) -> None:
    if not fields:
        return
    counts = {use: sum(one.use == use for one in fields) for use in ("used", "kept", "ignored")}
    said = ", ".join(f"{count} {use}" for use, count in counts.items())
    say(f"fields of the hooks: {said}; the values of those ignored are kept nowhere")
    table = DataTable()
    table.add_names("field", "use")
    table.add_numbers("values")
    for one in fields:
        table.add_row(one.field, one.use, str(one.count))
    wide_console().print(table)


def _as_json(
    mapping: Mapping, failed: list[str], meanings: dict[Path, HookMeaning | str], fields: list[FieldUse]
) -> dict[str, Any]:
    hooks = {
        str(path): {"refused": one}
        if isinstance(one, str)
        else {"events": one.events, "problems": one.problems, "ignored": one.ignored}
        for path, one in meanings.items()
    }
    uses = [{"field": one.field, "use": one.use, "values": one.count} for one in fields]
    return {
        "title": mapping.title,
        "examples": len(mapping.examples),
        "failures": failed,
        "hooks": hooks,
        "fields": uses,
    }
