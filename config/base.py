"""What every section of the configuration shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

MANY = "config_many"


class Section(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class SettingsFault:
    """One thing that is wrong between settings which are each right.

    Attributes:
        field: Where, below the model that found it: ``("scopes", 3)``.
        reason: What is wrong.
        hint: How to mend it.
        reads: Settings elsewhere that it depends on, from the top. It is not told while one of them is at fault itself.
    """

    field: tuple[str | int, ...]
    reason: str
    hint: str
    reads: tuple[tuple[str | int, ...], ...] = ()

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.field))}: {self.reason}"


def refuse(faults: list[SettingsFault]) -> None:
    """Raise all faults as one pydantic error, which the loader takes apart; do nothing if there is none."""
    if faults:
        _raise(faults)


def _raise(faults: list[SettingsFault]) -> NoReturn:
    said = "; ".join(map(str, faults))
    raise PydanticCustomError(MANY, "{said}", {"said": said, "faults": faults})
