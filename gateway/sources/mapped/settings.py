"""How a source's webhooks are verified and read: ``gateway.sources.<name>.mapped``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, model_validator

from config.base import Section, SettingsFault, refuse
from gateway.sources.fields import LabelerDims
from gateway.sources.mapped.mapping import Mapping, load_mapping
from gateway.sources.places import ProjectDims
from gateway.sources.signatures import Encoding, Hash


class MappedSignature(Section):
    """How the tool proves who it is."""

    kind: Literal["hmac", "header", "none"] = Field(
        default="none",
        description="hmac: of the exact body, in a header; header: the secret itself, in a header; none: the tool sends a bearer "
        "token of this source.",
    )
    header: str = Field(default="", max_length=200, description="Name of the header, e.g. X-Signature-256.")
    prefix: str = Field(default="", max_length=64, description="What stands before it, e.g. 'sha256='.")
    encoding: Encoding = Field(default="hex", description="How the HMAC is written.")
    hash: Hash = Field(default="sha256", description="Hash of the HMAC; sha1 only where the tool has no other.")

    @model_validator(mode="after")
    def _header(self) -> MappedSignature:
        if (self.kind == "none") == bool(self.header):
            reason = "names a header" if self.header else "needs the name of the header"
            hint = "set kind: hmac or kind: header" if self.header else "e.g. header: X-Signature-256"
            refuse([SettingsFault(("header",), f"signature kind {self.kind} {reason}", hint)])
        return self


class MappedSettings(Section):
    """How one tool's webhooks are verified and read."""

    mapping: Path | None = Field(
        default=None, description="File that says what the webhooks mean: docs/sources/mapping.md. Read at the start."
    )
    signature: MappedSignature = Field(default=MappedSignature(), description="How the tool proves who it is.")
    _loaded: Mapping | None = PrivateAttr(default=None)

    @property
    def people(self) -> dict[str, LabelerDims]:
        """Nobody: the tables of the mapping say where people belong."""
        return {}

    @property
    def projects(self) -> dict[str, ProjectDims]:
        """None: the mapping says where work belongs."""
        return {}

    def loaded(self) -> Mapping | None:
        """Return the mapping, read once; None where none is named.

        Raises:
            ConfigErrors: Every fault of it.
        """
        if self._loaded is None and self.mapping is not None:
            self._loaded = load_mapping(self.mapping)
        return self._loaded
