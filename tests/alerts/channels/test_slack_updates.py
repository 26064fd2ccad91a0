"""Slack by a token: later steps change the message of their incident, and what must be noticed is a reply in its thread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs
from pydantic import SecretStr

from alerts.channels.base import ChannelError
from alerts.channels.message import marked_repeat
from alerts.channels.slack import SlackChannel
from alerts.channels.slack_posts import Post, RedisPosts, SlackExtras
from alerts.outgoing import NotedIncident, Notification
from alerts.settings.channels import SlackSettings
from tests.alerts.channels.recorder import AT_MS, Answer, Recorder, at_offset, key_of, noted, recording
from tests.redis_clients import async_client

TOKEN = "xoxb-1-s3cret"
POSTED = Answer(200, b'{"ok":true,"channel":"C0123","ts":"17.5"}')


class MemoryPosts:
    """``Posts`` in a dictionary."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Post] = {}

    async def of(self, channel: str, keys: Sequence[str]) -> list[Post | None]:
        return [self.held.get((channel, key)) for key in keys]

    async def keep(self, channel: str, keys: Sequence[str], post: Post) -> None:
        self.held.update({(channel, key): post for key in keys})


def calls(notes: Sequence[Notification], *answers: Answer, posts: MemoryPosts | None = None) -> list[tuple[str, Any]]:
    """Send notifications one after the other; return the method and body of each call that Slack got."""

    async def main() -> Recorder:
        async with recording(*answers, usual=POSTED) as recorder:
            settings = SlackSettings(
                type="slack", token=SecretStr(TOKEN), channel="#floor", api_url=f"{recorder.url}/api"
            )
            channel = SlackChannel("ops", settings, lambda: AT_MS, SlackExtras(posts=posts or MemoryPosts()))
            try:
                for note in notes:
                    await channel.send(note, key_of(note))
            finally:
                await channel.close()
        return recorder

    return [(request.path.rpartition("/")[2], request.json) for request in asyncio.run(main()).seen]


def refused(error: str) -> Answer:
    return Answer(200, json.dumps({"ok": False, "error": error}).encode())


def grouped(keys: Sequence[str], step: str = "open", *, more: int = 0) -> Notification:
    """A message of several incidents."""
    note = noted(step)
    members = tuple(NotedIncident(step, {**note.incident, "key": key}) for key in keys)
    return structs.replace(
        note,
        id=f"group:{step}:{len(keys)}",
        incident=members[0].incident,
        members=members,
        counts={"accuracy_low": len(keys) + more},
    )


def test_the_end_of_an_incident_changes_its_message_and_posts_nothing() -> None:
    first, second = calls([at_offset(noted(), 1), at_offset(noted("resolved-0"), 9)])
    assert (first[0], first[1]["channel"]) == ("chat.postMessage", "#floor")
    assert (second[0], second[1]["channel"], second[1]["ts"]) == ("chat.update", "C0123", "17.5")
    assert "thread_ts" not in second[1]
    assert second[1]["text"] != first[1]["text"]
    assert second[1]["blocks"]


@pytest.mark.parametrize("step", ["escalated-0-1", "reopened-1"])
def test_what_must_be_noticed_is_told_in_the_thread_and_the_channel_besides(step: str) -> None:
    _, update, reply = calls([at_offset(noted(), 1), at_offset(noted(step), 5)])
    assert (update[0], update[1]["ts"]) == ("chat.update", "17.5")
    assert (reply[0], reply[1]["thread_ts"], reply[1]["reply_broadcast"]) == ("chat.postMessage", "17.5", True)


def test_an_older_state_that_comes_late_changes_no_message() -> None:
    made = calls([at_offset(noted(), 5), at_offset(noted("resolved-0"), 9), at_offset(noted("resolved-0"), 7)])
    assert [method for method, _ in made] == ["chat.postMessage", "chat.update"]


@pytest.mark.parametrize("error", ["message_not_found", "cant_update_message"])
def test_a_message_that_is_gone_is_posted_anew_and_that_one_is_changed_later(error: str) -> None:
    anew = Answer(200, b'{"ok":true,"channel":"C0123","ts":"18.0"}')
    notes = [at_offset(noted(), 1), at_offset(noted("resolved-0"), 9), at_offset(noted("resolved-0"), 12)]
    made = calls(notes, POSTED, refused(error), anew)
    assert [(method, body.get("ts")) for method, body in made] == [
        ("chat.postMessage", None),
        ("chat.update", "17.5"),
        ("chat.postMessage", None),
        ("chat.update", "18.0"),
    ]


def test_a_change_that_slack_refuses_for_now_is_tried_again_and_no_message_is_posted() -> None:
    posts = MemoryPosts()
    calls([at_offset(noted(), 1)], posts=posts)
    with pytest.raises(ChannelError) as caught:
        calls([at_offset(noted("resolved-0"), 9)], refused("ratelimited"), posts=posts)
    assert not caught.value.permanent
    (again,) = calls([at_offset(noted("resolved-0"), 9)], posts=posts)
    assert again[0] == "chat.update"


def test_a_change_is_never_called_a_possible_repeat() -> None:
    _, update = calls([at_offset(noted(), 1), marked_repeat(at_offset(noted("resolved-0"), 9))])
    assert "repeat" not in update[1]["text"]


def test_a_part_of_a_message_is_told_in_its_thread_and_the_whole_changes_it() -> None:
    keys = ("aa" * 16, "bb" * 16, "cc" * 16)
    notes = [grouped(keys), grouped(keys[:1], "resolved-0"), grouped(keys[1:], "escalated-0-1"), grouped(keys)]
    made = calls(notes)
    assert [(method, body.get("thread_ts"), body.get("reply_broadcast")) for method, body in made[:3]] == [
        ("chat.postMessage", None, None),
        ("chat.postMessage", "17.5", None),
        ("chat.postMessage", "17.5", True),
    ]
    assert made[3][0] == "chat.update"


def test_a_message_that_does_not_name_all_it_tells_of_is_never_changed() -> None:
    keys = ("aa" * 16, "bb" * 16)
    made = calls([grouped(keys, more=30), grouped(keys, "resolved-0", more=30), grouped(keys[:1], "resolved-0")])
    assert [method for method, _ in made] == ["chat.postMessage"] * 3
    assert not any("thread_ts" in body for _, body in made)


def test_messages_are_remembered_in_redis_and_without_it_nothing_fails(redis_url: str) -> None:
    post = Post("C1", "1.2", ("k",), {"stamp": None, "updated_at": "2026-01-01T00:00:00Z"})

    async def main() -> None:
        async with async_client(redis_url) as redis:
            posts = RedisPosts(redis, "f:{outbox}:")
            await posts.keep("ops", ("k", "l"), post)
            assert await posts.of("ops", ("k", "l", "m")) == [post, post, None]
            assert await posts.of("other", ("k",)) == [None]
            await redis.set("f:{outbox}:slack:ops:k", b"{")
            assert await posts.of("ops", ("k",)) == [None]
            assert 0 < await redis.ttl("f:{outbox}:slack:ops:l") <= 14 * 86_400

    asyncio.run(main())
