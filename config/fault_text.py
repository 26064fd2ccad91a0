"""pydantic's faults in words: what is wrong and how to mend it."""

from __future__ import annotations

import re
from typing import Any

from config.nearest import nearest

_MUST_BE = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a group of name: value lines",
    "model_type": "a group of name: value lines",
    "model_attributes_type": "a group of name: value lines",
    "url_parsing": "a URL",
    "timezone_aware": "a time with a zone",
    "datetime_parsing": "a time with a zone",
    "datetime_from_date_parsing": "a time with a zone",
    "datetime_type": "a time with a zone",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_HINTS = {
    "a list": "write [a, b]",
    "text": "put quotes around it",
    "true or false": "write true or false",
    "a time with a zone": "write e.g. 2027-01-31T00:00:00Z",
}
_MAX_SHOWN = 40
_PERCENT = re.compile(r"\s*(\d{1,3}(?:[.,]\d+)?)\s*(?:%|percent|pct)?\s*", re.IGNORECASE)
_COMMA = re.compile(r"\s*(-?\d+),(\d+)\s*")


def shown(value: Any) -> str:
    """Return a value as a person would name it, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a group of settings"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    text = text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
    return f'"{text}"' if isinstance(value, str) else text


def reason_and_hint(error: Any, known: list[str], secret: bool) -> tuple[str, str | None]:
    """Put one pydantic fault in words.

    Args:
        error: One entry of ``ValidationError.errors()``.
        known: Names the surrounding group may hold.
        secret: True if the value must not be shown.

    Returns:
        The reason, without the setting's name, and a hint or None.
    """
    kind, context, value = error["type"], error.get("ctx") or {}, error.get("input")
    if kind == "extra_forbidden":
        name = str(error["loc"][-1])
        return "there is no such setting", nearest(name, known)
    if kind == "missing":
        return "is required and missing", None
    if value is None:
        return "is empty", "give it a value, or remove the line to take the default"
    if kind in _MUST_BE:
        must = _MUST_BE[kind]
        got = "" if secret else f", not {shown(value)}"
        return f"must be {must}{got}", _HINTS.get(must) or (_number(value, secret) if must == "a number" else None)
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        got = "" if secret else f", not {shown(value)}"
        is_ratio = kind.startswith("less") and 0 < float(context.get(bound) or 0) <= 1
        return f"must be {words} {context.get(bound)}{got}", _percent(value, secret) if is_ratio else None
    return _special(error, kind, context, secret)


def _number(value: Any, secret: bool) -> str | None:
    """Return how a number with a fraction is written; of a whole number nothing is known."""
    comma = _COMMA.fullmatch(str(value))
    if comma is not None and not secret and int(comma[1]) < 2:
        return f"write {comma[1]}.{comma[2]}, with a point"
    return _percent(value, secret)


def _percent(value: Any, secret: bool) -> str | None:
    """Return how a percentage is written as a ratio, or None where the value is none."""
    found = _PERCENT.fullmatch(str(value))
    if (
        found is None
        or secret
        or isinstance(value, bool)
        or not 2 <= (number := float(found[1].replace(",", "."))) <= 100
    ):
        return None
    return f"write {number / 100:g} for {number:g} percent"


def _special(error: Any, kind: str, context: dict[str, Any], secret: bool) -> tuple[str, str | None]:
    value = error.get("input")
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        text = context.get("expected") or context.get("expected_tags") or ""
        options = [part.strip(" '") for part in str(text).replace(" or ", ",").split(",")]
        tag = context.get("tag", value)
        return f"must be one of {', '.join(options)}, not {shown(tag)}", nearest(
            str(tag), options, "write one of these"
        )
    if kind == "union_tag_not_found":
        return f"needs {context.get('discriminator', 'its kind')} to tell what it is", None
    if kind in ("too_short", "string_too_short"):
        least = context.get("min_length")
        return ("must not be empty" if least == 1 else f"needs at least {least}"), None
    if kind in ("too_long", "string_too_long"):
        return f"may hold at most {context.get('max_length')}", None
    if kind == "string_pattern_mismatch":
        got = "" if secret else f" ({shown(value)})"
        return f"has a form that is not allowed{got}", f"it must match {context.get('pattern')}"
    message = str(error["msg"]).removeprefix("Value error, ")
    hint = context.get("hint")
    leaks = secret and str(value) in message
    return ("is not valid" if leaks else message), str(hint) if hint else None
