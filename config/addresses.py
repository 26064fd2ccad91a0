"""Checks of addresses and names that other systems will read."""

from __future__ import annotations

import re
from typing import NoReturn

from pydantic_core import PydanticCustomError

_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/,\[\]]+):(\d{1,5})")
_TOPIC = re.compile(r"[A-Za-z0-9._-]*")
MAX_PORT = 65535


def _refuse(reason: str, hint: str, **context: str) -> NoReturn:
    raise PydanticCustomError("config", reason, {**context, "hint": hint})


def host_port(text: str) -> str:
    """Return ``host:port`` unchanged. Raises PydanticCustomError if it is not one."""
    found = _HOST_PORT.fullmatch(text)
    if found is None:
        if "://" in text:
            _refuse('"{text}" is not host:port', "remove the scheme (the part up to ://)", text=text)
        if "," in text:
            _refuse('"{text}" holds a comma', "write one host:port an entry: [a:9092, b:9092]", text=text)
        _refuse('"{text}" is not host:port', "write e.g. kafka-1.example.net:9092", text=text)
    if not 1 <= int(found[2]) <= MAX_PORT:
        _refuse("port {port} does not exist", "ports are 1 to 65535", port=found[2])
    return text


def ratio(value: float) -> float:
    """Return a ratio unchanged. Raises PydanticCustomError unless it is between 0 and 1."""
    if 0.0 < value < 1.0:
        return value
    hint = f"write {value / 100:g} for {value:g} percent" if 2.0 <= value < 100.0 else "write e.g. 0.95"
    _refuse("must be between 0 and 1, not {value}", hint, value=f"{value:g}")


def topic_part(text: str) -> str:
    """Return a topic name or a part of one unchanged. Raises PydanticCustomError if Kafka would refuse it."""
    if not _TOPIC.fullmatch(text):
        _refuse(
            '"{text}" cannot be in a topic name', "Kafka allows letters, digits, dot, dash and underscore", text=text
        )
    if text in (".", ".."):
        _refuse('"{text}" cannot be a topic name', "choose a longer name", text=text)
    return text


def web_base(text: str) -> str:
    """Return the address before a path, ending in a slash, or nothing. Raises PydanticCustomError if it is not a web address."""
    if text and not re.fullmatch(r"https?://[^\s/]\S*", text):
        _refuse('"{text}" is not a web address', "write e.g. https://grafana.example.net", text=text)
    if "?" in text or "#" in text:
        _refuse('"{text}" has a ? or a #', "write the address up to there: paths are put behind it", text=text)
    return text if not text or text.endswith("/") else text + "/"


def task_address(text: str) -> str:
    """Return an address with ``{task}`` in it, or nothing. Raises PydanticCustomError if it is not one."""
    if not text:
        return text
    if not re.fullmatch(r"https?://[^\s/{}]\S*", text):
        _refuse('"{text}" is not a web address', "write e.g. https://tool.example/tasks/{task}", text=text)
    if "{task}" not in text:
        _refuse('"{text}" names no task', "write {task} where the task's id belongs", text=text)
    return text


def redis_url(text: str) -> str:
    """Return a Redis URL unchanged. Raises PydanticCustomError, which never shows the URL: it may hold a password."""
    if not re.match(r"(rediss?|unix)://", text):
        _refuse("this is not a Redis URL", "write redis://host:port/db, or rediss:// for TLS")
    if re.search(r"\s", text) or text.endswith("://"):
        _refuse("this Redis URL has no host, or has a space", "write redis://host:port/db")
    port = re.search(r"^rediss?://[^/]*:(\d*|[^\]/]*)(/|$)", text)
    if port and port[1] and not (port[1].isdigit() and 1 <= int(port[1]) <= MAX_PORT):
        _refuse("the port of this Redis URL is not a number from 1 to 65535", "write redis://host:port/db")
    return text
