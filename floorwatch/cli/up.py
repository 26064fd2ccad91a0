"""``floorwatch up``: the whole stack on this machine, from Python wheels, until Ctrl-C."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.cli.options import ConfigFileOption
from floorwatch.output.reader_zone import local_rfc3339
from floorwatch.output.terminal import DataConsole, say, wide_console

if TYPE_CHECKING:
    from floorwatch.embedded.stack_plan import StackPlan
    from floorwatch.embedded.supervisor import Stack


def up(
    var: Annotated[Path, typer.Option(envvar="FLOORWATCH_VAR", help="Journal, logs and state.")] = Path("var"),
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    gateway_port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes the last one used, or a free one.")] = 0,
    web_port: Annotated[int, typer.Option(min=0, max=65535, help="Of the pages behind links; 0 as above.")] = 0,
    metrics_port: Annotated[int, typer.Option(min=0, max=65535, help="Of the first worker; 0 as above.")] = 0,
    demo_floor: Annotated[bool, typer.Option("--demo-floor", help="Play a simulated floor too.")] = False,
    config: ConfigFileOption = None,
) -> None:
    """Run broker, Redis, gateway, web pages and workers on free loopback ports. Events accepted before are replayed."""
    import asyncio

    from floorwatch.embedded.child_process import StartError
    from floorwatch.embedded.launch import make_plan
    from floorwatch.embedded.state import AlreadyRunning

    console = wide_console()
    plan = make_plan(
        var,
        config=config,
        workers=workers,
        gateway_port=gateway_port,
        web=True,
        web_port=web_port,
        metrics_port=metrics_port,
    )
    say_faults(config)
    try:
        asyncio.run(_up(plan, console, demo_floor=demo_floor))
    except (StartError, AlreadyRunning, TimeoutError, OSError) as error:
        say(f"floorwatch up: {error}", err=True)
        raise typer.Exit(1) from error


def say_faults(config: Path | None) -> None:
    """Say what is wrong with a configuration with which the stack starts all the same, so that nobody waits for alerts in vain.

    Args:
        config: As ``configuration_faults`` takes it.
    """
    from floorwatch.embedded.launch import configuration_faults

    faults = configuration_faults(config)
    if faults:
        say(f"{faults}\nThe stack starts without what is named here; mend it, and start the stack again.\n", err=True)


async def _up(plan: StackPlan, console: DataConsole, *, demo_floor: bool) -> None:
    from floorwatch.embedded.launch import run_until_stopped, stop_requested
    from floorwatch.embedded.show import StackView
    from floorwatch.embedded.supervisor import Stack

    view = StackView(console)
    stack = Stack(plan, view)
    kept = kept_words(plan.paths.journal)
    with stop_requested() as stopping:
        with view:
            started = await run_until_stopped(stack.start(), stopping)
        if not started:
            await stack.stop()
            return
        try:
            _say_where(console, stack.urls, plan, kept, registered=stack.registered)
            await run_until_stopped(_play_or_wait(stack, plan, demo_floor=demo_floor), stopping)
        finally:
            console.print("stopping …")
            await stack.stop()


async def _play_or_wait(stack: Stack, plan: StackPlan, *, demo_floor: bool) -> None:
    import asyncio

    if not demo_floor:
        await stack.failed()
        return
    from floorwatch.embedded.player import play_now

    async with asyncio.TaskGroup() as group:
        group.create_task(stack.failed())
        group.create_task(play_now(plan.paths.journal))


def say_how_to_look(console: DataConsole, plan: StackPlan, *, registered: bool) -> None:
    """Print how to call the command in another terminal, as it can be typed there.

    Args:
        console: Where to.
        plan: Of the stack that runs.
        registered: Whether commands find the stack by themselves.
    """
    where = "" if registered else f" --var {shlex.quote(str(plan.var.resolve()))}"
    console.print(f"In another terminal: {command()} table accuracy --by vendor{where}", soft_wrap=True)


def command() -> str:
    """Return what to type to call this command: its name where the shell finds it, else its path."""
    program = Path(sys.argv[0])
    if program.name != "floorwatch":
        return f"{shlex.quote(sys.executable)} -m floorwatch"
    found = shutil.which("floorwatch")
    if found is not None and Path(found).resolve() == program.resolve():
        return "floorwatch"
    return shlex.quote(str(program.absolute()))


def kept_words(journal: Path) -> str:
    """Return a note on what a folder holds of earlier runs. Those events are counted again from the beginning.

    Args:
        journal: The stack's journal, before it starts.
    """
    from floorwatch.embedded.journal_segments import first_accepted_ms, segment_numbers, segment_path, writers_of
    from streams.core.formatting import size_words

    folders = [journal / name for name in writers_of(journal)]
    paths = [segment_path(folder, number) for folder in folders for number in segment_numbers(folder)]
    times = [at_ms for path in paths if (at_ms := first_accepted_ms(path)) is not None]
    if not times:
        return "which holds no events yet"
    size = sum(path.stat().st_size for path in paths)
    return f"which holds {size_words(size)} of events accepted since {local_rfc3339(min(times))}: they are counted again now"


def _say_where(console: DataConsole, urls: dict[str, str], plan: StackPlan, kept: str, *, registered: bool) -> None:
    console.print(f"\nFloorwatch is up on {plan.var.resolve()}, {kept}. Ctrl-C stops it.", soft_wrap=True)
    for name, url in urls.items():
        console.print(f"  {name:<10} {url}", soft_wrap=True)
    console.print(f"Redis asks for the password in {plan.paths.redis_password.resolve()}.", soft_wrap=True)
    say_how_to_look(console, plan, registered=registered)
