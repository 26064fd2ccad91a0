"""The reading of a detector as text. The detector itself runs in the core; rows contain its reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.signals import AuditSuggestion
from streams.core.detectors.bets import ShareBets
from streams.core.detectors.evidence_text import evidence_words
from streams.core.detectors.fleet import audits_to_decide, watch_list
from streams.core.formatting import instant

MOST_AUDITS = 500
"""Most audits asked for at a time. If the share of errors is close to the allowed one, thousands would be needed."""

Reading = Mapping[str, Any]
"""``score``, ``bar``, ``firing``, ``since_ms``, ``fired_ms``, ``units``, ``bad``, ``wants_audits``,
``recovered``, ``phi``.

See ``streams.core.detectors.watch.Reading``.
"""


def reading_of(row: Mapping[str, Any], rule_name: str) -> Reading | None:
    """Return a rule's reading in a row; None if its detector does not watch the scope."""
    reading: Reading | None = (row.get("evidence") or {}).get(rule_name)
    return reading


def checked_reading(row: Mapping[str, Any], rule_name: str) -> Reading | None:
    """Return a rule's reading in a row, as ``reading_of``, after a look at what the watch list takes of it.

    Raises:
        KeyError: It lacks its score, its bar or whether it fires.
        TypeError: One of them is no number.
    """
    reading = reading_of(row, rule_name)
    if reading is not None and not all(isinstance(reading[name], (int, float)) for name in ("score", "bar", "firing")):
        raise TypeError("the score, the bar or whether it fires is no number")
    return reading


def places_on_watch_list(readings: Mapping[str, Reading]) -> dict[str, int]:
    """Return the place on the watch list, from 1, of each scope that is on it.

    Args:
        readings: One rule's readings by scope key.
    """
    bar = next((reading["bar"] for reading in readings.values()), 0.0)
    listed = watch_list({key: reading["score"] for key, reading in readings.items()}, bar)
    return {key: place for place, key in enumerate(listed, 1) if not readings[key]["firing"]}


def audit_suggestion_of(bets: ShareBets | None, reading: Reading) -> AuditSuggestion | None:
    """Return how many more audits would decide, for a reading that asks for them. None if its errors would never reach the bar."""
    score, bar, units, bad = reading["score"], reading["bar"], reading["units"], reading["bad"]
    audits = None if bets is None else audits_to_decide(bets, (units, bad), score, bar, reading.get("phi", 1.0))
    return None if audits is None else AuditSuggestion(min(audits, MOST_AUDITS), score, bar, units, bad)


def in_words(reading: Reading, noun: str, place: int | None) -> str:
    """Return ``evidence 210,000 : 1 (bar 140,000) since Tue 24 Nov 10:00 UTC``.

    It is shown beside the numbers of the rule's window and has no counts of its own. A detector counts from another
    time on, where things began to look bad, so its share would exaggerate. Rows have the counts.

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
    if not reading["firing"] and not reading.get("recovered", True):
        words.append("no evidence of recovery")
    return "; ".join(words)


def drop_in_words(reading: Reading, seen: str) -> str:
    """Return ``310 labels where 520 were expected since Tue 24 Nov 10:00 UTC; evidence 210,000 : 1 (bar 28,800)``.

    Args:
        reading: The reading.
        seen: What the rule's window shows; shown only if the detector has no counts, because the window has no expected
            number.
    """
    words = evidence_words(reading["score"], reading["bar"])
    if not reading["units"] or reading["since_ms"] is None:
        return f"{seen}; {words}"
    done = reading["units"] - reading["bad"]
    return f"{done:,} labels where {reading['units']:,} were expected since {instant(reading['since_ms'])}; {words}"
