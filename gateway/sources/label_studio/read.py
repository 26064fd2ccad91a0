"""Reads only what is needed from Label Studio's webhooks, so that no moderated content gets past here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from gateway.sources.label_studio.digest import digest_of, same
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.webhooks import BadWebhook, Remembered

Hook = dict[str, Any]

ANNOTATION_FIELDS = (
    "id",
    "unique_id",
    "was_cancelled",
    "ground_truth",
    "created_at",
    "updated_at",
    "lead_time",
    "task",
    "project",
    "completed_by",
    "updated_by",
    "parent_prediction",
    "parent_annotation",
)
_REVIEW = ("id", "accepted", "created_at", "updated_at", "fixed_annotation_history")
TASK_FIELDS = ("id", "created_at", "updated_at", "overlap", "project", "total_annotations", "cancelled_annotations")


MALFORMED = "malformed"
_KINDS: dict[type, str] = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
_ALL_KINDS = frozenset([*_KINDS.values(), "a number"])


def distill(payload: Any, settings: LabelStudioSettings) -> Hook:
    """Return a webhook reduced to ids, times, dimensions and choices, in the shape it had.

    Task text, notes, project tokens and unknown fields do not get past this function.

    Args:
        payload: The decoded body, or what this function returned.
        settings: Which fields of task.data are dimensions.

    Raises:
        BadWebhook: It is not a webhook of Label Studio.
    """
    if not isinstance(payload, dict) or not isinstance(payload.get("action"), str):
        raise BadWebhook("missing_field", "$.action", "a Label Studio webhook is a JSON object with an action")
    hook: Hook = {"action": payload["action"][:64]}
    project = payload.get("project")
    if isinstance(project, dict):
        hook["project"] = {"id": project.get("id"), "title": project.get("title")}
        controls = _choice_controls(project, settings)
        if controls is not None:
            hook["project"]["controls"] = controls
        if isinstance(project.get("skip_queue"), str):
            hook["project"]["skip_queue"] = project["skip_queue"][:64]
    tasks, annotations = listed(payload, "task"), listed(payload, "annotation")
    # None where the webhook has no such part. Then it was sent without its payload, which is not the same as an empty
    # list.
    hook["tasks"] = None if tasks is None else [_task(one, settings) for one in tasks]
    hook["annotations"] = None if annotations is None else [_annotation(one, settings) for one in annotations]
    reviews = listed(payload, "review")
    if reviews is not None:
        hook["reviews"] = [_review(one) for one in reviews]
    return hook


def _choice_controls(project: dict[str, Any], settings: LabelStudioSettings) -> int | None:
    """Return how many controls of a project give decision values; None where the webhook does not say."""
    config = project.get("parsed_label_config")
    if not isinstance(config, dict):
        known = project.get("controls")
        return known if type(known) is int else None
    names = [name for name, one in config.items() if isinstance(one, dict) and one.get("type") == "Choices"]
    return len(set(names) - {settings.severity_control})


def names_controls(project: dict[str, Any], settings: LabelStudioSettings) -> bool:
    """Tell whether decisions of a distilled project are ``control=choice``."""
    several = type(project.get("controls")) is int and project["controls"] > 1
    return settings.values == "control=choice" or (settings.values == "auto" and several)


def listed(payload: Hook, name: str) -> list[dict[str, Any]] | None:
    """Return the objects under a name or its plural, one or a list, since Label Studio uses all four forms. None without any.

    What is no object is replaced by ``{"malformed": KIND}`` in its place. So nothing of it is kept, and translation reports
    it in a dead letter: Label Studio never sends a webhook again, and an answer of 400 is read by nobody.
    """
    found = payload.get(name)
    if found is None:
        found = payload.get(f"{name}s")
    if found is None:
        return None
    items = found if isinstance(found, list) else [found]
    return [item if isinstance(item, dict) else {MALFORMED: _KINDS.get(type(item), "a number")} for item in items]


def malformed(item: dict[str, Any]) -> str | None:
    """Return what stood where an object belongs, as ``listed`` has noted it; None for an object."""
    kind = item.get(MALFORMED)
    return kind if len(item) == 1 and kind in _ALL_KINDS else None


def _task(task: dict[str, Any], settings: LabelStudioSettings) -> dict[str, Any]:
    if malformed(task):
        return task
    kept = {name: task[name] for name in TASK_FIELDS if _plain(task.get(name))}
    for part in ("data", "meta"):
        held = task.get(part)
        if isinstance(held, dict):
            kept[part] = {name: held[name] for name in settings.data_fields if _plain(held.get(name))}
    return kept


def _annotation(annotation: dict[str, Any], settings: LabelStudioSettings) -> dict[str, Any]:
    if malformed(annotation):
        return annotation
    kept = {name: annotation[name] for name in ANNOTATION_FIELDS if _plain(annotation.get(name))}
    _keep_ids(annotation, kept, "completed_by", "updated_by")
    result = annotation.get("result")
    if isinstance(result, list):
        answers = [part for part in result if not _is_remark(part, settings)]
        kept["result"] = list(_choices(answers))
        others = [part for part in answers if not any(_choices([part]))]
        # How many parts were left out, because their content must not be kept. A distilled webhook has the number
        # already; so has one whose parts were too large to be read, and then there is nothing to compare.
        kept["other_results"] = len(others) + _other_results(annotation)
        key = settings.digest_bytes
        if others and key is not None and not _other_results(annotation):
            kept["digest"] = digest_of(others, key)
        elif isinstance(annotation.get("digest"), str):
            kept["digest"] = annotation["digest"][:128]
    return kept


def _review(review: dict[str, Any]) -> dict[str, Any]:
    if malformed(review):
        return review
    kept = {name: review[name] for name in _REVIEW if _plain(review.get(name))}
    for name in ("annotation", "created_by"):
        if _plain(review.get(name)):
            kept[name] = review[name]
    _keep_ids(review, kept, "annotation", "created_by")
    return kept


def _keep_ids(held: dict[str, Any], kept: dict[str, Any], *names: str) -> None:
    """Keep of objects their ids: some serializers of Label Studio put the whole user in place of its id."""
    for name in names:
        whole = held.get(name)
        if isinstance(whole, dict) and _plain(whole.get("id")):
            kept[name] = whole["id"]


def _choices(result: list[Any]) -> Iterable[dict[str, Any]]:
    """Yield the choices for the whole item. A choice for a region of it cannot be compared by its choices alone."""
    for part in result:
        value = part.get("value") if isinstance(part, dict) else None
        chosen = value.get("choices") if isinstance(value, dict) else None
        if isinstance(value, dict) and isinstance(chosen, list) and part.get("type", "choices") == "choices":
            texts = [one for one in chosen if isinstance(one, str) and one]
            if len(texts) == len(chosen) and value.keys() == {"choices"} and not part.get("parentID"):
                yield {"from_name": part.get("from_name"), "type": "choices", "value": {"choices": texts}}


def _is_remark(part: Any, settings: LabelStudioSettings) -> bool:
    if not isinstance(part, dict) or part.get("type") != "textarea":
        return False
    name = part.get("from_name")
    return isinstance(name, str) and name in settings.remark_controls


def _other_results(annotation: dict[str, Any]) -> int:
    said = annotation.get("other_results")
    return said if isinstance(said, int) and said > 0 else 0


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def need(held: dict[str, Any], name: str, place: str) -> Any:
    """Return a field, or raise BadWebhook where it is missing or null."""
    value = held.get(name)
    if value is None:
        raise BadWebhook("missing_field", f"{place}.{name}", f"{place}.{name} is missing")
    return value


def time_of(held: dict[str, Any], name: str, place: str) -> datetime:
    """Return a field as a time. Raises BadWebhook where it is none."""
    value = need(held, name, place)
    try:
        found = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadWebhook("wrong_time", f"{place}.{name}", f"{place}.{name} is no RFC 3339 time with a zone")
    return found


def dim(task: dict[str, Any] | None, name: str) -> str | None:
    """Return a dimension from task.data, else from task.meta."""
    for part in ("data", "meta"):
        value = (task or {}).get(part, {}).get(name)
        if value is not None and value != "":
            return str(value)[:256]
    return None


@dataclass(frozen=True)
class AnnotationResult:
    """What an annotation decides, as far as Floorwatch reads it.

    Attributes:
        values: Decision values, each once, in order.
        choices: ``control=value`` of each, sorted: the same value under another control is another decision.
        severity: The choice of the severity control, or None.
        complete: Whether ``choices`` are all there is. A rating, a text, a box and the like are not read.
        present: Whether the webhook has the answer at all.
        digest: Of all else that is in the answer; empty where there is nothing else, None where there is and no key is set.
    """

    values: list[str]
    choices: list[str]
    severity: str | None
    complete: bool
    present: bool
    digest: str | None

    def compared(self, given: Remembered) -> bool | None:
        """Tell whether this answer equals the remembered one; None where that cannot be known.

        Args:
            given: What is remembered of the labeller's own annotation. Older records have no ``digest``, the oldest only ``values``.
        """
        if not given["known"] or not self.present:
            return None
        theirs = given.get("choices")
        mine = {choice.partition("=")[2] for choice in self.choices}
        alike = self.choices == theirs if theirs is not None else mine == set(given["values"])
        if not alike:
            return False
        if self.complete and given.get("complete", True):
            return True if self.choices else None
        return same(self.digest, given.get("digest"))


def annotation_result_of(
    annotation: dict[str, Any], settings: LabelStudioSettings, *, named: bool = False
) -> AnnotationResult:
    """Return what an annotation decides; its values are ``control=choice`` where controls are named."""
    values: list[str] = []
    choices: set[str] = set()
    severity = None
    for part in annotation.get("result", ()):
        chosen = part["value"]["choices"]
        if part["from_name"] == settings.severity_control:
            severity = chosen[0] if chosen else severity
        else:
            full = [f"{part['from_name']}={value}" for value in chosen]
            values += [value for value in (full if named else chosen) if value not in values]
            choices.update(full)
    present = "result" in annotation
    complete = present and not annotation.get("other_results")
    digest = "" if complete else annotation.get("digest")
    return AnnotationResult(values, sorted(choices), severity, complete, present, digest)
