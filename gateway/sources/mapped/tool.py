"""Tools that a mapping describes, behind the gateway's seam."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping as Table
from typing import Any

import msgspec

from gateway.sources.base import Signature, Tool, TranslationContext, Webhook
from gateway.sources.mapped.kept import bounded, read_json
from gateway.sources.mapped.meaning import HookMeaning, event_of, find_meaning
from gateway.sources.mapped.settings import MappedSettings
from gateway.sources.signatures import hmac_of_body, secret_header
from gateway.time_slices import TimeSlices
from gateway.webhooks import BadWebhook, Remembered, Translation, WebhookProblem


async def redact(body: bytes, settings: MappedSettings, time_slices: TimeSlices) -> Webhook:
    """Return what a webhook means by its mapping; of what became no event, what the mapping keeps of it.

    Raises:
        BadWebhook: It is too large, nested too deeply, or has not the list that the mapping names.
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: It is not JSON.
    """
    mapping = settings.loaded()
    if mapping is None:
        raise BadWebhook("no_mapping", None, "the source has no mapping")
    hook = read_json(body)
    for _ in bounded(hook):
        await time_slices.give_way()
    found = HookMeaning()
    for _ in find_meaning(hook, mapping, found):
        await time_slices.give_way()
    return {
        "action": mapping.title,
        "events": found.events,
        "problems": found.problems,
        "ignored": ignored_words(found.ignored),
    }


def ignored_words(reasons: list[str]) -> str | None:
    """Return why items mean nothing, each reason once with its count where there are several."""
    counted = Counter(reasons)
    return "; ".join(f"{reason} ({count})" if count > 1 else reason for reason, count in counted.items()) or None


def translate(hook: Webhook, _: Table[str, Remembered], context: TranslationContext) -> Translation:
    """Return the events of a webhook; see ``Tool.translate``."""
    out = Translation(ignored=None if hook["events"] else hook["ignored"])
    out.problems = [WebhookProblem(**one) for one in hook["problems"]]
    for found in hook["events"]:
        try:
            out.events.append(event_of(found, context.source, context.received_ms))
        except msgspec.ValidationError as error:
            about = {"id": found["task"], "event": found["event"]}
            out.problems.append(
                WebhookProblem("wrong_value", None, f"with the source's name an id is too long: {error}", about)
            )
    return out


def signature_of(settings: Any) -> Signature | None:
    """Return how a source's webhooks are signed; None where it has a token."""
    said = settings.signature
    if said.kind == "hmac":
        return hmac_of_body(said.header, said.prefix, said.encoding, said.hash)
    return secret_header(said.header, said.prefix) if said.kind == "header" else None


MAPPED = Tool(
    "mapped",
    "mapped tool",
    None,
    redact,
    lambda _hook, _seen, _context: [],
    translate,
    signature_of=signature_of,
)
