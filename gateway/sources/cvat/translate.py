"""CVAT's webhooks as contract events: a pure mapping, given the tool state that earlier webhooks left.

A delivery has no id and no time of its own; a retry or a redelivery repeats the object as it was, with its
``updated_date``. So a job's states are kept by that date, and events follow from all of them (``history``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.sources.base import TranslationContext, Webhook
from gateway.sources.cvat.events import JobEvents
from gateway.sources.cvat.history import STAGES, STATES, Issue, JobState, added, hand_overs, missed
from gateway.sources.cvat.read import micros_of, number_of
from gateway.sources.places import ProjectDims
from gateway.sources.raw_json import need
from gateway.webhooks import BadWebhook, Remembered, Translation, WebhookProblem

MOST_STATES = 500
MOST_ISSUES = 1000

_JOBS_TELL = "CVAT sends the same of each of its jobs: those count"
IGNORED = {
    "ping": "a ping only asks whether the gateway answers",
    "create:task": "a task holds no work before it has jobs",
    "update:task": "a task's own fields are counted nowhere; its jobs tell what they are",
    "delete:task": _JOBS_TELL,
    "create:project": "a project holds no work before it has jobs",
    "update:project": "a project's own fields are counted nowhere; its jobs tell what they are",
    "delete:project": _JOBS_TELL,
    "create:comment": "a comment belongs to an issue, which says whether the work is right",
    "update:comment": "a comment belongs to an issue, which says whether the work is right",
    "delete:comment": "a comment belongs to an issue, which says whether the work is right",
    **{
        f"{verb}:{noun}": "who is a member of what changes no work"
        for noun in ("organization", "invitation", "membership", "user")
        for verb in ("create", "update", "delete")
    },
}
"""Why these webhooks make no events."""

_REQUEST = "completed:request["
_REQUEST_DONE = "an export, import or report of CVAT is no work of a labeller"
_AGAIN = "nothing new: the webhook was delivered again, or changes nothing that counts"
_NOT_YET = "the issue is of work that nobody else handed over, as far as is known; it counts once that is known"
_GROUND_TRUTH = "a ground truth job is what other work is measured against, and no work that is judged"


def job_key(source: str, job: int) -> str:
    """Return the memory key of a job, its states and its issues."""
    return f"{source}:job:{job}"


def lookups(hook: Webhook, seen: Mapping[str, Remembered], context: TranslationContext) -> list[str]:
    """Return the keys of memory that ``translate`` reads for a webhook."""
    del seen
    held, name = (hook["job"], "id") if "job" in hook else (hook.get("issue") or {}, "job")
    job = held.get(name)
    return [job_key(context.source, job)] if type(job) is int else []


def translate(hook: Webhook, seen: Mapping[str, Remembered], context: TranslationContext) -> Translation:
    """Return what a webhook means.

    Args:
        hook: What ``redact`` returned.
        seen: The record remembered under ``lookups`` of the same webhook.
        context: Source, time of arrival, settings.

    Returns:
        Events in order, what to remember, and what could not be translated. The same arguments give the same events.
    """
    action = hook["action"]
    if action in IGNORED:
        return Translation(ignored=IGNORED[action])
    if action.startswith(_REQUEST):
        return Translation(ignored=_REQUEST_DONE)
    handlers: dict[str, Callable[[_Work], None]] = {
        "create:job": _Work.job_seen,
        "update:job": _Work.job_seen,
        "delete:job": _Work.job_deleted,
        "create:issue": _Work.issue_seen,
        "update:issue": _Work.issue_seen,
        "delete:issue": _Work.issue_seen,
    }
    handler = handlers.get(action)
    if handler is None:
        reason = f"CVAT sent the event {action}, which Floorwatch does not know; nothing was counted for it"
        return Translation(problems=[WebhookProblem("unknown_type", "$.event", reason, {"action": action})])
    work = _Work(hook, seen, context)
    try:
        handler(work)
    except BadWebhook as fault:
        work.problem(fault.code, fault.field, fault.reason)
    return work.out


class _Work:
    """One webhook under translation."""

    def __init__(self, hook: Webhook, seen: Mapping[str, Remembered], context: TranslationContext) -> None:
        self.hook = hook
        self.seen = seen
        self.context = context
        self.out = Translation()

    def problem(self, code: str, where: str | None, reason: str, hint: str | None = None) -> None:
        parts = {name: (self.hook.get(name) or {}).get("id") for name in ("job", "issue")}
        about = {name: one for name, one in parts.items() if one is not None}
        summary = {"action": self.hook["action"], "id": next(iter(about.values()), None), **about}
        more = {} if hint is None else {"hint": hint}
        self.out.problems.append(WebhookProblem(code, where, reason, summary, **more))

    # -- what comes ----------------------------------------------------------------------------------------------

    def job_seen(self) -> None:
        """A job was created or changed."""
        shown = self.hook["job"]
        job = number_of(shown, "id", "$.job")
        if shown.get("type") == "ground_truth":
            self.out.ignored = _GROUND_TRUTH
            return
        now = self._state(shown, self.hook.get("sender"))
        created_us = micros_of(shown, "created_date", "$.job")
        held = self._held(job)
        dims, sla_class, project = self._dims(shown)
        states = added(_states(held), [*self._before(shown), now])
        if len(states) > MOST_STATES:
            reason = f"job {job} has changed more than {MOST_STATES} times; later changes of it are not counted"
            raise BadWebhook("too_many_changes", "$.job.id", reason)
        known_missed = missed(_states(held))
        held |= {"dims": dims, "project": project, "states": [list(one) for one in states]}
        make = self._make(job, held)
        if not held["created"] and not missed(states):
            held["created"] = True
            make.created(created_us, sla_class)
        if missed(states) and not known_missed:
            reason = (
                f"job {job} had been handed over before this gateway first heard of it (or longer ago than "
                "gateway.memory_ttl_s), so nobody here knows by whom; that hand-over is not counted"
            )
            hint = (
                "nothing, if it was handed over before the webhook was made; else send a label.submitted event for it"
            )
            self.problem("unknown_hand_over", "$.job.stage", reason, hint)
        self._settle(job, held, make)

    def issue_seen(self) -> None:
        """An issue was opened, changed or deleted."""
        shown = self.hook["issue"]
        number = number_of(shown, "id", "$.issue")
        job = number_of(shown, "job", "$.issue")
        deleted = self.hook["action"] == "delete:issue"
        if deleted and self.context.settings.deleted_issue == "keep":
            self.out.ignored = "the verdict of a deleted issue stays, as cvat.deleted_issue says"
            return
        at_us = micros_of(shown, "created_date", "$.issue")
        held = self._held(job)
        known = held["issues"].get(str(number))
        if known is None and len(held["issues"]) >= MOST_ISSUES:
            raise BadWebhook("too_many_issues", "$.issue.id", f"job {job} has more than {MOST_ISSUES} issues")
        gone = deleted or (known is not None and known[2])
        owner = shown.get("owner") or (known[1] if known is not None else None)  # null once CVAT's user is deleted
        held["issues"][str(number)] = [at_us, owner, gone]
        self._settle(job, held, self._make(job, held))
        if self.out.ignored == _AGAIN and known is None:
            self.out.ignored = _NOT_YET

    def job_deleted(self) -> None:
        """A job was deleted, by itself or with its task or project."""
        shown = self.hook["job"]
        job = number_of(shown, "id", "$.job")
        held = self._held(job)
        if shown.get("type") == "ground_truth":
            self.out.ignored = _GROUND_TRUTH
        else:
            self.out.ignored = (
                "the job's work was handed over before, or nothing is known of it: tidying up changes nothing"
            )
            held["deleted"] = True
            self._settle(job, held, self._make(job, held))

    # -- what it means -------------------------------------------------------------------------------------------

    def _settle(self, job: int, held: Remembered, make: JobEvents) -> None:
        issues = [Issue(int(number), *one) for number, one in held["issues"].items()]
        counts = self.context.settings.acceptance == "correct"
        works = hand_overs(_states(held), issues, acceptance=counts)
        make.settle(works)
        for one in works:
            if one.who is None and one.at_us not in held["unassigned"]:
                held["unassigned"] = [*held["unassigned"], one.at_us]
                reason = f"job {job} was handed over and assigned to nobody, so no labeller is known"
                hint = "assign jobs in CVAT before work begins; for this one send a label.submitted event if it counts"
                self.problem("no_assignee", "$.job.assignee", reason, hint)
        labelled = any(one["stands"] and one["kind"] == "label" for one in held["given"].values())
        if held["deleted"] and held["created"] and not held["cancelled"] and not labelled:
            held["cancelled"] = True
            make.cancelled(self.context.received_ms * 1000)
        if make.events or self.out.problems:
            self.out.ignored = None
        elif self.out.ignored is None:
            self.out.ignored = _AGAIN
        self._remember(job, held, make)

    def _remember(self, job: int, held: Remembered, make: JobEvents) -> None:
        key = job_key(self.context.source, job)
        if held != self.seen.get(key):
            self.out.remember[key] = held
        self.out.events += make.events
        self.out.audited.update(make.audited)

    def _make(self, job: int, held: Remembered) -> JobEvents:
        dims = held["dims"] or {}
        source, settings = self.context.source, self.context.settings
        project = settings.projects.get(held.get("project") or "")
        return JobEvents(self.hook["action"], source, settings, job, dims, project, held["given"])

    def _held(self, job: int) -> Remembered:
        """Return what is remembered of a job, as a copy that may be changed."""
        known = self.seen.get(job_key(self.context.source, job)) or {
            "dims": None,
            "states": [],
            "issues": {},
            "given": {},
            "unassigned": [],
            "created": False,
            "deleted": False,
            "cancelled": False,
        }
        given = {key: dict(one) for key, one in known["given"].items()}
        return {**known, "issues": dict(known["issues"]), "given": given}

    def _state(self, shown: dict[str, Any], by: str | None) -> JobState:
        """Return the state of a job that is shown. Raises BadWebhook where it is none."""
        for name, some in (("stage", STAGES), ("state", STATES)):
            if need(shown, name, "$.job") not in some:
                reason = f"$.job.{name} is none of {', '.join(some)}"
                raise BadWebhook(f"unknown_{name}", f"$.job.{name}", reason)
        at_us = micros_of(shown, "updated_date", "$.job")
        given = shown.get("assignee_updated_date") is not None
        who_at_us = micros_of(shown, "assignee_updated_date", "$.job") if given else None
        return JobState(at_us, shown["stage"], shown["state"], shown.get("assignee"), who_at_us, by)

    def _before(self, shown: dict[str, Any]) -> list[JobState]:
        """Return the state before an update, where the version of CVAT sends what it changed."""
        before = self.hook.get("before") or {}
        if before.get("updated_date") is None:
            return []
        return [self._state({**shown, **before}, None)]

    def _dims(self, shown: dict[str, Any]) -> tuple[dict[str, Any], str | None, str | None]:
        """Return dimensions of a job's labels, its SLA class, and under which key its project is configured."""
        settings = self.context.settings
        project, task = shown.get("project_id"), need(shown, "task_id", "$.job")
        key = settings.project_key(self.context.source, project, shown.get("project_name"))
        own = settings.projects.get(key or "", ProjectDims())
        of_task = settings.queue_from == "task" or project is None
        name = shown.get("task_name") if of_task else shown.get("project_name")
        fallback = f"task-{task}" if of_task else f"project-{project}"
        dims = {
            "queue": own.queue or name or fallback,
            "policy": own.policy,
            "policy_version": own.policy_version,
            "market": own.market,
            "priority": own.priority,
        }
        return dims, own.sla_class, key


def _states(held: Remembered) -> list[JobState]:
    return [JobState(*one) for one in held["states"]]
