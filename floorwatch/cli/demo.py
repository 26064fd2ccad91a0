"""``floorwatch demo``: a simulated floor on the embedded stack, several hours in a minute, with an alarm in it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.output.terminal import DataConsole, say, wide_console

if TYPE_CHECKING:
    from floorwatch.cli.demo_view import DemoModel
    from floorwatch.embedded.player import Played
    from floorwatch.embedded.supervisor import Stack

_SHOW_INTERVAL_S = 1.0
_PLAIN_INTERVAL_S = 5.0
_CATCH_UP_S = 120.0
_ALERT_S = 60.0
_WINDOW = "1h"


def demo(
    seconds: Annotated[float, typer.Option(min=5, max=604_800, help="How long to play.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Of the simulated floor.")] = 7,
    hours: Annotated[float, typer.Option(min=0.5, max=48, help="Simulated time to play in it.")] = 4.0,
    var: Annotated[Path | None, typer.Option(help="Folder to keep things in; temporary without it.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Go on until Ctrl-C when it has been played.")] = False,
) -> None:
    """Show tables moving and an alert that explains itself, with nothing installed but Python."""
    import asyncio
    import shutil
    import tempfile

    from floorwatch.cli.up import say_faults
    from floorwatch.embedded.child_process import StartError
    from floorwatch.embedded.state import AlreadyRunning

    say_faults(None)
    folder = var or Path(tempfile.mkdtemp(prefix="floorwatch-demo-"))
    code = 1
    try:
        code = asyncio.run(_Demo(folder, seconds, seed, hours, keep=keep).run())
    except (StartError, AlreadyRunning, TimeoutError, OSError) as error:
        say(f"floorwatch demo: {error}", err=True)
    finally:
        if var is None and code == 0:
            shutil.rmtree(folder, ignore_errors=True)
        elif var is None:
            say(f"logs are kept in {folder / 'log'}", err=True)
    raise typer.Exit(code)


class _Demo:
    def __init__(self, folder: Path, seconds: float, seed: int, hours: float, *, keep: bool) -> None:
        from floorwatch.embedded.launch import make_plan
        from floorwatch.embedded.player import Played

        self._seconds, self._seed, self._hours, self._keep = seconds, seed, hours, keep
        self._console = wide_console(piped_width=140)
        self._plan = make_plan(folder)
        self._played = Played()

    async def run(self) -> int:
        """Run the demonstration; returns the exit code."""
        from floorwatch.embedded.launch import run_until_stopped, stop_requested
        from floorwatch.embedded.show import StackView
        from floorwatch.embedded.supervisor import Stack

        view = StackView(self._console)
        stack = Stack(self._plan, view)
        with stop_requested() as stopping:
            try:
                with view:
                    going = await run_until_stopped(stack.start(), stopping)
                if going:
                    self._say_where(stack)
                    self._console.print(lag_words(self._hours, self._seconds), soft_wrap=True)
                    await run_until_stopped(self._play_and_show(stack), stopping)
                    if self._keep and not stopping.is_set():
                        self._console.print("Ctrl-C stops it.")
                        await run_until_stopped(stack.failed(), stopping)
            finally:
                await stack.stop()
        return 130 if stopping.is_set() and not self._keep else 0

    async def _play_and_show(self, stack: Stack) -> None:
        import asyncio

        from redis.asyncio import Redis

        from floorwatch.cli.demo_view import DemoModel, print_end, tables

        redis = Redis.from_url(stack.urls["redis"], password=stack.redis_password)
        model = DemoModel(redis, self._plan.redis_prefix)
        failed = asyncio.create_task(stack.failed())
        story = asyncio.create_task(self._tell(stack, model))
        try:
            await asyncio.wait([failed, story], return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
            story.result()
            shown = await tables(model, ("vendor", "queue"), _WINDOW, 8)
            print_end(self._console, shown, await model.incidents())
            self._say_next(stack)
        finally:
            failed.cancel()
            story.cancel()
            await asyncio.gather(failed, story, return_exceptions=True)
            await redis.aclose()

    async def _tell(self, stack: Stack, model: DemoModel) -> None:
        """Play the floor with the view beside it, then wait until the tables hold everything and an alert is open."""
        import asyncio

        view = asyncio.create_task(_show(self._console, model, self._played))
        try:
            await self._play(stack)
            moving = model.watermark_ms
            await _until(lambda: _caught_up(stack, model, self._played), _CATCH_UP_S, "the tables to catch up", moving)
            await _until(lambda: _alerted(model), _ALERT_S, "an alert to open", moving)
        finally:
            view.cancel()
            await asyncio.gather(view, return_exceptions=True)

    async def _play(self, stack: Stack) -> None:
        from floorwatch.embedded.journal import open_free_writer, wall_ms
        from floorwatch.embedded.player import WRITER, demo_floor, play
        from floorwatch.simulate.simulated_floor import simulate

        floor = demo_floor(self._hours, self._seconds, wall_ms())
        writer = await open_free_writer(stack.plan.paths.journal, WRITER)
        try:
            speed = floor.duration_s / self._seconds
            await play(simulate(floor, self._seed), writer, start_ms=floor.start_ms, speed=speed, played=self._played)
        finally:
            await writer.stop()

    def _say_next(self, stack: Stack) -> None:
        """Print how to go on: the command as it can be typed in this shell."""
        from floorwatch.cli.up import command, say_how_to_look

        if self._keep:
            self._say_where(stack)
            say_how_to_look(self._console, self._plan, registered=stack.registered)
            return
        program = command()
        lines = [
            "This was the demonstration; it stops now, and its addresses with it. A stack that stays, and what is in it:",
            f"  {program} up",
            f"  {program} table accuracy --by vendor    (in another terminal)",
        ]
        if program != "floorwatch" and "VIRTUAL_ENV" not in os.environ and program.endswith("/bin/floorwatch"):
            lines.append(f"To type just floorwatch: source {program.removesuffix('floorwatch')}activate")
        for line in lines:
            self._console.print(line, soft_wrap=True)

    def _say_where(self, stack: Stack) -> None:
        for name, url in stack.urls.items():
            self._console.print(f"  {name:<10} {url}", soft_wrap=True)


async def _show(console: DataConsole, model: DemoModel, played: Played) -> None:
    """Show the tables moving: live on a terminal, a line now and then and each new incident elsewhere."""
    import asyncio

    from redis.exceptions import RedisError
    from rich.live import Live

    from floorwatch.cli.demo_view import clock, incident_text, screen, tables

    told: set[str] = set()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, screen=False) as live:
            while True:
                try:
                    shown = await tables(model, ("vendor",), _WINDOW, 6)
                    incidents = await model.incidents()
                    status = _status(played, clock(played.floor_ms), clock(await model.watermark_ms()))
                    live.update(screen(shown, incidents, status), refresh=True)
                except RedisError:
                    continue  # it is being restarted; try again next time
                finally:
                    await asyncio.sleep(_SHOW_INTERVAL_S)
    while True:
        await asyncio.sleep(_PLAIN_INTERVAL_S)
        try:
            incidents = await model.incidents()
            console.print(_status(played, clock(played.floor_ms), clock(await model.watermark_ms())))
        except RedisError:
            continue
        for incident in incidents:
            if incident["key"] not in told:
                told.add(incident["key"])
                console.print(incident_text(incident))


def lag_words(hours: float, seconds: float) -> str:
    """Return why the tables of the demonstration are minutes behind: its floor's time runs faster than the clock.

    Args:
        hours: Of the floor's time that are played.
        seconds: Of the clock in which they are.
    """
    speed = hours * 3600 / seconds
    return (
        f"The floor's time runs {speed:,.0f} times as fast as the clock: one second that an event takes to its table is "
        f"{speed / 60:,.0f} minutes of the floor's time, so that far the tables are behind."
    )


def _status(played: Played, floor: str, tables_as_of: str) -> str:
    return f"{played.events:,} events sent · floor at {floor} UTC · tables as of {tables_as_of} UTC"


async def _until(
    done: Callable[[], Awaitable[bool]], patience_s: float, what: str, moving: Callable[[], Awaitable[object]]
) -> None:
    """Wait until a condition holds, for as long as there is progress, because a busy machine is only slow.

    Args:
        done: Whether it holds.
        patience_s: Seconds without a change of ``moving`` after which the wait gives up.
        what: What is waited for, for the message.
        moving: A state that changes while work is being done.

    Raises:
        TimeoutError: Nothing has moved for too long.
    """
    import asyncio
    import time

    seen, since_s = await moving(), time.monotonic()
    while not await done():
        now = await moving()
        if now != seen:
            seen, since_s = now, time.monotonic()
        elif time.monotonic() - since_s > patience_s:
            raise TimeoutError(
                f"waited for {what}, in vain: nothing has moved for {patience_s:g} s; the worker's log may say why"
            )
        await asyncio.sleep(0.2)


async def _caught_up(stack: Stack, model: DemoModel, played: Played) -> bool:
    """Return whether the tables are as of about the last event: within two minutes of the floor's time."""
    watermark_ms = await model.watermark_ms()
    return stack.shipped() and watermark_ms is not None and watermark_ms >= played.floor_ms - 120_000


async def _alerted(model: DemoModel) -> bool:
    return bool(await model.incidents())
