"""The doctor's check of the pages behind links: whether they answer where messages lead, and know links by the same keys."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from floorwatch.cli.doctor_check import Check
from floorwatch.web.settings import WebSettings

_ANSWER_S = 5.0
_NAME = "web pages"


async def web_checks(settings: WebSettings) -> list[Check]:
    """Follow a link as a reader of a message would.

    Args:
        settings: The ``web`` section; without keys and address there is nothing to check.
    """
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
