"""Runbooks as pages, which messages link where no other place is configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.evaluate import runbook_path
from alerts.kinds.registry import ALL_KINDS
from alerts.lifecycle import joined
from floorwatch.settings.load import load
from floorwatch.settings.policies import incident_policy
from floorwatch.web.runbooks import _markdown, check, generate, runbooks
from tests.web.chromium import phone
from tests.web.pages import Pages, run
from tests.web.test_browser import look

ROOT = Path(__file__).parents[2]
KEY = {"FLOORWATCH_WEB__LINK_KEYS": "k" * 32}


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_kind_has_its_runbook_behind_the_link_of_its_message(redis_url: str, kind: str) -> None:
    async def story(here: Pages) -> None:
        policy = incident_policy(load(None, {**KEY, "FLOORWATCH_WEB__URL": here.address}))
        url = joined(policy.runbook_base_url, runbook_path(kind))
        status, said = await here.get(url)
        assert status == 200
        assert said.splitlines()[1].startswith(f"{kind}:")
        assert "What to do" in said
        async with here.http.get(url) as answer:
            html = await answer.text()
            assert "script" not in answer.headers["Content-Security-Policy"]
        assert "do not pass it on" not in html
        assert 'href="../' not in html
        assert (await here.get(url, "POST"))[0] == 405

    run(redis_url, story)


@pytest.mark.parametrize("name", ["no_such", "..%2f..%2fREADME", "%2e%2e", "x" * 500, "accuracy_low.md%00", "<b>"])
def test_nothing_else_is_served_there(redis_url: str, name: str) -> None:
    async def story(here: Pages) -> None:
        status, said = await here.get(f"{here.address}docs/runbooks/{name}.md")
        assert status == 404
        assert "Floorwatch on Faust" not in said

    run(redis_url, story)


def test_a_place_that_is_configured_comes_first_and_without_any_the_page_is_named() -> None:
    here = {**KEY, "FLOORWATCH_WEB__URL": "https://fw.example"}
    wiki = {"FLOORWATCH_ALERTS__RUNBOOK_URL": "https://wiki.example"}
    assert incident_policy(load(None, here)).runbook_base_url == "https://fw.example/"
    assert incident_policy(load(None, {**here, **wiki})).runbook_base_url == "https://wiki.example/"
    assert incident_policy(load(None, {})).runbook_base_url == ""


def test_markup_in_a_runbook_is_text() -> None:
    html = _markdown.render("<script>x</script> [a](javascript:alert) <img src=x>")
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html


def test_the_file_is_that_of_the_documents(tmp_path: Path) -> None:
    assert check(ROOT) == []
    (tmp_path / "docs" / "runbooks").mkdir(parents=True)
    (tmp_path / "floorwatch" / "web").mkdir(parents=True)
    (tmp_path / "docs" / "runbooks" / "a.md").write_text("# a\n", encoding="utf-8")
    assert len(check(tmp_path)) == 1
    generate(tmp_path)
    assert check(tmp_path) == []
    assert set(runbooks()) == {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")}


@pytest.mark.servers
def test_a_runbook_fits_a_phone(redis_url: str, tmp_path: Path) -> None:
    async def story(here: Pages) -> None:
        async with phone(tmp_path) as tab:
            await tab.open(f"{here.address}docs/runbooks/accuracy_low.md")
            await look(tab, "runbook")

    run(redis_url, story)
