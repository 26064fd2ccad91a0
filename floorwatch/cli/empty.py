"""Why a table has no rows yet, and what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.core.formatting import plural

if TYPE_CHECKING:
    from floorwatch.cli.age import Age
    from floorwatch.sdk.stacks import Found

_METRICS_S = 3.0


@dataclass(frozen=True)
class Received:
    """What the workers of a running embedded stack have taken in since they started.

    Attributes:
        events: Good events.
        refused: Dead letters by code.
    """

    events: int
    refused: dict[str, int]


async def received_by(stack: Found) -> Received | None:
    """Ask the workers of a stack what they have taken in; None where one does not answer within three seconds."""
    with suppress(ValueError):
        pages = await metrics_of(stack)
        return None if pages is None else received_in(pages)
    return None


async def metrics_of(stack: Found) -> list[str] | None:
    """Return the metrics of the workers of a stack, a page each; None where one does not answer within three seconds."""
    import aiohttp

    urls = [url for name, url in stack.state.urls.items() if name.startswith("metrics")]
    with suppress(aiohttp.ClientError, TimeoutError, ValueError):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_METRICS_S)) as session:

            async def text_of(url: str) -> str:
                async with session.get(url) as response:
                    return await response.text()

            return await asyncio.gather(*map(text_of, urls))
    return None


def received_in(pages: Iterable[str]) -> Received:
    """Return what pages of metrics say was taken in.

    Raises:
        ValueError: A page is not in Prometheus' text format.
    """
    from prometheus_client.parser import text_string_to_metric_families

    events, refused = 0, dict[str, int]()
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == "floorwatch_events_folded_total" and sample.labels.get("stage") == "intake":
                    events += int(sample.value)
                elif sample.name == "floorwatch_dead_letters_total" and sample.value:
                    code = sample.labels.get("code", "")
                    refused[code] = refused.get(code, 0) + int(sample.value)
    return Received(events, refused)


def reason(
    age: Age, window: str, by: str, others: Collection[str], stack: Found | None, received: Received | None
) -> list[str]:
    """Return why a table is empty and what to do next, in sentences.

    Args:
        age: Of the table; without a watermark nothing was ever published.
        window: The window asked for.
        by: The dimensions asked for.
        others: Dimensions of the rows that the same table and window do have.
        stack: The embedded stack that was asked, if it was one.
        received: What its workers have taken in, if they said so.
    """
    if others:
        known = ", ".join(sorted(others))
        return [f"There is no row by {by} in the last {window}; there are rows by {known} (--by)."]
    if age.as_of_ms is not None:
        said = (
            f"Nothing was labelled, audited or due in the last {window}; rows are {age.text}. Ask for a longer --window, such as 7d; "
            "`floorwatch doctor` tells whether events still come in."
        )
        return [said]
    if stack is None or received is None:
        said = (
            "Nothing was published yet: no event has come, or no worker has counted one, or the rows are under another redis.prefix. "
            "`floorwatch doctor` tells; --wait 30 waits for the first row."
        )
        return [said]
    return _of_a_stack(stack, received)


def _of_a_stack(stack: Found, received: Received) -> list[str]:
    refused = sum(received.refused.values())
    codes = ", ".join(f"{code} {count:,}" for code, count in sorted(received.refused.items()))
    lines = []
    if refused:
        lines.append(
            f"{plural(refused, 'record')} could not be used and went to the dead letters ({codes}): "
            "`floorwatch check-events FILE` says why, event by event."
        )
    if received.events:
        lines.append(
            f"{plural(received.events, 'event')} came in and will be counted in a few seconds: ask again, or with --wait 30."
        )
    elif not refused:
        lines.append(
            f"The `floorwatch up` on {stack.var} has received no event since it started. Send some (README, "
            '"From an event to its table"), or play a simulated floor with `floorwatch simulate --days 1`. '
            "What was sent just now needs a few seconds: --wait 30 waits for the first row."
        )
    return lines
