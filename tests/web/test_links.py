"""Tokens of links: what was not signed exactly so allows nothing."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.links import (
    MOST_TOKEN,
    PURPOSES,
    Claim,
    LinkFault,
    LinkPurpose,
    LinkSigner,
    doer,
    keys_of,
    read,
    sign,
    sign_short,
)

NEW, OLD, OTHER = b"n" * 64, b"o" * 64, b"x" * 64
KEY = "ab" * 16
NOW_MS = 1_790_000_000_000
texts = st.text(max_size=40)
claims = st.builds(
    Claim,
    st.sampled_from(PURPOSES),
    st.just(KEY),
    st.one_of(texts.filter(lambda text: not text.startswith(":")), st.just(f"{KEY}:escalated-0-2")),
    texts,
    st.integers(NOW_MS + 1, 2**53),
)


def token_of(claim: Claim, *keys: bytes) -> str:
    return sign(keys or (NEW,), claim.purpose, claim.incident, claim.notice, claim.receiver, claim.expires_ms)


@settings(max_examples=40)
@given(claims)
def test_what_was_signed_is_read(claim: Claim) -> None:
    token = token_of(claim)
    assert read((NEW,), token, NOW_MS) == claim
    assert token == token_of(claim)
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")


@settings(max_examples=40)
@given(claims, st.data())
def test_every_change_of_a_token_is_seen(claim: Claim, data: st.DataObject) -> None:
    token = token_of(claim)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(sorted(set(string.ascii_letters + string.digits + "-_.=") - {token[place]})))
    for changed in (token[:place] + other + token[place + 1 :], token[:place] + token[place + 1 :], token + other):
        assert read((NEW, OLD), changed, NOW_MS) == LinkFault("forged")


@settings(max_examples=40)
@given(st.text(max_size=300))
def test_any_text_is_read(token: str) -> None:
    assert read((NEW,), token, NOW_MS) == LinkFault("forged")


@settings(max_examples=40)
@given(claims, claims)
def test_the_signature_of_one_claim_is_none_of_another(one: Claim, other: Claim) -> None:
    if one != other:
        mixed = f"{token_of(one).rpartition('.')[0]}.{token_of(other).rpartition('.')[2]}"
        assert read((NEW,), mixed, NOW_MS) == LinkFault("forged")


@settings(max_examples=40)
@given(claims)
def test_a_key_is_replaced_by_another_while_links_of_both_are_good(claim: Claim) -> None:
    old, new = token_of(claim, OLD), token_of(claim, NEW, OLD)
    assert read((NEW, OLD), old, NOW_MS) == read((NEW, OLD), new, NOW_MS) == claim
    assert read((NEW,), old, NOW_MS) == LinkFault("forged")
    assert read((OTHER,), new, NOW_MS) == read((), new, NOW_MS) == LinkFault("forged")


def test_a_link_ends_and_says_what_it_was_for() -> None:
    claim = Claim("ack", KEY, f"{KEY}:open", "ops", NOW_MS)
    assert read((NEW,), token_of(claim), NOW_MS - 1) == claim
    assert read((NEW,), token_of(claim), NOW_MS) == LinkFault("expired", claim)


def test_what_is_signed_for_something_else_is_no_link() -> None:
    import hmac

    text = token_of(Claim("ack", KEY, "", "ops", NOW_MS + 1)).rpartition(".")[0]
    bare = base64.urlsafe_b64encode(hmac.new(NEW, text.encode(), "sha256").digest()).rstrip(b"=").decode()
    assert read((NEW,), f"{text}.{bare}", NOW_MS) == LinkFault("forged")


def test_a_purpose_of_a_later_release_allows_nothing_here() -> None:
    token = sign((NEW,), "merge", KEY, "", "ops", NOW_MS + 1)  # type: ignore[arg-type]
    assert read((NEW,), token, NOW_MS) == LinkFault("forged")


def test_links_are_short_and_the_same_on_one_day() -> None:
    signer = LinkSigner("https://floorwatch.example/", (NEW,), 7 * 86_400_000)
    link = signer.for_receiver("ops", NOW_MS)("silence", KEY, f"{KEY}:escalated-0-2")
    assert len(link) < 240
    assert link == signer.for_receiver("ops", NOW_MS + 1)("silence", KEY, f"{KEY}:escalated-0-2")
    claim = read((NEW,), link.rpartition("/")[2], NOW_MS + 7 * 86_400_000 - 1)
    assert isinstance(claim, Claim)
    assert signer.for_receiver("ops", NOW_MS)("paint it", KEY, "") == ""
    longest = signer.url("not_useful", KEY, f"{KEY}:escalated-99-10", "n" * 200, NOW_MS)
    assert len(longest) < MOST_TOKEN


def test_keys_are_lines_and_without_one_nothing_is_signed() -> None:
    assert keys_of(" a \n\nb\r\n") == (b"a", b"b")
    with pytest.raises(ValueError, match="no key"):
        sign((), "ack", KEY, "", "ops", NOW_MS)


def test_a_link_acts_in_the_name_of_its_receiver() -> None:
    assert [doer("person:mei"), doer("person:mei", "Ana"), doer("channel:ops"), doer("ops", "Ana")] == [
        "mei", "mei", "link of ops", "Ana (link of ops)",
    ]  # fmt: skip


DAY_MS = 86_400_000
LAST_MS = -(-NOW_MS // DAY_MS) * DAY_MS
receivers = st.text(max_size=40)


@settings(max_examples=40)
@given(st.sampled_from(PURPOSES), receivers, st.integers(0, 3_000).map(lambda days: LAST_MS + days * DAY_MS))
def test_a_short_link_says_the_same_but_for_the_message(purpose: LinkPurpose, receiver: str, end_ms: int) -> None:
    token = sign_short((NEW,), purpose, KEY, receiver, end_ms)
    claim = Claim(purpose, KEY, "", receiver, end_ms)
    assert read((NEW,), token, NOW_MS) == read((OTHER, NEW), token, NOW_MS) == claim
    assert read((NEW,), token, end_ms) == LinkFault("expired", claim)
    assert read((OTHER,), token, NOW_MS) == read((), token, NOW_MS) == LinkFault("forged")
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")


@settings(max_examples=80)
@given(receivers, st.data())
def test_every_change_of_a_short_token_is_seen(receiver: str, data: st.DataObject) -> None:
    token = sign_short((NEW,), "ack", KEY, receiver, LAST_MS)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(sorted(set(string.ascii_letters + string.digits + "-_.=") - {token[place]})))
    for changed in (token[:place] + other + token[place + 1 :], token[:place] + token[place + 1 :], token + other):
        assert read((NEW, OLD), changed, NOW_MS) == LinkFault("forged")


@settings(max_examples=40)
@given(st.text(string.ascii_letters + string.digits + "-_", max_size=90))
def test_any_text_is_read_as_a_short_token_too(text: str) -> None:
    assert read((NEW,), f"s.{text}", NOW_MS) == LinkFault("forged")


def test_a_short_link_leaves_room_for_what_where_and_the_number() -> None:
    signer = LinkSigner("https://floorwatch.example/", (NEW,), 7 * DAY_MS)
    link = signer.for_receiver("sms", NOW_MS)("ack_short", KEY, f"{KEY}:open")
    assert len(link) == 77
    assert len(signer.for_receiver("sms-of-the-leads", NOW_MS)("ack_short", KEY, "")) == 94
    assert signer.short_url("ack", "not a key", "sms", NOW_MS) == signer.short_url("ack", "abcd", "sms", NOW_MS) == ""
    with pytest.raises(ValueError, match="no key"):
        sign_short((), "ack", KEY, "ops", LAST_MS)
