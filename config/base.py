"""What every section of the configuration shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

MANY = "config_many"


class Section(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _true_is_no_number(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        found = read(value)
        refuse_bools(value, found)
        return found


class StrictNumbers(BaseModel):
    """A model that takes ``true``, ``false``, ``.nan`` and ``.inf`` for no number, as ``Section`` does.

    For members of a discriminated union, which may have no validator of every field.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _true_is_no_number(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        found, faults = read(value), []
        for name, info in cls.model_fields.items() if isinstance(value, dict) else ():
            written = info.alias or name
            try:
                refuse_bools(value.get(written), getattr(found, name))
            except PydanticKnownError:
                faults.append(SettingsFault((written,), "must be a number, not true or false", "write the number"))
        refuse(faults)
        return found


def refuse_bools(given: Any, found: Any) -> None:
    """Refuse ``true`` and ``false`` that were read as 1 and 0, also in a list or a group of ``name: value`` lines.

    Args:
        given: What stands in the configuration.
        found: What it was read as.

    Raises:
        PydanticKnownError: A number was wanted.
    """
    if isinstance(given, bool):
        if isinstance(found, int | float) and not isinstance(found, bool):
            raise PydanticKnownError("int_type" if isinstance(found, int) else "float_type")
    elif isinstance(given, dict) and isinstance(found, dict):
        for name, value in found.items():
            refuse_bools(given.get(name), value)
    elif isinstance(given, list | tuple) and isinstance(found, list | tuple):
        for one, value in zip(given, found, strict=False):
            refuse_bools(one, value)


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


def refuse_one(reason: str, hint: str) -> NoReturn:
    """Raise one fault of the setting that is being read."""
    _raise([SettingsFault((), reason, hint)])


def _raise(faults: list[SettingsFault]) -> NoReturn:
    said = "; ".join(map(str, faults))
    raise PydanticCustomError(MANY, "{said}", {"said": said, "faults": faults})
