"""What Floorwatch reads from Label Studio's API: version, person, webhook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ApiObject = dict[str, Any]
"""A project, a task or an annotation, as the API has it."""


@dataclass(frozen=True)
class ToolVersion:
    """What Label Studio says of itself.

    Attributes:
        release: ``1.23.2``.
        edition: ``Community`` or ``Enterprise``; empty where it does not say.
    """

    release: str
    edition: str

    @property
    def number(self) -> tuple[int, ...]:
        """The release as numbers; empty where it is none."""
        parts = self.release.split(".")[:3]
        return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


@dataclass(frozen=True)
class TokenOwner:
    """Whose token it is.

    Attributes:
        user_id: Label Studio's id of the user.
        permissions: What the user may do; empty where Label Studio does not say.
    """

    user_id: int
    permissions: frozenset[str]


@dataclass(frozen=True)
class Hook:
    """A webhook in Label Studio.

    Attributes:
        hook_id: Its id there; 0 for one that is to be made.
        project: Whose; None for all projects of the organization.
        url: Where it is sent.
        headers: What is sent with it; may hold a token, so never print it.
        send_payload: Whether it says what happened, or only that something did.
        all_actions: Whether it is sent for everything.
        actions: Otherwise for what.
        active: Whether it is sent at all.
    """

    hook_id: int
    project: int | None
    url: str
    headers: Mapping[str, str]
    send_payload: bool = True
    all_actions: bool = True
    actions: frozenset[str] = frozenset()
    active: bool = True

    def as_json(self) -> ApiObject:
        """Return it as the API takes it; a project is never changed by an update."""
        return {
            **({} if self.project is None else {"project": self.project}),
            "url": self.url,
            "headers": dict(self.headers),
            "send_payload": self.send_payload,
            "send_for_all_actions": self.all_actions,
            "actions": sorted(self.actions),
            "is_active": self.active,
        }


def hook_of(held: ApiObject) -> Hook:
    """Return a webhook from the API's object. Raises KeyError, TypeError or ValueError where it is none."""
    headers, project = held.get("headers"), held.get("project")
    return Hook(
        hook_id=int(held["id"]),
        project=None if project is None else int(project),
        url=str(held["url"]),
        headers={str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {},
        send_payload=held.get("send_payload") is not False,
        all_actions=held.get("send_for_all_actions") is not False,
        actions=frozenset(map(str, held.get("actions") or ())),
        active=held.get("is_active") is not False,
    )
