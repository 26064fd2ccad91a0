"""A client of Label Studio's API: what ``connect`` and ``reconcile`` ask of it.

Read from the source of 1.23.2. Two things there decide how tasks are read: only the export has ``unique_id`` of annotations, of
which Floorwatch makes the ids of labels; and only the list of tasks has ``overlap``. So tasks are listed by rising id, and the
annotations of each page are exported by the ids of its tasks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import yarl

from gateway.http_faults import trouble_of
from gateway.sources.label_studio.api_faults import LabelStudioFault, fault_of
from gateway.sources.label_studio.api_records import ApiObject, Hook, TokenOwner, ToolVersion, hook_of

PAGE_TASKS = 100
"""Tasks that are asked for, and held, at once."""
MAX_ANSWER_BYTES = 134_217_728
"""The largest answer that is read."""
_PROJECTS_PAGE = 100
_AGAIN = frozenset({429, 502, 503, 504})
_MOST_WAIT_S = 30.0
_NOT_OF_LABEL_STUDIO = "give the address of Label Studio itself, such as https://label-studio.example"


class LabelStudioApi:
    """Label Studio's API. Use it as an asynchronous context manager; it is of one event loop."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 30.0,
        attempts: int = 5,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Check the address; nothing is asked yet.

        Args:
            url: Label Studio's address, with its path prefix if it has one.
            token: A personal access token, or a legacy token where the organization allows them.
            timeout_s: How long one answer is waited for, in seconds.
            attempts: How often a request is made that finds Label Studio busy (429, 502 to 504) or broken off.
            wait: What waits between attempts.

        Raises:
            LabelStudioFault: The address is no URL, or the token cannot be one.
        """
        parts = urlsplit(url.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise LabelStudioFault("wrong_address", "the address of Label Studio is no URL", _NOT_OF_LABEL_STUDIO)
        self._base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._token = token.strip()
        if not self._token or not self._token.isascii() or any(one.isspace() for one in self._token):
            raise LabelStudioFault("token", "the token is empty or has blanks in it", "pass it whole, on one line")
        self._refreshes = self._token.count(".") == 2
        self._access = ""
        self._timeout_s, self._attempts, self._wait = timeout_s, max(1, attempts), wait
        self._session: aiohttp.ClientSession | None = None

    @property
    def address(self) -> str:
        """Label Studio's address, without user and password."""
        return self._base

    async def __aenter__(self) -> Self:
        """Open connections as they are needed."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers={"User-Agent": "floorwatch", "Accept": "application/json"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    # -- what it is, and who asks ------------------------------------------------------------------------------------

    async def version(self) -> ToolVersion:
        """Return the release. Raises LabelStudioFault, also where it is no Label Studio that answers."""
        held = await self._ask("GET", "/api/version", known=False)
        if not isinstance(held, dict) or ("label-studio-os-package" not in held and "release" not in held):
            reason = f"what answers at {self._base} is no Label Studio"
            raise LabelStudioFault("wrong_address", reason, _NOT_OF_LABEL_STUDIO)
        package = held.get("label-studio-os-package")
        release = held.get("release") or (package.get("version") if isinstance(package, dict) else None)
        return ToolVersion(str(release or "")[:40], str(held.get("edition") or "")[:40])

    async def whoami(self) -> TokenOwner:
        """Return whose token it is. Raises LabelStudioFault: ``token``, ``legacy_token``, ``wrong_address`` and others."""
        held = await self._object("GET", "/api/current-user/whoami")
        if type(held.get("id")) is not int:
            raise _odd("/api/current-user/whoami")
        permissions = held.get("permissions")
        return TokenOwner(
            held["id"], frozenset(map(str, permissions)) if isinstance(permissions, list) else frozenset()
        )

    # -- projects and webhooks -----------------------------------------------------------------------------------------

    async def projects(self) -> AsyncIterator[ApiObject]:
        """Yield the projects that the user sees, by rising id. Raises LabelStudioFault."""
        page = 1
        while True:
            query = {"page": str(page), "page_size": str(_PROJECTS_PAGE), "ordering": "id"}
            held = await self._object("GET", "/api/projects/", query)
            found = held.get("results")
            if not isinstance(found, list):
                raise _odd("/api/projects/")
            for one in found:
                if isinstance(one, dict) and type(one.get("id")) is int:
                    yield one
            if not held.get("next"):
                return
            page += 1

    async def project(self, project_id: int) -> ApiObject:
        """Return one project. Raises LabelStudioFault: ``not_found``, where there is none or the user does not see it."""
        return await self._object("GET", f"/api/projects/{project_id}/")

    async def touch_project(self, project_id: int) -> None:
        """Save a project as it is, so that Label Studio sends PROJECT_UPDATED, which counts nowhere. Raises LabelStudioFault."""
        await self._object("PATCH", f"/api/projects/{project_id}/", body={})

    async def hooks(self) -> list[Hook]:
        """Return the webhooks of the organization and of its projects. Raises LabelStudioFault."""
        held = await self._ask("GET", "/api/webhooks/")
        try:
            return [hook_of(one) for one in held]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _odd("/api/webhooks/") from None

    async def create_hook(self, hook: Hook) -> Hook:
        """Make a webhook and return it as it is there.

        Raises:
            LabelStudioFault: ``no_organization_hook`` where it is for all projects and this Label Studio makes none by its API (as
                1.23); ``reserved_address``, ``unknown_host``, ``bad_url``, ``permission`` and others.
        """
        try:
            return hook_of(await self._object("POST", "/api/webhooks/", body=hook.as_json()))
        except LabelStudioFault as fault:
            if fault.kind == "not_found" and hook.project is None:
                reason = "Label Studio makes no webhook for all projects through its API"
                hint = "make one for each project, or one in Organization > Webhooks by hand"
                raise LabelStudioFault("no_organization_hook", reason, hint, fault.status) from None
            raise

    async def update_hook(self, hook: Hook) -> Hook:
        """Make a webhook what is given, and return it as it is there. Raises LabelStudioFault, as ``create_hook``."""
        changes = {name: one for name, one in hook.as_json().items() if name != "project"}
        return hook_of(await self._object("PATCH", f"/api/webhooks/{hook.hook_id}/", body=changes))

    # -- tasks with their annotations -----------------------------------------------------------------------------------

    async def task_pages(
        self, project_id: int, *, changed_since: datetime | None = None, page_tasks: int = PAGE_TASKS
    ) -> AsyncIterator[list[ApiObject]]:
        """Yield the tasks of a project with their annotations, by rising id, a page at a time; only one page is held.

        A task changes in Label Studio when an annotation of it is made, changed or deleted. Tasks that come or go meanwhile move no
        page: each begins after the last id of the one before.

        Args:
            project_id: Whose tasks.
            changed_since: Only those that changed after this; None for all.
            page_tasks: Tasks a page.

        Yields:
            Tasks as the list has them, with ``annotations`` as the export has them, by the time of their creation.

        Raises:
            LabelStudioFault: It does not answer, or not as its API does.
        """
        after = 0
        while True:
            tasks = await self._tasks(project_id, after, changed_since, page_tasks)
            if not tasks:
                return
            after = max(task["id"] for task in tasks)
            busy = [task["id"] for task in tasks if task.get("total_annotations") or task.get("cancelled_annotations")]
            found = await self.annotations_of(project_id, busy)
            yield [{**task, "annotations": found.get(task["id"], [])} for task in tasks]
            if len(tasks) < page_tasks:
                return

    async def annotations_of(self, project_id: int, task_ids: Sequence[int]) -> dict[int, list[ApiObject]]:
        """Return the annotations of some tasks by task, each with its ``unique_id``, by the time of their creation.

        Label Studio keeps a copy of every export in its own folder ``export``.

        Args:
            project_id: Whose tasks.
            task_ids: At most a page of them; none asks nothing.
        """
        if not task_ids:
            return {}
        path = f"/api/projects/{project_id}/export"
        query = [("exportType", "JSON"), ("download_all_tasks", "true"), *(("ids[]", str(one)) for one in task_ids)]
        held = await self._ask("GET", path, query)
        if not isinstance(held, list):
            raise _odd(path)
        return {
            task["id"]: sorted_annotations(task)
            for task in held
            if isinstance(task, dict) and type(task.get("id")) is int
        }

    async def _tasks(self, project_id: int, after: int, since: datetime | None, most: int) -> list[ApiObject]:
        items = [{"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": after}]
        if since is not None:
            moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            items.append(
                {"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": moment}
            )
        said = {"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}
        query = {"project": str(project_id), "page": "1", "page_size": str(most), "resolve_uri": "false"}
        held = await self._object("GET", "/api/tasks/", {**query, "query": json.dumps(said)})
        tasks = held.get("tasks")
        if not isinstance(tasks, list) or not all(
            isinstance(one, dict) and type(one.get("id")) is int for one in tasks
        ):
            raise _odd("/api/tasks/")
        if any(task["id"] <= after for task in tasks):
            raise LabelStudioFault("odd_answer", "Label Studio does not filter tasks by id", "report its version")
        return tasks

    # -- one request -----------------------------------------------------------------------------------------------------

    async def _object(self, method: str, path: str, query: Any = None, *, body: Any = None) -> ApiObject:
        held = await self._ask(method, path, query, body=body)
        if not isinstance(held, dict):
            raise _odd(path)
        return held

    async def _ask(self, method: str, path: str, query: Any = None, *, body: Any = None, known: bool = True) -> Any:
        """Return the decoded answer. A token of short life is fetched anew where Label Studio no longer takes it."""
        if known and self._refreshes and not self._access:
            await self._refresh()
        try:
            return await self._patiently(method, path, query, body, known=known)
        except LabelStudioFault as fault:
            if not (known and self._refreshes and fault.status == 401):
                raise
        await self._refresh()
        return await self._patiently(method, path, query, body, known=known)

    async def _refresh(self) -> None:
        """Fetch an access token, which lasts five minutes, with the personal access token."""
        held = await self._patiently("POST", "/api/token/refresh/", None, {"refresh": self._token}, known=False)
        access = held.get("access") if isinstance(held, dict) else None
        if not isinstance(access, str) or not access:
            raise _odd("/api/token/refresh/")
        self._access = access

    async def _patiently(self, method: str, path: str, query: Any, body: Any, *, known: bool) -> Any:
        """Make a request, again where Label Studio is busy; one that makes something is not made twice after an answer is lost."""
        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            try:
                status, headers, text = await self._once(method, path, query, body, known=known)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                trouble = trouble_of(error, self._timeout_s)
                if last or trouble.lasting or (method == "POST" and path == "/api/webhooks/"):
                    raise self._not_reached(error, trouble.said, trouble.fix) from None
                await self._wait(_pause_s(attempt, None))
                continue
            if status in _AGAIN and not last:
                await self._wait(_pause_s(attempt, headers.get("Retry-After")))
                continue
            return self._decoded(f"{method} {self._base}{path}", status, headers, text)
        raise AssertionError("unreachable")

    async def _once(
        self, method: str, path: str, query: Any, body: Any, *, known: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        assert self._session is not None, "use it in `async with`"
        url = yarl.URL(f"{self._base}{path}", encoded=True).with_query(query)
        headers = {}
        if known:
            headers["Authorization"] = f"Bearer {self._access}" if self._refreshes else f"Token {self._token}"
        asked = self._session.request(method, url, json=body, headers=headers, allow_redirects=False)
        async with asked as answer:
            text = bytearray()
            async for piece in answer.content.iter_any():
                text += piece
                if len(text) > MAX_ANSWER_BYTES:
                    reason = f"the answer to {path} is larger than {MAX_ANSWER_BYTES >> 20} MiB"
                    raise LabelStudioFault("odd_answer", reason, "ask for fewer tasks a page")
            return answer.status, answer.headers, bytes(text)

    def _not_reached(self, error: Exception, said: str, fix: str) -> LabelStudioFault:
        tls = isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError)
        reason = f"{self._base} cannot be asked: {said}"
        if tls:
            return LabelStudioFault("tls", reason, fix)
        return LabelStudioFault("unreachable", reason, "check the address, and that Label Studio runs")

    def _decoded(self, what: str, status: int, headers: Mapping[str, str], text: bytes) -> Any:
        if 300 <= status < 400:
            target = headers.get("Location", "")
            login = "login" in target
            reason = (
                f"{what} leads elsewhere ({'a page to log in' if login else urlsplit(target).netloc or 'another path'})"
            )
            hint = "write https:// or the name that Label Studio itself uses; a proxy that asks for a login must let /api/ pass"
            raise LabelStudioFault("wrong_address", reason, hint, status)
        if status >= 400:
            raise fault_of(status, text, what)
        if status == 204 or not text:
            return {}
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            reason = f"{what} answers with something that is no JSON, so it is no API of Label Studio"
            raise LabelStudioFault("wrong_address", reason, _NOT_OF_LABEL_STUDIO, status) from None


def sorted_annotations(task: ApiObject) -> list[ApiObject]:
    """Return the annotations of an exported task by the time of their creation; what is no object is left out."""
    held = task.get("annotations")
    found = [one for one in held if isinstance(one, dict)] if isinstance(held, list) else []
    return sorted(found, key=lambda one: (str(one.get("created_at")), str(one.get("id"))))


def _odd(path: str) -> LabelStudioFault:
    reason = f"the answer to {path} is not what Label Studio 1.23 answers"
    return LabelStudioFault(
        "odd_answer", reason, "compare its version with docs/sources/label-studio.md, and report it"
    )


def _pause_s(attempt: int, said: str | None) -> float:
    """Return how long to wait before the next attempt, in seconds: what Label Studio says, or twice as long each time."""
    if said is not None and said.isdigit():
        return min(float(said), _MOST_WAIT_S)
    return min(0.5 * 2.0 ** (attempt - 1), _MOST_WAIT_S)
