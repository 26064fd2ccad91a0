"""Channels and the notifier: delivery, retries, crashes between steps."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs
from pydantic import SecretStr

from alerts.channels.base import ChannelError, ChannelFault, retry_after_ms
from alerts.channels.console import ConsoleChannel
from alerts.channels.webhook import WebhookChannel
from alerts.routes import RoutingSettings, build_channels, channels_of, zone_of
from tests.alerts.receiver import Receiver, receiving
from tests.alerts.test_outbox import Clock, note


def test_webhook_signature_can_be_verified() -> None:
    async def main() -> None:
        async with receiving(Receiver()) as receiver:
            channel = WebhookChannel("ops", receiver.url, Clock(1_700_000_000_123), secret=SecretStr("hush"))
            await channel.send(note(), "key")
            await channel.close()
        headers, raw, _ = receiver.seen[0]
        digest = hmac.new(b"hush", b"1700000000." + raw, hashlib.sha256).hexdigest()
        assert headers["X-Floorwatch-Signature"] == f"t=1700000000,v1={digest}"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(500, False), (503, False), (408, False), (429, False), (400, True), (404, True), (302, True)],
)
def test_webhook_tells_what_is_worth_retrying(status: int, permanent: bool) -> None:
    async def main() -> None:
        answer = {"Retry-After": "120", "Location": "http://169.254.0.1/"}
        async with receiving(Receiver([status], answer)) as receiver:
            channel = WebhookChannel("ops", receiver.url, Clock())
            with pytest.raises(ChannelError) as caught:
                await channel.send(note(), "key")
            await channel.close()
        assert caught.value.permanent is permanent
        assert caught.value.retry_after_ms == 120_000
        assert len(receiver.seen) == 1

    asyncio.run(main())


def test_webhook_faults_never_show_the_url() -> None:
    async def main() -> ChannelError:
        channel = WebhookChannel("ops", "http://127.0.0.1:1/s3cret", Clock(), timeout_s=5)
        with pytest.raises(ChannelError) as caught:
            await channel.send(note(), "key")
        await channel.close()
        return caught.value

    assert "s3cret" not in asyncio.run(main()).reason


def test_console_writes_title_and_body() -> None:
    stream = io.StringIO()
    asyncio.run(ConsoleChannel(stream=stream).send(note(), "key"))
    assert stream.getvalue() == "\nT\n  B\n"


def test_every_channel_is_built_and_one_that_cannot_be_costs_no_other() -> None:
    settings = RoutingSettings.model_validate(
        {
            "channels": {
                "con": {"type": "console"},
                "ops": {"type": "webhook", "url": "https://h.example", "secret": "s"},
                "bad": {"type": "webhook", "url": "htps://hush.example"},
            },
            "routes": {"default": ["con"], "leads": ["con", "ops", "bad"], "alone": ["bad"], "nobody": []},
        }
    )
    built = build_channels(settings, Clock())
    assert [*built.by_name] == ["con", "ops", "bad"]
    assert [*built.usable] == ["con", "ops"]
    assert [fault.field for fault in built.faults] == [
        ("channels", "bad", "url"),
        ("routes", "alone"),
        ("routes", "nobody"),
    ]
    assert "hush" not in str(built.faults)
    assert "h.example" not in repr(settings)


@pytest.mark.parametrize(
    ("route", "also", "expected"),
    [
        ("leads", (), ("con", "ops")),
        ("gone", (), ("con",)),
        ("default", ("leads",), ("con", "ops")),
        ("nobody", (), ("con",)),
    ],
)
def test_channels_of_a_notification_are_those_of_the_configuration_now(
    route: str, also: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    settings = RoutingSettings.model_validate(
        {
            "channels": {"con": {"type": "console"}, "ops": {"type": "console"}},
            "routes": {"default": ["con"], "leads": ["con", "ops"], "nobody": []},
        }
    )
    assert channels_of(settings)(structs.replace(note(route=route), also=also)) == expected


ROUTED = {
    "channels": {name: {"type": "console"} for name in ("ops", "bpo", "lead")},
    "routes": {"default": ["ops"], "bpo": ["bpo"], "lead": ["lead"]},
    "route_zones": {"bpo": "Asia/Kuala_Lumpur"},
    "routing": [
        {"match": ["vendor=bpo-a"], "route": "bpo", "continue": True},
        {"match": ["severity=page", "kind=accuracy_low"], "route": "default"},
    ],
}


@pytest.mark.parametrize(
    ("step", "vendor", "also", "expected"),
    [
        ("open", "bpo-a", (), ("bpo", "ops")),
        ("reopened-1", "bpo-a", (), ("bpo", "ops")),
        ("resolved-0", "bpo-a", ("lead",), ("bpo", "ops", "lead")),
        ("open", "bpo-b", (), ("ops",)),
        ("escalated-0-1", "bpo-a", (), ("lead",)),  # a tier names its route
        ("test", "bpo-a", (), ("lead",)),
    ],
)
def test_an_incident_takes_the_routes_whose_matchers_fit(
    step: str, vendor: str, also: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    settings = RoutingSettings.model_validate(ROUTED)
    record = {"key": "k", "kind": "accuracy_low", "rule": "r", "scope": {"vendor": vendor}}
    told = structs.replace(note(route="lead"), step=step, severity="page", incident=record, also=also)
    assert channels_of(settings)(told) == expected
    assert zone_of(settings)(told, "bpo") == "Asia/Kuala_Lumpur", "whichever route a message comes by"


@pytest.mark.parametrize("record", [{}, {"key": "k"}, {"key": "k", "kind": 3, "rule": "r", "scope": {}}])
def test_a_record_that_cannot_be_read_takes_the_route_of_its_rule(record: dict[str, Any]) -> None:
    told = structs.replace(note(route="lead"), step="open", incident=record)
    assert channels_of(RoutingSettings.model_validate(ROUTED))(told) == ("lead",)


@pytest.mark.parametrize(
    "url",
    [
        *("", "ops.example", "htps://h", "https://", "https://:443/x", "https://h:99999/x", "https://h:0/"),
        *("http://[x/hook", " https://h.example", "https://h.example/\nx", "mailto:me@h.example", "file:///etc/passwd"),
    ],
)
def test_a_webhook_url_that_cannot_be_called_is_told_when_it_is_built(url: str) -> None:
    with pytest.raises(ChannelFault):
        WebhookChannel("ops", url, Clock())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120_000),
        ("9" * 5000, 3_600_000),
        ("0" * 5000 + "7", 7_000),
        ("0", 0),
        ("-5", None),
        ("NaN", None),
        ("1e9", None),
        ("٣", None),
        ("", None),
        (None, None),
        ("soon", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3_600_000),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999", None),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000),
    ],
)
def test_any_retry_after_is_read_and_bound(header: str | None, expected: int | None) -> None:
    assert retry_after_ms(header, 1_700_000_000_000) == expected


@pytest.mark.slow
def test_apprise_missing_or_wrong_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from alerts.channels.apprise import AppriseChannel

    for url, said in (
        ("nonsense", "begins with the name of a service"),
        ("slakc://a/b/c", "knows no service slakc"),
        ("slack://", "does not take this slack:// url"),
        ("json://a,json://b", "names several receivers"),
    ):
        with pytest.raises(ChannelFault, match=said):
            AppriseChannel("chat", SecretStr(url))
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ChannelFault, match="the package apprise is not installed"):
        AppriseChannel("chat", SecretStr("json://127.0.0.1"))


def test_apprise_delivers_through_the_real_package_and_says_why_not() -> None:
    from alerts.channels.apprise import AppriseChannel

    async def main() -> str:
        async with receiving(Receiver([200, 500])) as receiver:
            channel = AppriseChannel("chat", SecretStr(receiver.url.replace("http://", "json://") + "?-secrettoken=x"))
            await channel.send(note(), "key")
            with pytest.raises(ChannelError, match="could not deliver") as caught:
                await channel.send(note(), "key")
        assert json.loads(receiver.seen[0][1])["title"] == "T"
        return caught.value.reason

    reason = asyncio.run(main())
    assert "500" in reason
    assert "secrettoken" not in reason


def test_an_apprise_call_that_hangs_is_bound_in_time_and_number() -> None:
    from alerts.channels import apprise

    async def main() -> None:
        channel = apprise.AppriseChannel("chat", SecretStr("json://127.0.0.1:1"), timeout_s=0.05)
        let_go = threading.Event()
        channel._target = SimpleNamespace(notify=lambda **_: let_go.wait(60))
        for _ in range(apprise.MOST_CALLS):
            with pytest.raises(ChannelError, match="no answer within") as caught:
                await channel.send(note(), "key")
            assert caught.value.unsure
        with pytest.raises(ChannelError, match="earlier calls still hang"):
            await channel.send(note(), "key")
        let_go.set()
        while not channel._calls.acquire(blocking=False):  # noqa: ASYNC110 - their threads end now
            await asyncio.sleep(0.01)

    asyncio.run(main())
