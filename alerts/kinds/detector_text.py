"""What a detector says of a row, in words. The detector itself is in the core: rows carry its reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.detectors import detectors_of
from alerts.rules import Rule
from alerts.signals import AuditSuggestion
from streams.core.detectors.evidence_text import evidence_words
from streams.core.detectors.fleet import audits_to_decide, watch_list
from streams.core.formatting import instant

MOST_AUDITS = 500
"""Never asked for more at a time: a share of errors close to the allowed one would take thousands."""

Reading = Mapping[str, Any]
"""``score``, ``bar``, ``firing``, ``since_ms``, ``fired_ms``, ``units``, ``bad``, ``wants_audits``.

See ``streams.core.detectors.watch.Reading``.
"""


def reading_of(row: Mapping[str, Any], rule_name: str) -> Reading | None:
    """Return a rule's reading in a row, None where its detector has not looked at the scope."""
    reading: Reading | None = (row.get("evidence") or {}).get(rule_name)
    return reading


def places_on_watch_list(readings: Mapping[str, Reading]) -> dict[str, int]:
    """Return the place, from 1, of each scope that is worth a look though it may not page by itself.

    Args:
        readings: One rule's readings by scope key.
    """
    bar = next((reading["bar"] for reading in readings.values()), 0.0)
    listed = watch_list({key: reading["score"] for key, reading in readings.items()}, bar)
    return {key: place for place, key in enumerate(listed, 1) if not readings[key]["firing"]}


def audit_suggestion_of(rule: Rule, reading: Reading) -> AuditSuggestion | None:
    """Return how many more audits would decide, where a reading wants any and its errors, gone on with, would get there."""
    if not reading.get("wants_audits"):
        return None
    score, bar, units, bad = reading["score"], reading["bar"], reading["units"], reading["bad"]
    model = detectors_of([rule])[0].model
    audits = None if model is None else audits_to_decide(model, (units, bad), score, bar)
    return None if audits is None else AuditSuggestion(min(audits, MOST_AUDITS), score, bar, units, bad)


def in_words(reading: Reading, noun: str, place: int | None) -> str:
    """Return ``evidence 210,000 : 1 (bar 140,000) since Tue 24 Nov 10:00 UTC``.

    It stands beside the numbers of the rule's window and has none of its own: a detector counts from another moment on, and what
    one person did in an hour once, so its counts would not add up with those beside them. Rows have them.

    Args:
        reading: The reading.
        noun: What is counted, in the plural.
        place: Its place on the rule's watch list, if it is on it.
    """
    evidence = evidence_words(reading["score"], reading["bar"])
    if reading["units"] and reading["since_ms"] is not None:
        evidence += f" since {instant(reading['since_ms'])}"
    words = [evidence]
    if place is not None:
        words.append(f"number {place} on the watch list")
    if reading.get("wants_audits"):
        words.append(f"more {noun} would soon decide")
    return "; ".join(words)


def drop_in_words(reading: Reading, seen: str) -> str:
    """Return ``310 labels where 520 were expected since Tue 24 Nov 10:00 UTC; evidence 210,000 : 1 (bar 28,800)``.

    Args:
        reading: The reading.
        seen: What the rule's window shows; said only where the detector counts nothing itself, for the window has no expectation.
    """
    words = evidence_words(reading["score"], reading["bar"])
    if not reading["units"] or reading["since_ms"] is None:
        return f"{seen}; {words}"
    done = reading["units"] - reading["bad"]
    return f"{done:,} labels where {reading['units']:,} were expected since {instant(reading['since_ms'])}; {words}"
