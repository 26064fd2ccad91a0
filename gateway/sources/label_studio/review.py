"""Reviews of Label Studio Enterprise: REVIEW_CREATED, REVIEW_UPDATED and REVIEWS_DELETED.

Not captured live. The names of the actions and the fields of a review are those of label-studio-sdk 2.1.2 (``actions_enum``,
``annotation_review``); where the webhook has them is not published. So a review is read under ``review`` or ``reviews``, and one
that lacks a field goes to the dead letters, with the name of the field.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.sources.label_studio.events import Maker, label_id
from gateway.sources.label_studio.read import Hook, need, time_of
from gateway.webhooks import BadWebhook, Remembered
from streams.models import events as wire


def reviewed_annotation(review: dict[str, Any], hook: Hook) -> Any:
    """Return the id of the annotation that a review is of, or None: it says so, or the webhook has only one."""
    annotations = hook["annotations"] or []
    if review.get("annotation") is not None:
        return review["annotation"]
    return annotations[0].get("id") if len(annotations) == 1 else None


def reviewed(
    maker: Maker, review: dict[str, Any], label: Remembered, known: Remembered | None, place: str
) -> tuple[list[Any], Remembered | None]:
    """Return events and record of a review.

    One that comes with a change of the answer says nothing more: the change is told by itself, and is the verdict.

    Args:
        maker: Makes events about the task.
        review: The distilled review.
        label: What is remembered of the annotation.
        known: What is remembered of the review, or None.
        place: Where it stands in the webhook.

    Raises:
        BadWebhook: A field is missing or wrong.
    """
    reviewer = maker.person(need(review, "created_by", place))
    time = time_of(review, "updated_at" if "updated_at" in review else "created_at", place)
    accepted = need(review, "accepted", place)
    if not isinstance(accepted, bool):
        raise BadWebhook("wrong_type", f"{place}.accepted", f"{place}.accepted is neither true nor false")
    if label["skipped"] or label.get("copy") or reviewer == label["labeler"]:
        return [], None
    audit_id = f"ls-review-{label['uid']}-{review['id']}"
    record = {name: label[name] for name in ("task", "project", "generation", "uid")}
    record |= {"audit_id": audit_id, "deleted_ms": None}
    if label.get("fixed") or review.get("fixed_annotation_history") is not None:
        withdrawn = maker.audit_withdrawn(label["uid"], audit_id, time, "the reviewer changed the answer")
        return ([withdrawn] if known and known["said"] else []), {**record, "said": False}
    data = wire.AuditCompletedData(
        audit_id=audit_id,
        label_id=label_id(label["uid"], label["round"]),
        auditor_id=reviewer,
        verdict="correct" if accepted else "incorrect",
        sampling=wire.Sampling(method="review"),
    )
    return [maker.audit(label["uid"], data, time, label["values"])], {**record, "said": True}


def review_withdrawn(maker: Maker, known: Remembered, time: datetime) -> list[Any]:
    """Return what the deletion of a review means."""
    if not known["said"]:
        return []
    return [maker.audit_withdrawn(known["uid"], known["audit_id"], time, "the review was deleted")]
