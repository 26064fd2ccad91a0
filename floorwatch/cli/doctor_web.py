"""The doctor's checks of the pages: whether they answer where messages and Slack lead, and know links and Slack by the same keys."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from alerts.channels.slack_press import signature
from floorwatch.cli.doctor_check import Check
from floorwatch.web.settings import WebSettings

_ANSWER_S = 5.0
_NAME = "web pages"
_SLACK = "slack buttons"
_TEST = b"ssl_check=1"
"""What Slack posts to test an address: it presses nothing."""


async def web_checks(settings: WebSettings) -> list[Check]:
    """Follow a link as a reader of a message would, and post to ``/slack/actions`` as Slack does to test it.

    Args:
        settings: The ``web`` section; without keys, secrets and address there is nothing to check.
    """
    links, slack = await asyncio.gather(_link_checks(settings), _slack_checks(settings))
    return [*links, *slack]


async def _slack_checks(settings: WebSettings) -> list[Check]:
    if not settings.slack_secrets:
        return []
    if not settings.url:
        fix = "set web.url to where people and Slack reach `floorwatch web` (docs/actions.md)"
        return [Check("warn", _SLACK, "whether they reach anything is not known: web.url is not set", fix)]
    url, stamp = f"{settings.url}slack/actions", str(int(time.time()))
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature(settings.slack_secrets[0], stamp, _TEST),
    }
    try:
        async with (
            asyncio.timeout(_ANSWER_S),
            aiohttp.ClientSession() as http,
            http.post(url, data=_TEST, headers=headers, allow_redirects=False) as answer,
        ):
            return [_slack_check(url, answer.status)]
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        detail = f"{url} does not answer from here: {type(error).__name__}"
        return [Check("warn", _SLACK, detail, "is `floorwatch web` running, and does your proxy lead /slack/ to it?")]


def _slack_check(url: str, status: int) -> Check:
    if status == 200:
        said = f"{url} answers, and knows this signing secret; whether Slack reaches it, its app's page says"
        return Check("ok", _SLACK, said)
    if status == 401:
        fix = "give `floorwatch web` the same web.slack_signing_secret, restart it, and keep the clock right"
        return Check("fail", _SLACK, f"{url} does not believe what is signed with this configuration's secret", fix)
    fix = "give `floorwatch web` web.slack_signing_secret too, and have your proxy lead /slack/actions to it, POST included"
    return Check("fail", _SLACK, f"{url} answers {status}, so no button works", fix)


async def _link_checks(settings: WebSettings) -> list[Check]:
    signer = settings.signer()
    if signer is None:
        if not settings.keys:
            return []
        fix = "set web.url to where people reach `floorwatch web`, e.g. https://floorwatch.example (docs/actions.md)"
        return [Check("warn", _NAME, "messages carry no links: web.url is not set", fix)]
    link = signer.url("check", "", "", "doctor", int(time.time() * 1000))
    try:
        async with (
            asyncio.timeout(_ANSWER_S),
            aiohttp.ClientSession() as http,
            http.get(link, allow_redirects=False) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        detail = f"{settings.url} does not answer from here: {type(error).__name__}"
        return [Check("warn", _NAME, detail, "is `floorwatch web` running, and does your proxy lead to it?")]
    if status == 200:
        return [Check("ok", _NAME, f"{settings.url} answers, and knows links signed with these keys")]
    if status == 403:
        fix = "give `floorwatch web` and the workers the same web.link_keys, and restart both"
        return [Check("fail", _NAME, f"{settings.url} knows links by other keys than this configuration's", fix)]
    detail = f"{settings.url} answers {status} to a link"
    return [Check("warn", _NAME, detail, "web.url must lead to `floorwatch web`, with /a/ below it")]
