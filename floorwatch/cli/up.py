"""``floorwatch up``: the whole stack on this machine, from Python wheels, until Ctrl-C."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.output.terminal import DataConsole, say, wide_console

if TYPE_CHECKING:
    from floorwatch.embedded.plan import Plan
    from floorwatch.embedded.supervisor import Stack


def up(
    var: Annotated[Path, typer.Option(envvar="FLOORWATCH_VAR", help="Journal, logs and state.")] = Path("var"),
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    gateway_port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes the last one used, or a free one.")] = 0,
    metrics_port: Annotated[int, typer.Option(min=0, max=65535, help="Of the first worker; 0 as above.")] = 0,
    demo_floor: Annotated[bool, typer.Option("--demo-floor", help="Play a simulated floor too.")] = False,
    config: Annotated[Path | None, typer.Option("--config", "-c", envvar="FLOORWATCH_CONFIG")] = None,
) -> None:
    """Run broker, Redis, gateway and workers on free loopback ports; what was accepted before is played again."""
    import asyncio

    from floorwatch.embedded.launch import make_plan
    from floorwatch.embedded.process import StartError
    from floorwatch.embedded.state import AlreadyRunning

    console = wide_console()
    plan = make_plan(var, config=config, workers=workers, gateway_port=gateway_port, metrics_port=metrics_port)
    try:
        asyncio.run(_up(plan, console, demo_floor=demo_floor))
    except (StartError, AlreadyRunning, TimeoutError, OSError) as error:
        say(f"floorwatch up: {error}", err=True)
        raise typer.Exit(1) from error


async def _up(plan: Plan, console: DataConsole, *, demo_floor: bool) -> None:
    from floorwatch.embedded.launch import run_until_stopped, stop_requested
    from floorwatch.embedded.show import StackView
    from floorwatch.embedded.supervisor import Stack

    view = StackView(console)
    stack = Stack(plan, view)
    with stop_requested() as stopping:
        with view:
            started = await run_until_stopped(stack.start(), stopping)
        if not started:
            await stack.stop()
            return
        try:
            _say_where(console, stack.urls, plan, registered=stack.registered)
            await run_until_stopped(_play_or_wait(stack, plan, demo_floor=demo_floor), stopping)
        finally:
            console.print("stopping …")
            await stack.stop()


async def _play_or_wait(stack: Stack, plan: Plan, *, demo_floor: bool) -> None:
    import asyncio

    if not demo_floor:
        await stack.failed()
        return
    from floorwatch.embedded.player import play_now

    async with asyncio.TaskGroup() as group:
        group.create_task(stack.failed())
        group.create_task(play_now(plan.paths.journal))


def say_how_to_look(console: DataConsole, plan: Plan, *, registered: bool) -> None:
    """Print how to call the command in another terminal, as it can be typed there.

    Args:
        console: Where to.
        plan: Of the stack that runs.
        registered: Whether commands find the stack by themselves.
    """
    where = "" if registered else f" --var {shlex.quote(str(plan.var.resolve()))}"
    console.print(f"In another terminal: {command()} table accuracy --by queue{where}", soft_wrap=True)


def command() -> str:
    """Return what to type to call this command: its name where the shell finds it, else its path."""
    program = Path(sys.argv[0])
    if program.name != "floorwatch":
        return f"{shlex.quote(sys.executable)} -m floorwatch"
    found = shutil.which("floorwatch")
    if found is not None and Path(found).resolve() == program.resolve():
        return "floorwatch"
    return shlex.quote(str(program.absolute()))


def _say_where(console: DataConsole, urls: dict[str, str], plan: Plan, *, registered: bool) -> None:
    console.print(f"\nFloorwatch is up on {plan.var}; Ctrl-C stops it.")
    for name, url in urls.items():
        console.print(f"  {name:<10} {url}", soft_wrap=True)
    console.print(f"Redis asks for the password in {plan.paths.redis_password}.", soft_wrap=True)
    say_how_to_look(console, plan, registered=registered)
