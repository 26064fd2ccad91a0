"""``floorwatch map test --source``: what the settings of a source make of hooks, dimension by dimension."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from floorwatch.cli.options import misused
from floorwatch.output.terminal import say, say_json, say_lines

if TYPE_CHECKING:
    from floorwatch.settings.schema import FloorwatchConfig
    from gateway.placed import PlacedEvent
    from gateway.sources.base import Webhook
    from gateway.webhook_batch import WebhookBatch


def _loaded(config: Path | None) -> FloorwatchConfig:
    import os

    from floorwatch.cli.common import exit_on_config_error
    from floorwatch.settings.load import load

    with exit_on_config_error():
        return load(config, os.environ, channels="tolerated", process="gateway")


def mapping_of(source: str, config: Path | None) -> Path | None:
    """Return the file of a source whose tool is ``mapped``; None for the source of a built-in tool."""
    held = _loaded(config).gateway.sources.get(source.removeprefix("mapped/"))
    return held.mapped.mapping if held is not None and held.tool == "mapped" else None


def run_source(source: str, samples: list[Path], config: Path | None, *, as_json: bool) -> None:
    """Show what each dimension of the samples' tasks and labels became, and what is not mapped.

    Args:
        source: A name of ``gateway.sources``, or ``TOOL/NAME``.
        samples: Hooks as the tool sent them, one a file, in order.
        config: The YAML file.
        as_json: Whether to print one JSON object.
    """
    import asyncio

    from config.errors import ConfigErrors
    from gateway.placed import placed

    settings = _loaded(config).gateway
    full = _full_name(source, settings.sources)
    section = settings.tool_settings(full)
    try:
        section.load_users()
    except ConfigErrors as errors:
        say("\n\n".join(error.render() for error in errors.errors), err=True)
        raise typer.Exit(1) from errors
    hooks = asyncio.run(_reduced(full, samples, section))
    events, batch = placed(full, hooks, time.time_ns() // 1_000_000, settings)
    unmapped = sorted({one for outcome in batch.outcomes for one in outcome.unmapped})
    if as_json:
        say_json(_as_json(full, events, batch, unmapped))
    else:
        _show(full, events, batch, unmapped)
    if any(outcome.problems for outcome in batch.outcomes):
        raise typer.Exit(1)


def _full_name(source: str, sources: dict[str, Any]) -> str:
    """Return the CloudEvents source that is meant; ends the command where there is none."""
    from config.nearest import nearest
    from gateway.sources.registry import TOOLS

    tool, _, name = source.partition("/")
    if name and tool in TOOLS:
        return source
    held = sources.get(source)
    if held is None:
        misused(
            f"there is no source {source} in gateway.sources; {nearest(source, sources, 'write TOOL/NAME, e.g. label-studio/kul')}"
        )
    return f"{held.tool or 'label-studio'}/{source}"


async def _reduced(source: str, samples: list[Path], section: Any) -> list[Webhook]:
    """Return the hooks of files as the gateway keeps them; ends the command where it would refuse one."""
    import msgspec

    from config.files import MAX_LIST_BYTES, FileFault, read_bytes
    from gateway.sources.registry import tool_of
    from gateway.time_slices import SliceScheduler, TimeSlices, TooComplex
    from gateway.webhooks import BadWebhook

    found = []
    for path in samples:
        try:
            slices = TimeSlices(SliceScheduler(), "")
            found.append(await tool_of(source).redact(read_bytes(path, MAX_LIST_BYTES), section, slices))
        except FileFault as fault:
            misused(f"{path}: {fault.reason}; {fault.hint}")
        except BadWebhook as fault:
            misused(f"{path}: the gateway would refuse it: {fault.reason}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TooComplex):
            misused(f"{path} is not JSON that the gateway takes; a sample is one hook, as the tool sent it")
    return found


def _show(source: str, events: list[PlacedEvent], batch: WebhookBatch, unmapped: list[tuple[str, str]]) -> None:
    say(f"{source}: {len(batch.records)} events, {len(events)} of them with dimensions")
    for event in events:
        by = f" by {event.labeler}" if event.labeler else ""
        say_lines([f"  {event.type} {event.task}{by}"])
        say_lines(f"    {one.name} {'unset' if one.value is None else one.value} ({one.rule})" for one in event.dims)
    for outcome in batch.outcomes:
        if outcome.ignored is not None:
            say_lines([f"  ignored: {outcome.ignored}"])
        say_lines(f"  dead letter {one.code}: {one.reason}" for one in outcome.problems)
    say_lines(f"  not mapped: {kind} {name}" for kind, name in unmapped)


def _as_json(
    source: str, events: list[PlacedEvent], batch: WebhookBatch, unmapped: list[tuple[str, str]]
) -> dict[str, Any]:
    told = [
        {
            "type": event.type,
            "task": event.task,
            "labeler_id": event.labeler,
            "dimensions": {one.name: {"value": one.value, "from": one.rule} for one in event.dims},
        }
        for event in events
    ]
    return {
        "source": source,
        "events": told,
        "ignored": [one.ignored for one in batch.outcomes if one.ignored is not None],
        "problems": [one.code for outcome in batch.outcomes for one in outcome.problems],
        "unmapped": [{"kind": kind, "id": name} for kind, name in unmapped],
    }
