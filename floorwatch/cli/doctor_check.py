"""What each check of ``floorwatch doctor`` returns, and how long it may wait for an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Check:
    """One line of the doctor: ``warn`` deserves a look, only ``fail`` stops Floorwatch from working."""

    status: Status
    name: str
    detail: str
    fix: str | None = None
