"""The client of Label Studio's API: tokens, pages, what it says when something is wrong, and what is made of what it reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from gateway.sources.base import TranslationContext
from gateway.sources.label_studio.api_faults import LabelStudioFault
from gateway.sources.label_studio.api_records import Hook
from gateway.sources.label_studio.client import LabelStudioApi
from gateway.sources.label_studio.from_api import annotations_deleted, last_change, tasks_deleted, webhooks_of
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.sources.label_studio.translate import lookups, translate
from streams.models.events import encode_event
from tests.gateway.fake_label_studio import LEGACY, PERSONAL, FakeLabelStudio, said, served, stamp

Asked = Callable[[LabelStudioApi], Awaitable[Any]]
_HOOK = Hook(0, 1, "http://gateway.example:8090/v1/hooks/label-studio?source=kul", {"Authorization": "Bearer s3cret"})


def ask(studio: FakeLabelStudio, what: Asked, token: str = PERSONAL, path: str = "", **options: Any) -> Any:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    async def run() -> Any:
        async with served(studio) as url, LabelStudioApi(url + path, token, wait=wait, **options) as api:
            return await what(api)

    found = asyncio.run(run())
    studio.waits = waits  # type: ignore[attr-defined]
    return found


def refused(studio: FakeLabelStudio, what: Asked, token: str = PERSONAL, **options: Any) -> LabelStudioFault:
    with pytest.raises(LabelStudioFault) as caught:
        ask(studio, what, token, **options)
    fault = caught.value
    assert token not in str(fault)
    assert "s3cret" not in str(fault)
    assert fault.hint
    return fault


def test_a_personal_token_is_changed_for_one_of_short_life_and_again_when_that_ends() -> None:
    studio = FakeLabelStudio(access_lasts=2)

    async def thrice(api: LabelStudioApi) -> list[int]:
        return [(await api.whoami()).user_id for _ in range(5)]

    assert ask(studio, thrice) == [1] * 5
    assert studio.refreshed == 3
    shown = [headers["Authorization"] for _, path, headers in studio.asked if path.endswith("whoami")]
    assert set(shown) == {"Bearer access-1", "Bearer access-2", "Bearer access-3"}


def test_a_legacy_token_is_shown_as_it_is() -> None:
    studio = FakeLabelStudio(legacy=True)
    found = ask(studio, lambda api: api.whoami(), LEGACY)
    assert found.user_id == 1
    assert "webhooks.change" in found.permissions
    assert studio.refreshed == 0


def test_tokens_that_do_not_do() -> None:
    fault = refused(FakeLabelStudio(), lambda api: api.whoami(), LEGACY)
    assert (fault.kind, "Personal Access Token" in fault.hint) == ("legacy_token", True)
    assert refused(FakeLabelStudio(), lambda api: api.whoami(), "a.b.c").kind == "token"
    assert refused(FakeLabelStudio(), lambda api: api.whoami(), "nonsense").kind == "token"
    for token in ("", "two words"):
        with pytest.raises(LabelStudioFault) as caught:
            LabelStudioApi("http://localhost", token)
        assert caught.value.kind == "token"


@pytest.mark.parametrize("url", ["label-studio.example", "ftp://x", "http://", ""])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(LabelStudioFault) as caught:
        LabelStudioApi(url, "t")
    assert caught.value.kind == "wrong_address"


def test_user_and_password_of_an_address_are_not_told() -> None:
    assert LabelStudioApi("http://user:pass@host:8080/ls/", "t").address == "http://host:8080/ls"


def test_what_answers_is_no_label_studio() -> None:
    async def main() -> list[str]:
        async def page(request: web.Request) -> web.Response:
            return web.Response(text="<html>hello</html>", content_type="text/html")

        async def other(request: web.Request) -> web.Response:
            return web.json_response({"name": "something"})

        async def login(request: web.Request) -> web.Response:
            raise web.HTTPFound("https://sso.example/login?next=/api/version")

        found = []
        for handler in (page, other, login):
            app = web.Application()
            app.router.add_route("*", "/{tail:.*}", handler)
            studio = FakeLabelStudio()
            studio.app = lambda app=app: app  # type: ignore[method-assign, misc]
            async with served(studio) as url, LabelStudioApi(url, "t") as api:
                with pytest.raises(LabelStudioFault) as caught:
                    await api.version()
                assert caught.value.kind == "wrong_address"
                found.append(caught.value.reason)
        return found

    page, other, login = asyncio.run(main())
    assert "no JSON" in page
    assert "no Label Studio" in other
    assert "log in" in login


def test_a_wrong_prefix_is_told() -> None:
    assert refused(FakeLabelStudio(), lambda api: api.whoami(), path="/ls").kind == "wrong_address"


def test_nothing_listens_there() -> None:
    async def main() -> LabelStudioFault:
        async with LabelStudioApi("http://127.0.0.1:9", "t", attempts=1) as api:
            with pytest.raises(LabelStudioFault) as caught:
                await api.version()
            return caught.value

    fault = asyncio.run(main())
    assert fault.kind == "unreachable"
    assert "nothing listens there" in fault.reason


def test_it_is_busy_for_a_while() -> None:
    studio = FakeLabelStudio(answers=[("whoami", 503, {}), ("whoami", 429, {"Retry-After": "7"})])
    assert ask(studio, lambda api: api.whoami()).user_id == 1
    assert studio.waits == [0.5, 7.0]  # type: ignore[attr-defined]


def test_it_stays_busy() -> None:
    studio = FakeLabelStudio(answers=[("whoami", 503, {"Retry-After": "9999"})] * 9)
    fault = refused(studio, lambda api: api.whoami(), attempts=3)
    assert fault.kind == "busy"
    assert len(studio.answers) == 6
    assert fault.status == 503


def test_projects_come_page_after_page() -> None:
    studio = FakeLabelStudio()
    for number in range(205):
        studio.add_project(f"P{number}")

    async def all_of(api: LabelStudioApi) -> list[int]:
        return [one["id"] async for one in api.projects()]

    assert ask(studio, all_of) == list(range(1, 206))


def test_tasks_come_page_after_page_with_annotations_and_overlap() -> None:
    studio = FakeLabelStudio()
    studio.add_project()
    for number in range(1, 8):
        studio.add_task(1, number)
    studio.add_annotation(2, 20)
    studio.add_annotation(2, 30)
    studio.add_annotation(5, 40, was_cancelled=True)
    studio.tasks[5] |= {"total_annotations": 0, "cancelled_annotations": 1}

    async def pages(api: LabelStudioApi) -> list[list[dict[str, Any]]]:
        return [page async for page in api.task_pages(1, page_tasks=3)]

    found = ask(studio, pages)
    assert [[task["id"] for task in page] for page in found] == [[1, 2, 3], [4, 5, 6], [7]]
    assert [one["unique_id"] for one in found[0][1]["annotations"]] == ["uid-1", "uid-2"]
    assert [one["unique_id"] for one in found[1][1]["annotations"]] == ["uid-3"]
    assert found[0][0]["overlap"] == 1
    assert sum(path.endswith("export") for _, path, _ in studio.asked) == 2  # only pages with annotations


def test_only_what_changed_since_is_read() -> None:
    studio = FakeLabelStudio()
    studio.add_project()
    for number in range(1, 4):
        studio.add_task(1, number)
    studio.add_annotation(2, 30)
    since = datetime(2026, 12, 3, 9, 0, 10, tzinfo=UTC)

    async def ids(api: LabelStudioApi) -> list[int]:
        return [task["id"] async for page in api.task_pages(1, changed_since=since) for task in page]

    assert ask(studio, ids) == [2]


def test_a_list_that_is_not_filtered_ends() -> None:
    studio = FakeLabelStudio()
    studio.add_project()
    for number in range(1, 5):
        studio.add_task(1, number)

    async def unfiltered(request: web.Request) -> web.Response:
        return web.json_response({"total": 4, "tasks": list(studio.tasks.values())[:2]})

    studio._tasks = unfiltered  # type: ignore[method-assign]

    async def pages(api: LabelStudioApi) -> list[Any]:
        return [page async for page in api.task_pages(1, page_tasks=2)]

    assert refused(studio, pages).kind == "odd_answer"


def test_webhooks_are_made_and_changed() -> None:
    studio = FakeLabelStudio()
    studio.add_project()

    async def both(api: LabelStudioApi) -> list[Hook]:
        made = await api.create_hook(_HOOK)
        await api.update_hook(Hook(made.hook_id, 1, made.url, {"Authorization": "Bearer other"}))
        return await api.hooks()

    (found,) = ask(studio, both)
    assert found == Hook(1, 1, _HOOK.url, {"Authorization": "Bearer other"})


def test_label_studio_makes_no_hook_for_all_projects() -> None:
    wanted = Hook(0, None, _HOOK.url, _HOOK.headers)
    assert refused(FakeLabelStudio(), lambda api: api.create_hook(wanted)).kind == "no_organization_hook"
    made = ask(FakeLabelStudio(organization_hooks=True), lambda api: api.create_hook(wanted))
    assert made.project is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: said(403, "URL resolves to a reserved network address (block: 127.0.0.0/8)"), "reserved_address"),
        (lambda: said(500, "Can't resolve hostname nosuch.invalid"), "unknown_host"),
        (lambda: said(400, url=["Enter a valid URL."]), "bad_url"),
        (lambda: said(403, "You do not have permission to perform this action."), "permission"),
        (lambda: said(400, headers=["too many"]), "refused"),
    ],
)
def test_why_a_webhook_is_refused(answer: Callable[[], web.Response], kind: str) -> None:
    studio = FakeLabelStudio(blocked=lambda url: answer())
    studio.add_project()
    assert refused(studio, lambda api: api.create_hook(_HOOK)).kind == kind


# -- what is made of it -------------------------------------------------------------------------------------------------

_CONTEXT = TranslationContext("label-studio/kul", 1_796_000_000_000, LabelStudioSettings())


def events_of(hooks: list[dict[str, Any]], state: dict[str, Any]) -> list[bytes]:
    found = []
    for hook in hooks:
        for _ in range(2):
            seen = {key: state[key] for key in lookups(hook, _CONTEXT, state) if key in state}
        done = translate(hook, seen, _CONTEXT)
        assert not done.problems
        state |= done.remember
        found += [encode_event(event) for event in done.events]
    return found


def alpha() -> FakeLabelStudio:
    studio = FakeLabelStudio()
    studio.add_project()
    studio.add_task(1, 1, queue="hate")
    studio.add_task(1, 2)
    studio.add_annotation(1, 20)
    studio.add_annotation(2, 30, "Safe", user=8)
    return studio


def sent(studio: FakeLabelStudio) -> list[dict[str, Any]]:
    """The webhooks that Label Studio sent while this was made, one annotation each."""
    project = studio.projects[1]
    hooks = [{"action": "TASKS_CREATED", "project": project, "tasks": list(studio.tasks.values())}]
    for one in studio.annotations.values():
        task = studio.tasks[one["task"]]
        hooks.append({"action": "ANNOTATION_CREATED", "project": project, "task": task, "annotation": one})
    return hooks


def read(studio: FakeLabelStudio) -> list[dict[str, Any]]:
    async def all_of(api: LabelStudioApi) -> list[dict[str, Any]]:
        project = await api.project(1)
        return [hook async for page in api.task_pages(1) for hook in webhooks_of(project, page)]

    return list(ask(studio, all_of))


def test_history_is_the_events_that_the_webhooks_made() -> None:
    studio = alpha()
    assert sorted(events_of(read(studio), {})) == sorted(events_of(sent(studio), {}))
    assert len(events_of(read(studio), {})) == 4


def test_webhooks_after_history_change_nothing_and_the_other_way_round() -> None:
    studio = alpha()
    once: dict[str, Any] = {}
    first = events_of(read(studio), once)
    assert set(events_of(sent(studio), dict(once))) <= set(first)
    assert set(events_of(read(studio), dict(once))) <= set(first)


def test_a_changed_annotation_is_its_last_version_with_the_time_of_the_change() -> None:
    studio = alpha()
    before = sent(studio)
    created = {**studio.annotations[1]}
    studio.annotations[1] |= {"updated_at": stamp(50), "result": studio.annotations[2]["result"]}
    project, task = studio.projects[1], studio.tasks[1]
    webhook = {"action": "ANNOTATION_UPDATED", "project": project, "task": task, "annotation": studio.annotations[1]}
    before[1] = {**before[1], "annotation": created}
    state: dict[str, Any] = {}
    history = events_of(read(studio), state)
    all_sent = events_of([*before, webhook], {})
    assert set(history) <= set(all_sent)
    assert sum(b"2026-12-03T09:00:50Z" in one for one in history) == 1
    # The webhook of the creation, come again, must not take the place of the later version.
    assert events_of([before[1]], state) == []


def test_a_model_and_a_copy_are_what_their_webhooks_say() -> None:
    studio = alpha()
    studio.add_annotation(1, 40, parent_prediction=3, lead_time=None)
    studio.add_annotation(2, 50, "Spam", user=9, parent_annotation=2)
    hooks = read(studio)
    assert [hook["action"] for hook in hooks] == [
        "TASKS_CREATED", "ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_CREATED",
    ]  # fmt: skip
    made = b"".join(events_of(hooks, {}))
    assert b"ls-model" in made
    assert b"ls-audit-uid-4-copy" in made


def test_an_export_whose_annotations_name_no_task() -> None:
    studio = alpha()
    tasks = [{**task, "annotations": []} for task in studio.tasks.values()]
    bare = {name: one for name, one in studio.annotations[1].items() if name not in {"task", "project"}}
    tasks[0]["annotations"] = [bare, None]
    assert len(events_of(list(webhooks_of(studio.projects[1], tasks)), {})) == 3


def test_deletions_and_the_last_change() -> None:
    studio = alpha()
    state: dict[str, Any] = {}
    events_of(read(studio), state)
    gone = events_of([annotations_deleted(studio.projects[1], [1]), tasks_deleted(studio.projects[1], [2])], state)
    assert [b"label.withdrawn" in gone[0], b"task.cancelled" in gone[1]] == [True, True]
    task = {**studio.tasks[1], "annotations": [studio.annotations[1]]}
    assert last_change(task) == datetime(2026, 12, 3, 9, 0, 20, 10_000, tzinfo=UTC)
    assert last_change({"id": 1}) is None
    assert list(webhooks_of(studio.projects[1], [])) == []
