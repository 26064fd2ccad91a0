"""How audits of tools are drawn, by the configuration: over HTTP and by webhooks, by the label's own decision and queue."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config.sampling import SamplingSettings
from gateway.context import Limits
from gateway.settings import GatewaySettings
from gateway.sources.label_studio.read import distill
from gateway.webhook_batch import PendingWebhook, translate_all
from streams.models.events import decode_event
from streams.models.sampling_plan import SamplingPlan
from tests.gateway.argilla_hooks import post, response, settings, signed
from tests.gateway.harness import NOW_MS, Bench, fixture
from tests.gateway.test_label_studio import at, change, choices
from tests.oracle.case_events import audit, label


def plan(**sources: Any) -> SamplingPlan:
    return SamplingSettings.model_validate({"sources": sources}).plan()


RANDOM = {"method": "random", "probability": 0.05}
FLAGGED = {"probability": 0.01, "rules": [{"when": {"decision": ["Spam", "Hate"]}, "probability": 0.2}]}


def reviewed(given: str, sampling: SamplingPlan) -> Any:
    """Return the sampling of the review of a Label Studio label with this decision."""
    created = fixture("0009")
    created["annotation"]["result"] = [choices(given)]
    review = change(fixture("0009"), at("40.5"), updated_by=6, result=[choices("Safe")])
    asked = GatewaySettings()
    reduced = [distill(hook, asked.label_studio) for hook in (created, review)]
    hooks = [PendingWebhook(n, "label-studio/kul", NOW_MS, hook) for n, hook in enumerate(reduced)]
    batch = translate_all(hooks, {}, asked, plan=sampling)
    (found,) = [
        event for event in (decode_event(value) for _, value in batch.records) if "Audit" in type(event).__name__
    ]
    return found.data.sampling


@pytest.mark.parametrize(
    ("given", "sources", "expected"),
    [
        ("Spam", {}, ("review", None, "event")),
        ("Spam", {"label-studio/kul": RANDOM}, ("review", 0.05, "configuration")),
        ("Spam", {"label-studio/*": "targeted"}, ("review", None, "configuration")),
        ("Spam", {"label-studio/lis": RANDOM}, ("review", None, "event")),
        ("Spam", {"label-studio/*": FLAGGED}, ("review", 0.2, "configuration")),
        ("Safe", {"label-studio/*": FLAGGED}, ("review", 0.01, "configuration")),
        (
            "Safe",
            {"*": {"rules": [{"when": {"queue": "appeal*", "market": "en"}, "probability": 0.5}]}},
            ("review", 0.5, "configuration"),
        ),
        (
            "Safe",
            {"*": {"rules": [{"when": {"queue": "appeal*", "market": "de"}, "probability": 0.5}]}},
            ("review", None, "event"),
        ),
    ],
)
def test_a_review_in_label_studio_is_drawn_as_the_configuration_says_of_its_label(
    given: str, sources: dict[str, Any], expected: Any
) -> None:
    found = reviewed(given, plan(**sources))
    assert (found.method, found.probability, found.source) == expected


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({}, ("review", None, "event")),
        ({"argilla/*": RANDOM}, ("review", 0.05, "configuration")),
        ({"argilla/kul": FLAGGED}, ("review", 0.2, "configuration")),
        (
            {"argilla/kul": {"rules": [{"when": {"decision": "policy=Hate"}, "probability": 0.5}]}},
            ("review", 0.5, "configuration"),
        ),
        ({"argilla/kul": {"rules": [{"when": {"decision": "Safe"}, "probability": 0.5}]}}, ("review", None, "event")),
    ],
)
def test_an_audit_in_argilla_is_drawn_as_the_configuration_says_of_its_label(sources: Any, expected: Any) -> None:
    bench = Bench(settings(auditors=["owner"]), Limits(sampling=plan(**sources)))

    async def steps(bench: Bench) -> None:
        for number, hook in enumerate((response("created", 1), response("created", 2, "olga", policy="Safe"))):
            body = json.dumps(hook).encode()
            assert (await post(bench, body, signed(body, bench.now_ms // 1000, number)))[0] == 200

    (found,) = [one for one in bench.run(steps).events if one["type"] == "floorwatch.audit.completed.v1"]
    assert tuple(found["data"]["sampling"].values()) == expected


def test_audits_over_http_are_stamped_and_a_lie_is_refused_with_its_place() -> None:
    sources = SamplingSettings.model_validate({"min_probability": 0.001, "sources": {"case": RANDOM}})
    silent, named, lie = (
        audit("a-1", 7, "l", "correct"),
        audit("a-2", 8, "l", "correct", p=0.5),
        audit("a-3", 9, "l", "incorrect", p=0.0002),
    )

    async def steps(bench: Bench) -> None:
        status, answer = await bench.post([label("l", 5), silent, named, lie])
        assert (status, answer["accepted"], answer["rejected_count"]) == (422, 3, 1)
        assert (answer["rejected"][0]["index"], answer["rejected"][0]["code"]) == (3, "probability_below_bound")

    bench = Bench(limits=Limits(sampling=sources.plan())).run(steps)
    drawn = [one["data"].get("sampling") for one in bench.events]
    assert drawn[0] is None
    assert drawn[1] == {"method": None, "probability": 0.05, "source": "configuration"}
    assert drawn[2] == {"method": "random", "probability": 0.5}
