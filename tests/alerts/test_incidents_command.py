"""``floorwatch incidents`` against an embedded Valkey."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from msgspec import structs
from typer.testing import CliRunner

from alerts.codec import encode_incident
from alerts.incident import Hold, Incident, Notify, ToldReceiver
from alerts.looks import LOOKS, Look, encode_look
from alerts.outbox import Outbox
from alerts.outgoing import Notification, notification
from alerts.text import title_of
from floorwatch.cli.incidents import incidents_app
from floorwatch.cli.pending import looks_words
from tests.alerts.machine import opened, run, signal
from tests.nasty import NASTY
from tests.redis_clients import async_client, blocking_client

app = incidents_app


@pytest.fixture
def filled(redis_url: str) -> str:
    """A read model with an open page, an acknowledged warning, a resolved and a pending incident."""
    client = blocking_client(redis_url)
    page = structs.replace(opened(), scope={"queue": "[red]x\x1b[2J"})
    warn = structs.replace(opened(), key="warn", severity="warn", state="acknowledged", opened_ms=page.updated_ms + 5)
    resolved, _ = run([signal(False)] * 2, structs.replace(opened(), key="resolved"))
    pending, _ = run([signal(True)])
    for incident in (warn, page, resolved, pending):
        if isinstance(incident, Incident):
            name = "pending" if incident is pending else incident.key
            client.hset("floorwatch:incidents", name, encode_incident(incident, title_of(incident)))
    client.close()
    return redis_url


def _lines(url: str, *options: str) -> list[dict[str, object]]:
    result = CliRunner().invoke(app, ["--redis", url, "--json", *options])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_json_lists_live_ones_pages_first(filled: str) -> None:
    assert [(line["severity"], line["state"]) for line in _lines(filled)] == [
        ("page", "open"),
        ("warn", "acknowledged"),
    ]
    assert [line["state"] for line in _lines(filled, "--all")] == ["open", "acknowledged", "resolved"]


def test_table_shows_evidence_and_no_markup_or_control_characters(filled: str) -> None:
    result = CliRunner().invoke(app, ["--redis", filled], env={"COLUMNS": "300"})
    assert result.exit_code == 0
    assert "accuracy 88.1% (95% interval 85.0–90.7%)" in result.output
    assert "[red]x" in result.output
    assert "\x1b[2J" not in result.output


@pytest.fixture
def forty(redis_url: str) -> str:
    """Forty open incidents of all severities; one in four is taken by mei."""
    client = blocking_client(redis_url)
    for number, name in enumerate(NASTY[:40]):
        severity = ("page", "warn", "info")[number % 3]
        taken = {"state": "acknowledged", "acknowledged_by": "mei"} if number % 4 == 0 else {}
        scope = {"queue": name} if number % 2 else {"vendor": "bpo-a", "queue": "hate"}
        one = structs.replace(opened(), key=f"{number:032x}", severity=severity, scope=scope, **taken)
        client.hset("floorwatch:incidents", one.key, encode_incident(one, title_of(one)))
    client.close()
    return redis_url


@pytest.mark.parametrize("columns", ["80", "120", "300", None])
def test_forty_incidents_are_forty_lines_whatever_they_are_called(forty: str, columns: str | None) -> None:
    lines = CliRunner().invoke(app, ["--redis", forty], env={"COLUMNS": columns}).stdout.splitlines()
    assert len(lines) == 41
    assert all(re.match(r"[0-9a-f]{12} ", line) for line in lines[1:])  # the key is never cut
    assert columns is not None or "target 95%" in lines[1]  # nor is anything in a file


@pytest.mark.parametrize("columns", range(60, 240, 7))
def test_no_column_is_begun_that_says_nothing(forty: str, columns: int) -> None:
    lines = CliRunner().invoke(app, ["--redis", forty], env={"COLUMNS": str(columns)}).stdout.splitlines()
    names = re.split(r"\s{2,}", lines[0].strip())
    assert all(
        name in ("incident", "severity", "what and where", "state", "told", "opened", "evidence") for name in names
    )
    assert all(len(line) <= columns for line in lines[:1])
    assert columns < 100 or "state" in names


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--severity", "page"], 14),
        (["--severity", "page", "--severity", "warn"], 27),
        (["--scope", "vendor"], 20),
        (["--scope", "vendor=bpo-a", "--scope", "queue=hate"], 20),
        (["--scope", "vendor=other"], 0),
        (["--by", "mei"], 10),
        (["--untaken"], 30),
        (["--by", "mei", "--severity", "info"], 3),
    ],
)
def test_filters(forty: str, options: list[str], count: int) -> None:
    assert len(_lines(forty, *options)) == count


def test_mine_is_what_this_user_has_taken(forty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER"):
        monkeypatch.setenv(name, "mei")
    assert len(_lines(forty, "--mine")) == 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--severity", "urgent"], "use one of page, warn, info"),
        (["--scope", "queu=hate"], "write DIMENSION=VALUE"),
        (["show", "zz"], "is not an incident"),
        (["show", "abcdef0123"], "no incident begins with"),
    ],
)
def test_a_wrong_option_is_told_with_what_is_right(forty: str, options: list[str], said: str) -> None:
    shown = [*options[:1], "--redis", forty, *options[1:]] if options[0] == "show" else ["--redis", forty, *options]
    result = CliRunner().invoke(app, shown)
    assert result.exit_code == 2
    assert said in result.output


async def _deliveries(url: str, key: str) -> None:
    client = async_client(url)
    outbox = Outbox(client, lambda: 1_795_428_120_000)
    note = Notification(f"{key}:open", "open", "default", "page", "T", "B", {})
    await outbox.enqueue(note)
    await outbox.route(lambda _: ["ops", "phone", "mail"])
    for channel, step in (("ops", outbox.sent), ("phone", None), ("mail", outbox.bury)):
        lease = await outbox.claim(channel, 30)
        assert lease is not None
        if step is None:
            await outbox.retry(lease, "webhook phone: the receiver answered 503")
        else:
            await step(lease, *(["gone"] if channel == "mail" else []))  # type: ignore[operator]
    await client.aclose()


def test_who_was_told_is_in_the_list_and_whole_in_show(filled: str) -> None:
    key = opened().key
    asyncio.run(_deliveries(filled, key))
    listed = CliRunner().invoke(app, ["--redis", filled], env={"COLUMNS": "400"}).output
    assert "mail GIVEN UP, ops, phone FAILING" in listed
    assert "nobody yet" in listed
    shown = CliRunner().invoke(app, ["show", "--redis", filled, key[:8]]).output
    assert "open: ops: delivered Mon 23 Nov 10:02 UTC" in shown
    failing = "phone: failing since Mon 23 Nov 10:02 UTC after 1 attempt, is tried again"
    assert f"open: {failing}: webhook phone: the receiver answered 503" in shown
    assert "open: mail: given up Mon 23 Nov 10:02 UTC after 1 attempt: gone" in shown
    assert "queue hate  (" in shown  # contributors
    (line,) = [line for line in _lines(filled) if line["key"] == key]
    assert {one["channel"]: one["state"] for one in line["deliveries"]} == {  # type: ignore[attr-defined]
        "ops": "sent",
        "phone": "waiting",
        "mail": "dead",
    }


def test_it_says_how_far_the_rules_have_looked_so_that_silence_is_explained(redis_url: str) -> None:
    assert "Rules have not looked yet" in CliRunner().invoke(app, ["--redis", redis_url]).stderr
    client = blocking_client(redis_url)
    client.set(f"floorwatch:kept:{LOOKS}", encode_look(Look(1_764_000_007_000, 1_764_000_060_000)))
    client.close()
    told = CliRunner().invoke(app, ["--redis", redis_url]).stderr
    assert "up to Mon 24 Nov 16:00:07 UTC; next look when event time passes Mon 24 Nov 16:01 UTC" in told
    assert CliRunner().invoke(app, ["--redis", redis_url, "--json"]).output == ""


def test_none(redis_url: str) -> None:
    assert "No open incidents" in CliRunner().invoke(app, ["--redis", redis_url]).output
    assert "No incidents." in CliRunner().invoke(app, ["--redis", redis_url, "--all"]).output


def test_redis_that_does_not_answer_is_said_without_its_password() -> None:
    result = CliRunner().invoke(app, ["--redis", "redis://:hush@127.0.0.1:1/0"])
    assert result.exit_code == 1
    assert "cannot be reached: nothing listens there" in result.output
    assert "hush" not in result.output
    assert CliRunner().invoke(app, ["--redis", "hush"]).exit_code == 2


def test_what_is_pending_is_hinted_at_and_listed(redis_url: str) -> None:
    """With ``for: 2`` nothing is an incident after the first look; that it is on its way must be seen."""
    client = blocking_client(redis_url)
    nothing = CliRunner().invoke(app, ["--redis", redis_url])
    assert "Pending" not in nothing.output
    for number in range(5):
        one, _ = run([signal(True)])
        assert one is not None
        one = structs.replace(one, key=f"{number:032x}", scope={"vendor": f"v{number}\x1b[2J"})
        assert one.pending
        client.hset("floorwatch:incidents-pending", one.key, encode_incident(one, title_of(one)))
    client.close()
    listed = CliRunner().invoke(app, ["--redis", redis_url], env={"COLUMNS": "300"})
    assert listed.stdout.splitlines() == ["No open incidents.  (--all shows the resolved ones)"]
    (hint,) = [line for line in listed.stderr.splitlines() if line.startswith("Pending")]
    assert hint.count("(1 look)") == 3
    assert "and 2 more.  (--pending shows all)" in hint
    shown = CliRunner().invoke(app, ["--redis", redis_url, "--pending"]).stdout
    assert [line[:15] for line in shown.splitlines()] == ["pending: 1 look"] * 5
    assert "\x1b" not in shown + hint
    only = (
        CliRunner()
        .invoke(app, ["--redis", redis_url, "--pending", "--scope", "vendor=v1", "--severity", "page"])
        .stdout
    )
    assert only.startswith("Nothing is pending.")
    assert len(_lines(redis_url, "--pending")) == 5


def test_how_many_looks_a_pending_breach_has_had() -> None:
    record = {"rule": "r", "state": "pending", "machine": {"streak": 1}}
    assert looks_words(record, {"r": 2}) == "1 of 2 looks"
    assert looks_words({**record, "machine": {"streak": 3}}, {"r": 2}) == "3 of 4 looks", (
        "the rule was 4 when the worker began"
    )
    assert looks_words({**record, "state": "resolved"}, {"r": 2}) == "1 of 2 looks, to open again"
    assert looks_words(record, {}) == "1 look"


def test_show_says_who_was_told_and_who_was_not_and_why(redis_url: str) -> None:
    """Also by which message that told of several, and what holds the other receivers."""
    floor = structs.replace(opened(), key="f" * 32, scope={}, scope_key="all", told_people=(), held=())
    told = ToldReceiver("channel:bpo-a", ("bpo-a",), "g:1", "open", floor.updated_ms, "route bpo")
    reasons = (
        Hold("inhibited", floor.key, None, ("channel:ops",)),
        Hold("grouping", "", floor.updated_ms, ("channel:lead",)),
        Hold("maintenance", "kul-db", floor.updated_ms, ("channel:wall",)),
    )
    vendor = structs.replace(opened(), told_people=(told,), held=reasons)
    silent = structs.replace(vendor, key="e" * 32, told_people=(), held=(Hold("nobody"),))

    async def fill() -> None:
        redis = async_client(redis_url)
        for one in (floor, vendor, silent):
            await redis.hset("floorwatch:incidents", one.key, encode_incident(one, title_of(one)))
        outbox = Outbox(redis, lambda: floor.updated_ms)
        note = notification(Notify("g:1", "open", "bpo", vendor, channels=("bpo-a",)))
        await outbox.enqueue(note)
        await outbox.route(lambda one: one.channels)
        lease = await outbox.claim("bpo-a", 60)
        assert lease is not None
        await outbox.sent(lease)
        await redis.aclose()

    asyncio.run(fill())
    shown = CliRunner().invoke(app, ["show", "--redis", redis_url, vendor.key[:12]], env={"COLUMNS": "300"}).output
    assert "Who was told:" in shown, shown
    ends = shown[shown.index("Who was told:") :].splitlines()
    assert ends[1].startswith("  open: bpo-a: delivered ")
    assert ends[1].endswith("(route bpo)")
    assert ends[2:4] == [
        "Who was not told:",
        "  ops: held by Accuracy below target: the whole floor (ffffffffffff), which they were told of",
    ]
    assert ends[4].startswith("  lead: waits for the next message of its group until ")
    assert ends[5].startswith("  wall: held by maintenance kul-db until ")
    listed = CliRunner().invoke(app, ["--redis", redis_url], env={"COLUMNS": "400"}).output
    assert "nobody yet: no receiver is configured for its route" in listed
    (line,) = (one for one in _lines(redis_url) if one["key"] == vendor.key)
    assert [one["receivers"] for one in line["held"]] == [["channel:ops"], ["channel:lead"], ["channel:wall"]]  # type: ignore[attr-defined]
    assert [one["notice"] for one in line["told"]] == ["g:1"]  # type: ignore[attr-defined]
