"""Matchers of routes and maintenance windows: ``vendor=bpo-a``, ``site=~kul|pen``. Written and read as Alertmanager does. Pure.

Regular expressions are those of pydantic's engine (the Rust crate regex): its time grows with the length of the value alone. Python's
own may take years for a value of fifty characters, and a vendor chooses its own name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, get_args

from pydantic_core import SchemaError, SchemaValidator, core_schema

from alerts.plain_text import odd_character
from alerts.routing.policy import Matcher, Subject
from alerts.scopes import DIMENSIONS
from alerts.signals import Severity

OWN_NAMES = ("severity", "kind", "rule")
"""What a matcher may ask besides dimensions."""
NAMES = (*DIMENSIONS, *OWN_NAMES)
MOST_TEXT = 1_000
"""Characters of a matcher."""
SEVERITIES: tuple[str, ...] = get_args(Severity)

_SHAPE = re.compile(r"\s*([^\s=!~\"]*)\s*(=~|!~|!=|==|=)\s*(.*?)\s*", re.DOTALL)
_SIMPLE = re.compile(r"(?:[^\\^$.|?*+()\[\]{}]|\\[^0-9]|\.\*?)*", re.DOTALL)
_ALTERNATIVES = re.compile(r"(?<!\\)\|")
MOST_RUNS = 2
"""``.*`` in one alternative of a planned matcher: each takes a value's length of steps for each before it."""
_PLAIN = re.compile(r"[^\\^$.|?*+()\[\]{}]*")


class MatcherFault(ValueError):
    """A text that is no matcher. ``reason`` says what is wrong, ``hint`` how to mend it."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"{reason}; {hint}")
        self.reason, self.hint = reason, hint


def parse_matcher(text: str) -> Matcher:
    """Return the matcher that a text is. Its name may be any; ``NAMES`` are those that mean something.

    Args:
        text: A name, one of ``=``, ``!=``, ``=~``, ``!~``, and a value, in double quotes or plain.

    Raises:
        MatcherFault: It is none.
    """
    if len(text) > MOST_TEXT:
        raise MatcherFault(f"the matcher has {len(text):,} characters, {MOST_TEXT:,} at most", "write several entries")
    found = _SHAPE.fullmatch(text)
    if found is None or not found[1]:
        raise MatcherFault(f'"{text}" is no matcher', "write a name, one of = != =~ !~, and a value: vendor=bpo-a")
    name, op, value = found.groups()
    if op == "==":
        raise MatcherFault(f'"{text}" has two equals signs', f"write {name}={value}")
    if value.startswith('"'):
        value = _unquoted(text, value)
    matcher = Matcher(name, _op(op), value)
    if matcher.op in ("=~", "!~"):
        try:
            _fitting(value)
        except (SchemaError, UnicodeError) as error:
            said, more = _said(error)
            hint = more or (
                f"write e.g. {name}{op}{_alternative(value)}; put a backslash before a character that is meant as it is"
            )
            raise MatcherFault(f'"{value}" is no regular expression: {said}', hint) from error
    return matcher


@lru_cache(maxsize=4096)
def planned_matcher(text: str) -> Matcher:
    """Return the matcher that a text is, if it may stand in a maintenance window that somebody plans while the system runs.

    Whoever may plan must not be able to keep a worker busy, so its regular expressions are words, ``.`` and few ``.*``.

    Raises:
        MatcherFault: It may not.
    """
    matcher = parse_matcher(text)
    check_characters(text)
    if matcher.op in ("=~", "!~"):
        for part in _ALTERNATIVES.split(matcher.text):
            if not _SIMPLE.fullmatch(part) or part.count(".*") > MOST_RUNS:
                hint = f"write words with | between them, each with . or at most {MOST_RUNS} .* in it: site=~kul|pen.*"
                raise MatcherFault(f'"{part}" is more than a maintenance window may ask for', hint)
    return matcher


def check_characters(text: str) -> None:
    """Check that a matcher holds only what values of events may hold: nothing else could ever fit.

    Raises:
        MatcherFault: It does not.
    """
    odd = odd_character(text)
    if odd is not None:
        raise MatcherFault(f"{text!a} holds {odd}", "write the value as `floorwatch incidents` shows it")


def _op(text: str) -> Literal["=", "!=", "=~", "!~"]:
    ops: dict[str, Literal["=", "!=", "=~", "!~"]] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}
    return ops[text]


def _unquoted(text: str, value: str) -> str:
    if len(value) < 2 or not value.endswith('"') or re.fullmatch(r'"(?:[^"\\]|\\.)*"', value, re.DOTALL) is None:
        raise MatcherFault(
            f"the quotes of {text} do not close", 'end the value with ", and write \\" for a quote in it'
        )
    return re.sub(r"\\([\"\\])", r"\1", value[1:-1])


def _alternative(value: str) -> str:
    """Return a regular expression of the words in one that is none, as an example."""
    words = re.findall(r"[\w.-]+", value)[:2]
    return "|".join(words) if words else "kul|pen"


@lru_cache(maxsize=4096)
def _fitting(text: str) -> Callable[[Any], bool]:
    """Return what tells whether a regular expression fits all of a value.

    Raises:
        SchemaError: The text is none.
        UnicodeError: It is no text.
    """
    _compiled(text)  # alone: a)|(b is none, though it would be one within brackets
    return _compiled(rf"\A(?:{text})\z").isinstance_python


def _compiled(text: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=text, regex_engine="rust-regex"))


_HINTS = {
    "look-around": "write what must not fit as a matcher of its own, with != or !~",
    "backreferences": "write out what may be repeated",
    "size limit": "write a shorter one, with smaller numbers in { }",
}
"""How to write what the engine does not have, by a word of its message."""
_INDENT = 4
"""Spaces before the text in a message of the engine."""


def _said(error: Exception) -> tuple[str, str | None]:
    """Return what the engine says of a text that is no regular expression, with the place, and a hint where there is one."""
    lines = str(error).splitlines()
    reason = next((line.partition("error: ")[2] for line in lines if line.startswith("error: ")), "it is too large")
    several = any(line.startswith("~~~") for line in lines)  # a text of several lines is shown otherwise
    mark = None if several else next((line for line in lines if line.strip() and not line.strip(" ^")), None)
    place = "" if mark is None else f" at character {mark.index('^') - _INDENT + 1}"
    return reason + place, next((hint for word, hint in _HINTS.items() if word in str(error)), None)


def matcher_text(matcher: Matcher) -> str:
    """Return a matcher as it is written; ``parse_matcher`` reads it back."""
    quoted = not matcher.text or matcher.text != matcher.text.strip() or matcher.text.startswith('"')
    if quoted or any(char in matcher.text for char in "\r\n"):
        inner = matcher.text.replace("\\", "\\\\").replace('"', '\\"')
        return f'{matcher.name}{matcher.op}"{inner}"'
    return f"{matcher.name}{matcher.op}{matcher.text}"


def value_of(subject: Subject, name: str) -> str:
    """Return what a matcher of a name compares with; the empty text where the scope has no such dimension."""
    own = {"kind": subject.kind, "rule": subject.rule, "severity": subject.severity}
    return own.get(name, subject.scope.get(name, ""))


def fits_value(matcher: Matcher, value: str) -> bool:
    """Tell whether a matcher fits a value. A regular expression must fit all of it."""
    if matcher.op in ("=", "!="):
        return (value == matcher.text) == (matcher.op == "=")
    return _fitting(matcher.text)(value) == (matcher.op == "=~")


def fits(matcher: Matcher, subject: Subject) -> bool:
    """Tell whether a matcher fits an incident."""
    return fits_value(matcher, value_of(subject, matcher.name))


_ODD = ("a", "bpo-b", "0-Zz é", "\N{SNOWMAN}/7@")


def fits_anything(matcher: Matcher, *, present: bool = False) -> bool:
    """Tell whether a regular expression fits every value, as far as odd ones show; False for other operators.

    Args:
        matcher: The matcher.
        present: Every value but the empty text, which stands for a dimension that a scope does not have.
    """
    values = _ODD if present else ("", *_ODD)
    return matcher.op == "=~" and all(fits_value(matcher, value) for value in values)


def possible(matchers: Iterable[Matcher], name: str) -> frozenset[str] | None:
    """Return the only values of a name that may fit all of some matchers; None where they leave it open.

    ``=`` leaves one; ``=~`` of plain words (``kul|pen``) leaves these.
    """
    own = [one for one in matchers if one.name == name]
    left: set[str] | None = None
    for one in own:
        values = {one.text} if one.op == "=" else set(one.text.split("|")) if one.op == "=~" else set()
        if one.op in ("=", "=~") and (one.op == "=" or all(_PLAIN.fullmatch(value) for value in values)):
            left = values if left is None else left & values
    if left is None:
        return None
    return frozenset(value for value in left if all(fits_value(one, value) for one in own))


def implied(
    matcher: Matcher, given: tuple[Matcher, ...], values: Mapping[str, frozenset[str] | None] | None = None
) -> bool:
    """Tell whether whatever fits all of ``given`` surely fits a matcher. False also where that is not seen.

    Args:
        matcher: The matcher.
        given: What fits already.
        values: By name what ``possible`` says of ``given``, where it is known.
    """
    if matcher in given:
        return True
    left = possible(given, matcher.name) if values is None else values.get(matcher.name)
    return left is not None and all(fits_value(matcher, value) for value in left)
