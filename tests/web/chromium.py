"""A real browser without a window, driven over its DevTools protocol, with scripts of pages switched off."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.support import require

ANSWER_S = 60.0


class Tab:
    """One page of a browser, as wide as a phone."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._sent = socket, 0
        self.fetched: list[str] = []
        """Addresses that the browser has asked for."""
        self._loaded = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._sent += 1
        number = self._sent
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            got = await self._next()
            if got.get("id") == number:
                assert "error" not in got, (method, got)
                result: dict[str, Any] = got["result"]
                return result

    async def open(self, url: str) -> None:
        loaded = self._loaded
        await self.call("Page.navigate", url=url)
        await self._until_loaded(loaded)

    async def press(self, selector: str, *, leads: bool = True) -> None:
        """Touch what a selector finds, as a finger does; wait for the page it leads to."""
        node = await self._node(selector)
        await self.call("DOM.scrollIntoViewIfNeeded", nodeId=node)
        box = (await self.call("DOM.getBoxModel", nodeId=node))["model"]["border"]
        at = {"x": (box[0] + box[4]) / 2, "y": (box[1] + box[5]) / 2}
        loaded = self._loaded
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)
        if leads:
            await self._until_loaded(loaded)

    async def type(self, selector: str, text: str) -> None:
        await self.call("DOM.focus", nodeId=await self._node(selector))
        await self.call("Input.insertText", text=text)

    async def html(self) -> str:
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        return str((await self.call("DOM.getOuterHTML", nodeId=root))["outerHTML"])

    async def picture(self, to: Path) -> None:
        shown = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(to.write_bytes, base64.b64decode(shown["data"]))

    async def width(self) -> tuple[int, int]:
        """Return how wide the content is, and the screen."""
        shown = await self.call("Page.getLayoutMetrics")
        return int(shown["cssContentSize"]["width"]), int(shown["cssLayoutViewport"]["clientWidth"])

    async def _node(self, selector: str) -> int:
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        found = int((await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"])
        assert found, f"nothing is {selector}"
        return found

    async def _until_loaded(self, before: int) -> None:
        while self._loaded == before:
            await self._next()

    async def _next(self) -> dict[str, Any]:
        got: dict[str, Any] = await asyncio.wait_for(self._socket.receive_json(), ANSWER_S)
        if got.get("method") == "Page.loadEventFired":
            self._loaded += 1
        if got.get("method") == "Network.requestWillBeSent":
            self.fetched.append(got["params"]["request"]["url"])
        return got


@asynccontextmanager
async def phone(folder: Path) -> AsyncIterator[Tab]:
    """Run Chromium with one page, 390 points wide."""
    program = require("chromium")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    process = await asyncio.create_subprocess_exec(
        program,
        *options,
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            async with http.get("/json/list") as answer:
                targets = await answer.json()
            address = next(one["webSocketDebuggerUrl"] for one in targets if one["type"] == "page")
            async with http.ws_connect(address, max_msg_size=0) as socket:
                tab = Tab(socket)
                for domain in ("Page", "DOM", "Network"):
                    await tab.call(f"{domain}.enable")
                await tab.call("Emulation.setScriptExecutionDisabled", value=True)
                size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
                await tab.call("Emulation.setDeviceMetricsOverride", **size)
                yield tab
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the group of this browser alone
        await process.wait()


async def _port(file: Path) -> int:
    async with asyncio.timeout(ANSWER_S):
        while True:
            with suppress(OSError, IndexError, ValueError):
                return int((await asyncio.to_thread(file.read_text)).splitlines()[0])
            await asyncio.sleep(0.1)
