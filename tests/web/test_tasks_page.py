"""The page of the tasks behind an incident, which the message links."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from alerts.links import read
from floorwatch.replay.task_look import TaskLine, TaskLook
from floorwatch.web.settings import WebSettings
from tests.alerts.incident_world import KEY
from tests.alerts.machine import signal
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.web.pages import SETTINGS, Pages, run, text_of

SEEN = TaskLook(
    {
        "t-1001": (
            TaskLine(NOW_MS - 9 * MINUTE_MS, "task created, due Mon 23 Nov 10:30 UTC"),
            TaskLine(NOW_MS - 5 * MINUTE_MS, "label: hate"),
            TaskLine(NOW_MS - MINUTE_MS, "audit: incorrect, right is safe"),
        )
    }
)


def test_the_tasks_have_labels_times_and_the_way_to_the_tool(redis_url: str) -> None:
    asked: list[tuple[tuple[str, ...], int]] = []

    async def look(tasks: tuple[str, ...], since_ms: int) -> TaskLook:
        asked.append((tasks, since_ms))
        return SEEN

    async def story(here: Pages) -> None:
        before = await here.world.redis.keys("*")
        async with here.http.get(here.link("tasks")) as answer:
            html = await answer.text()
        said = text_of(html)
        assert said.splitlines()[1:9] == [
            "bpo-a: accuracy 88.1% (target 95%), 61 of 512 wrong, since 17:03 UTC+8",
            "page",
            "2 tasks behind it, as examples",
            "t-1001",
            "Mon 23 Nov 17:53 UTC+8: task created, due Mon 23 Nov 18:30 UTC+8",
            "Mon 23 Nov 17:57 UTC+8: label: hate",
            "Mon 23 Nov 18:01 UTC+8: audit: incorrect, right is safe",
            "t-1002",
        ]
        assert 'href="https://tool.example/t/t-1001?x=1"' in html
        assert "floorwatch facts t-1001" in said
        assert asked == [(("t-1001", "t-1002"), NOW_MS - 70 * MINUTE_MS)]
        assert (await here.press(here.link("tasks")))[0] == 200
        assert (here.acts(), await here.world.redis.keys("*")) == ([], before)

    run(redis_url, story, look=look, task_url="https://tool.example/t/{task}?x=1")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (None, "Their labels cannot be read now."),
        (TaskLook(whole=False), "More came since than this page looks through"),
    ],
)
def test_what_could_not_be_read_is_said_and_the_ids_stand_all_the_same(
    redis_url: str, seen: TaskLook | None, said: str
) -> None:
    async def look(_tasks: tuple[str, ...], _since_ms: int) -> TaskLook | None:
        return seen

    async def story(here: Pages) -> None:
        found = (await here.get(here.link("tasks")))[1]
        assert said in found
        assert "t-1002" in found

    run(redis_url, story, look=look)


@pytest.mark.parametrize("name", ["a/../b?c#d", "<b>x</b>", "a b\u202ec", "{task}"])
def test_ids_are_neither_markup_nor_another_address(redis_url: str, name: str) -> None:
    async def story(here: Pages) -> None:
        scope = {"scope": {"vendor": "v"}, "scope_key": "vendor=v", "examples": (name,)}
        await here.world.put(signal(True, NOW_MS, rule="the-rule", **scope))
        await here.world.turn()
        key = next(one.decode() for one in await here.world.redis.hkeys("f:incidents") if one.decode() != KEY)
        async with here.http.get(here.link("tasks", key=key)) as answer:
            html = await answer.text()
        (path,) = [part.split('"')[0] for part in html.split('href="https://tool.example/t/')[1:]]
        assert not set(path) & set("/?#<> {}")
        assert "<b>" not in html
        assert "\u202e" not in html

    run(redis_url, story, task_url="https://tool.example/t/{task}")


def test_an_incident_without_tasks_says_so_and_its_message_links_none(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        scope = {"scope": {"vendor": "v"}, "scope_key": "vendor=v", "examples": ()}
        await here.world.put(signal(True, NOW_MS, rule="the-rule", **scope))
        await here.world.turn()
        key = next(one.decode() for one in await here.world.redis.hkeys("f:incidents") if one.decode() != KEY)
        assert "This alert names no tasks" in (await here.get(here.link("tasks", key=key)))[1]
        assert "Tasks behind it" not in (await here.get(here.link("details", key=key)))[1]

    run(redis_url, story)


def test_a_link_to_the_tasks_is_for_them_alone(redis_url: str) -> None:
    async def story(here: Pages) -> None:
        claim = read(SETTINGS.keys, here.link("tasks").rpartition("/")[2], NOW_MS)
        assert getattr(claim, "purpose", None) == "tasks"
        async with here.http.get(here.link("tasks")) as answer:
            assert 'href="v1.' not in await answer.text()

    run(redis_url, story)


def test_the_hint_is_what_can_be_written() -> None:
    for url in ("tool.example", "https://tool.example/tasks"):
        with pytest.raises(ValidationError) as refused:
            WebSettings.model_validate({"task_url": url})
        assert "{task}" in refused.value.errors()[0]["ctx"]["hint"].replace("{{task}}", "")


@pytest.mark.parametrize("url", ["tool.example/{task}", "https://tool.example/tasks", "https://{task}.example/"])
def test_an_address_of_the_tool_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"is not a web address|names no task"):
        WebSettings.model_validate({"task_url": url})
