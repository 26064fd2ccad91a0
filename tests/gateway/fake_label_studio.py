"""A Label Studio for tests: the part of its API that Floorwatch asks, with the answers and words of 1.23.2."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

LEGACY = "1234567890abcdef1234567890abcdef12345678"
PERSONAL = "header.payload.signature"
FORM = {"c": {"type": "Choices", "to_name": ["text"], "inputs": [], "labels": ["Spam", "Safe"]}}


def said(status: int, detail: str = "", **errors: Any) -> web.Response:
    body: dict[str, Any] = {"id": "x", "status_code": status, "version": "1.23.2", "detail": detail, "exc_info": None}
    if errors:
        body |= {"detail": "Validation error", "validation_errors": errors}
    return web.json_response(body, status=status)


def stamp(second: float) -> str:
    whole, micros = divmod(round(second * 1_000_000), 1_000_000)
    minute, left = divmod(whole, 60)
    return f"2026-12-03T09:{minute:02}:{left:02}.{micros:06}Z"


@dataclass
class FakeLabelStudio:
    """What it holds, and how it behaves.

    Attributes:
        answers: Statuses to answer before it works again, by path; the last part of the path is enough.
        blocked: Why it refuses a webhook's address, by the address.
        send: Whether it calls its webhooks at all.
    """

    projects: dict[int, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    annotations: dict[int, dict[str, Any]] = field(default_factory=dict)
    hooks: dict[int, dict[str, Any]] = field(default_factory=dict)
    answers: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    blocked: Callable[[str], web.Response | None] = lambda url: None
    legacy: bool = False
    release: str = "1.23.2"
    organization_hooks: bool = False
    may_change: bool = True
    send: bool = True
    access_lasts: int = 1000
    refreshed: int = 0
    trust: Any = None
    _left: int = 0

    def add_project(self, title: str = "Alpha", **more: Any) -> dict[str, Any]:
        number = len(self.projects) + 1
        self.projects[number] = {
            "id": number, "title": title, "skip_queue": "REQUEUE_FOR_OTHERS", "maximum_annotations": 1,
            "parsed_label_config": FORM, "created_at": stamp(0), **more,
        }  # fmt: skip
        return self.projects[number]

    def add_task(self, project: int, at: float, **data: Any) -> dict[str, Any]:
        number = len(self.tasks) + 1
        self.tasks[number] = {
            "id": number, "data": {"text": f"text {number}", **data}, "meta": {}, "created_at": stamp(at),
            "updated_at": stamp(at + 0.00001), "overlap": 1, "project": project, "total_annotations": 0,
            "cancelled_annotations": 0, "inner_id": number, "updated_by": [],
        }  # fmt: skip
        return self.tasks[number]

    def add_annotation(self, task: int, at: float, choice: str = "Spam", user: int = 7, **more: Any) -> dict[str, Any]:
        number = len(self.annotations) + 1
        result = [{"from_name": "c", "to_name": "text", "type": "choices", "value": {"choices": [choice]}}]
        held = self.tasks[task]
        self.annotations[number] = {
            "id": number, "unique_id": f"uid-{number}", "result": result, "task": task, "project": held["project"],
            "completed_by": user, "updated_by": user, "was_cancelled": False, "ground_truth": False, "lead_time": 3.5,
            "created_at": stamp(at), "updated_at": stamp(at + 0.00004), "parent_prediction": None,
            "parent_annotation": None, **more,
        }  # fmt: skip
        held["total_annotations"] += 1
        held["updated_at"] = stamp(at + 0.01)
        return self.annotations[number]

    def add_hook(self, url: str, project: int | None = None, **more: Any) -> dict[str, Any]:
        number = len(self.hooks) + 1
        self.hooks[number] = {
            "id": number, "organization": 1, "project": project, "url": url, "send_payload": True,
            "send_for_all_actions": True, "headers": {}, "is_active": True, "actions": [], **more,
        }  # fmt: skip
        return self.hooks[number]

    # -- answers -----------------------------------------------------------------------------------------------------

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guarded()])
        app.router.add_get("/api/version", self._version)
        app.router.add_post("/api/token/refresh/", self._refresh)
        app.router.add_get("/api/current-user/whoami", self._whoami)
        app.router.add_get("/api/projects/", self._projects)
        app.router.add_get("/api/projects/{id}/", self._project)
        app.router.add_patch("/api/projects/{id}/", self._project_saved)
        app.router.add_get("/api/projects/{id}/export", self._export)
        app.router.add_get("/api/tasks/", self._tasks)
        app.router.add_get("/api/webhooks/", self._hooks)
        app.router.add_post("/api/webhooks/", self._hook_made)
        app.router.add_patch("/api/webhooks/{id}/", self._hook_changed)
        return app

    def _guarded(self) -> Any:
        @web.middleware
        async def guard(request: web.Request, handler: Callable[[web.Request], Awaitable[web.Response]]) -> Any:
            self.asked.append((request.method, request.path, dict(request.headers)))
            for index, (path, status, headers) in enumerate(self.answers):
                if request.path.endswith(path):
                    del self.answers[index]
                    return web.Response(status=status, headers=headers)
            if request.match_info.http_exception is not None:
                return web.Response(text="<html>Uh oh</html>", content_type="text/html", status=404)
            if request.path not in {"/api/version", "/api/token/refresh/"}:
                refusal = self._refusal(request.headers.get("Authorization", ""))
                if refusal is not None:
                    return refusal
            return await handler(request)

        return guard

    def _refusal(self, shown: str) -> web.Response | None:
        kind, _, token = shown.partition(" ")
        if kind == "Token" and token == LEGACY:
            gone = "Authentication token no longer valid: legacy token authentication has been disabled for this organization"
            return None if self.legacy else said(401, gone)
        if kind == "Bearer" and token == f"access-{self.refreshed}" and self._left > 0:
            self._left -= 1
            return None
        return said(401, "Invalid token." if shown else "Authentication credentials were not provided.")

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"release": self.release, "label-studio-os-package": {"version": self.release}, "edition": "Community"}
        )

    async def _refresh(self, request: web.Request) -> web.Response:
        if (await request.json()).get("refresh") != PERSONAL:
            return web.json_response({"detail": "Token is invalid", "code": "token_not_valid"}, status=401)
        self.refreshed += 1
        self._left = self.access_lasts
        return web.json_response({"access": f"access-{self.refreshed}"})

    async def _whoami(self, request: web.Request) -> web.Response:
        permissions = ["webhooks.view", "projects.view", *(["webhooks.change"] if self.may_change else [])]
        return web.json_response({"id": 1, "email": "admin@example.com", "permissions": permissions})

    async def _projects(self, request: web.Request) -> web.Response:
        page, size = int(request.query["page"]), min(int(request.query["page_size"]), 100)
        found = list(self.projects.values())
        part = found[(page - 1) * size : page * size]
        more = "http://next" if page * size < len(found) else None
        return web.json_response({"count": len(found), "next": more, "previous": None, "results": part})

    async def _project(self, request: web.Request) -> web.Response:
        found = self.projects.get(int(request.match_info["id"]))
        return said(404, "No Project matches the given query.") if found is None else web.json_response(found)

    async def _project_saved(self, request: web.Request) -> web.Response:
        found = self.projects.get(int(request.match_info["id"]))
        if found is None:
            return said(404, "No Project matches the given query.")
        await self.emit("PROJECT_UPDATED", found, {})
        return web.json_response(found)

    async def _tasks(self, request: web.Request) -> web.Response:
        items = json.loads(request.query["query"])["filters"]["items"]
        after = next(one["value"] for one in items if one["filter"] == "filter:tasks:id")
        since = next((one["value"] for one in items if one["filter"] == "filter:tasks:updated_at"), "")
        project, size = int(request.query["project"]), int(request.query["page_size"])
        found = [
            one
            for number, one in sorted(self.tasks.items())
            if one["project"] == project and number > after and one["updated_at"] > since
        ]
        return web.json_response({"total": len(found), "tasks": found[:size]})

    async def _export(self, request: web.Request) -> web.Response:
        wanted = {int(one) for one in request.query.getall("ids[]")}
        found = [
            {
                **{name: one for name, one in task.items() if name != "overlap"},
                "annotations": [one for one in self.annotations.values() if one["task"] == number][::-1],
            }
            for number, task in self.tasks.items()
            if number in wanted
        ]
        return web.json_response(found)

    async def _hooks(self, request: web.Request) -> web.Response:
        return web.json_response(list(self.hooks.values()))

    async def _hook_made(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        refusal = self._refused_hook(wanted)
        if refusal is not None:
            return refusal
        if wanted.get("project") is None and not self.organization_hooks:
            return said(404, "Project not found.")
        return web.json_response(self.add_hook(wanted.pop("url"), wanted.pop("project", None), **wanted), status=201)

    async def _hook_changed(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        refusal = self._refused_hook(wanted)
        if refusal is not None:
            return refusal
        held = self.hooks[int(request.match_info["id"])]
        held |= wanted
        return web.json_response(held)

    def _refused_hook(self, wanted: dict[str, Any]) -> web.Response | None:
        if not self.may_change:
            return said(403, "You do not have permission to perform this action.")
        return self.blocked(wanted["url"])

    # -- what it sends -------------------------------------------------------------------------------------------------

    async def emit(self, action: str, project: dict[str, Any], payload: dict[str, Any]) -> None:
        """Call the webhooks as Label Studio does: a second each, once, whatever the answer."""
        if not self.send:
            return
        for hook in list(self.hooks.values()):
            if not hook["is_active"] or hook["project"] not in {None, project["id"]}:
                continue
            if not hook["send_for_all_actions"] and action not in hook["actions"]:
                continue
            body = {"action": action, **({"project": project, **payload} if hook["send_payload"] else {})}
            try:
                async with (
                    aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as http,
                    http.post(hook["url"], json=body, headers=hook["headers"], ssl=self.trust or True) as answer,
                ):
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError, OSError):
                continue


@asynccontextmanager
async def served(studio: FakeLabelStudio) -> AsyncIterator[str]:
    """Serve it on a free port; yields its address."""
    server = TestServer(studio.app(), host="127.0.0.1")
    await server.start_server()
    try:
        yield str(server.make_url("/")).rstrip("/")
    finally:
        await server.close()
