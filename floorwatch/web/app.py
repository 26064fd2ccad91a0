"""The web pages as an aiohttp application: routes, limits, headers. The only wiring of its parts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from msgspec import structs

from alerts.channels.slack_press import BadPress, is_signed, press_of
from alerts.links import Claim, LinkFault, read, sign
from alerts.plain_text import MOST_COMMENT
from floorwatch.web.link_actions import BadForm, Given, LinkActions
from floorwatch.web.link_pages import fault_page
from floorwatch.web.page import Page
from floorwatch.web.render import HEADERS, html_of
from floorwatch.web.runbooks import PATH as RUNBOOKS
from floorwatch.web.runbooks import runbook_page
from floorwatch.web.settings import WebSettings
from floorwatch.web.slack_actions import SlackActions
from streams.adapters.token_buckets import TokenBuckets
from telemetry.http import SERVER, without_version

_log = logging.getLogger(__name__)

MOST_BODY_BYTES = 16_384
"""Of a form: a name, a choice and a comment of 1,000 characters, each of up to 12 bytes there."""

MOST_SLACK_BYTES = 262_144
"""Of what Slack posts: a message of 50 blocks, in a form."""

REQUEST_S = 15.0
"""For a whole request, its body and the broker's answer included."""

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Probe = Callable[[], Awaitable[tuple[str, ...]]]
"""Says why the pages cannot do their work; empty if they can."""


async def _always_ready() -> tuple[str, ...]:
    return ()


def build_web_app(
    settings: WebSettings,
    actions: LinkActions,
    clock_ms: Callable[[], int],
    ready: Probe = _always_ready,
    slack: SlackActions | None = None,
) -> web.Application:
    """Return the pages.

    Args:
        settings: The ``web`` section, with keys or what Slack signs with.
        actions: Follows links that are good.
        clock_ms: Wall time.
        ready: Asked on ``/readyz``.
        slack: Does what buttons in Slack are pressed for; None: nobody listens to them.
    """
    buckets = TokenBuckets(settings.requests_per_s, settings.burst_requests, clock_ms)
    app = web.Application(middlewares=[_guard(settings, buckets)], client_max_size=MOST_BODY_BYTES)

    def linked(page: Page, claim: Claim) -> Page:
        """Return a page with links to what else can be done: to the same incident, in the same name, as long as this one."""
        given = (claim.incident, claim.notice, claim.receiver, claim.expires_ms)
        more = [(words, sign(settings.keys, purpose, *given)) for words, purpose in page.further]
        return structs.replace(page, links=(*page.links, *more))

    async def show(request: web.Request) -> web.Response:
        claim = read(settings.keys, request.match_info["token"], clock_ms())
        return _answer(fault_page(claim) if isinstance(claim, LinkFault) else linked(await actions.show(claim), claim))

    async def act(request: web.Request) -> web.Response:
        token = request.match_info["token"]
        claim = read(settings.keys, token, clock_ms())
        if isinstance(claim, LinkFault):
            return _answer(fault_page(claim))
        try:
            page = await actions.act(claim, await _given(request))
        except BadForm as error:
            return _answer(
                Page("Please correct one thing", "sorry", (f"{error}.", "Go back, and send it again."), status=400)
            )
        if page is not None:
            return _answer(page)
        # A page that is reloaded must not act again. The address is relative, because a proxy may serve this below a path.
        return web.Response(status=303, headers={"Location": token})

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        reasons = await ready()
        return web.json_response({"status": "unavailable" if reasons else "ok"}, status=503 if reasons else 200)

    async def robots(_: web.Request) -> web.Response:
        return web.Response(text="User-agent: *\nDisallow: /\n")

    app.router.add_get("/a/{token}", show)
    app.router.add_post("/a/{token}", act)
    app.router.add_get(f"/{RUNBOOKS}{{name}}.md", _runbook)
    _add_slack(app, settings, slack, clock_ms)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/robots.txt", robots)
    return app


async def _runbook(request: web.Request) -> web.StreamResponse:
    return _answer(runbook_page(request.match_info["name"]))


def _add_slack(
    app: web.Application, settings: WebSettings, slack: SlackActions | None, clock_ms: Callable[[], int]
) -> None:
    if slack is not None and settings.slack_secrets:
        app.router.add_post("/slack/actions", _slack_route(settings, slack, clock_ms))


def _slack_route(settings: WebSettings, slack: SlackActions, clock_ms: Callable[[], int]) -> Handler:
    """Return what answers Slack: 401 unless Slack signed the request within five minutes, else 200 within its 3 s."""

    async def pressed(request: web.Request) -> web.StreamResponse:
        body = await _bounded(request)
        timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
        given = request.headers.get("X-Slack-Signature", "")
        now_ms = clock_ms()
        if not is_signed(settings.slack_secrets, timestamp, body, given, now_ms):
            _log.warning(
                "a request to /slack/actions was not signed by Slack within five minutes; see web.slack_signing_secret"
            )
            return web.json_response({"error": "not signed by Slack within five minutes"}, status=401)
        try:
            press = press_of(body, now_ms)
        except BadPress as error:
            _log.warning("%s", error)
            return web.json_response({"error": "not a button of Floorwatch"}, status=400)
        if press is not None:
            await slack.pressed(press)
        return web.Response()

    return pressed


async def _bounded(request: web.Request) -> bytes:
    """Return the body, which may be larger than a form's: Slack sends the whole message."""
    found = b""
    async for chunk in request.content.iter_any():
        found += chunk
        if len(found) > MOST_SLACK_BYTES:
            raise web.HTTPRequestEntityTooLarge(MOST_SLACK_BYTES, len(found))
    return found


async def _given(request: web.Request) -> Given:
    if request.content_type != _FORM:
        raise web.HTTPUnsupportedMediaType
    try:
        text = (await request.read()).decode(request.charset or "utf-8")
        fields = dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))
    except (UnicodeDecodeError, LookupError):  # LookupError: a charset that nobody knows
        raise BadForm("The form is not UTF-8") from None
    except ValueError:
        raise BadForm(f"The form has more than {_MOST_FIELDS} fields") from None
    name, span, note = (fields.get(field, "") for field in ("by", "for", "note"))
    return Given(name, span, note, every="all" in fields)


def _answer(page: Page) -> web.Response:
    return web.Response(text=html_of(page), content_type="text/html", charset="utf-8", status=page.status)


def _guard(settings: WebSettings, buckets: TokenBuckets) -> Any:
    """Return the middleware that limits, sets the headers, and shows nobody an error of ours. No log names a token."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        wait_s = 0 if request.path in ("/healthz", "/readyz") else buckets.wait_s(_address(request, settings))
        if wait_s:
            answer: web.StreamResponse = _answer(
                Page("Too many requests", "sorry", (f"Try again in {wait_s} s.",), status=429)
            )
            answer.headers["Retry-After"] = str(wait_s)
        elif without_version(request):
            answer = _answer(Page("Not a request", "sorry", ("It has no HTTP version.",), status=400))
            answer.force_close()
        else:
            answer = await _handled(request, handler)
        answer.headers.update(HEADERS)
        answer.headers["Server"] = SERVER
        return answer

    return guard


async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        async with asyncio.timeout(REQUEST_S):
            return await handler(request)
    except TimeoutError:
        return _answer(
            Page("That took too long", "sorry", ("Open the link again: it says whether it counts.",), status=503)
        )
    except web.HTTPException as refusal:
        words = {404: "There is no such page", 405: "This cannot be done here", 413: "That is too much text"}
        title = words.get(refusal.status, "This request is not understood")
        lines: tuple[str, ...] = ("Open the link from the message again.",)
        if refusal.status == 413:
            bytes_, most = f"{MOST_BODY_BYTES:,} bytes", f"{MOST_COMMENT:,} characters"
            lines = (f"A comment may have {most}, the whole form {bytes_}.", "Go back, and send a shorter one.")
        answer = _answer(Page(title, "sorry", lines, status=refusal.status))
        if "Allow" in refusal.headers:
            answer.headers["Allow"] = refusal.headers["Allow"]
        return answer
    except web.RequestPayloadError:
        why = "It is not packed as its Content-Encoding says, or it ended early."
        answer = _answer(Page("This request cannot be read", "sorry", (why, "Send it again."), status=400))
        answer.force_close()
        return answer
    except ConnectionError:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary of the process
        _log.error("%s of a page failed: %s", request.method, type(error).__name__)
        return _answer(Page("Something went wrong", "sorry", ("Open the link again in a minute.",), status=500))


def _address(request: web.Request, settings: WebSettings) -> str:
    if settings.behind_proxy:
        said = request.headers.getall("X-Forwarded-For", [])
        last = said[-1].rpartition(",")[2].strip() if said else ""
        if last:
            return last[:100]
    return request.remote or ""
