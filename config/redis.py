"""Settings of Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from config.addresses import redis_url
from config.base import Section

RedisUrl = Annotated[str, AfterValidator(redis_url)]


class RedisSettings(Section):
    """Where the read model and the outbox live."""

    url: RedisUrl = Field(
        default="redis://127.0.0.1:6379/0",
        description="redis:// or, with TLS, rediss://; 6379 is Redis's own default port.",
    )
    prefix: str = Field(
        default="floorwatch:", description="Put before each key, so that a shared Redis stays tidy.", max_length=64
    )
    password: SecretStr | None = Field(default=None, description="None because a loopback Redis has none.")
    password_file: Path | None = Field(
        default=None, description="File whose content is the password, e.g. a mounted secret."
    )
    ca_file: Path | None = Field(
        default=None, description="PEM of the authority for rediss://; none means the system's store."
    )

    @model_validator(mode="before")
    @classmethod
    def _password_out_of_url(cls, data: object) -> object:
        """Move a password from the URL to its own field: a URL is printed in errors and logs, a SecretStr is not."""
        if not isinstance(data, dict) or not isinstance(data.get("url"), str):
            return data
        parts = urlsplit(data["url"])
        if parts.password is None:
            return data
        host = parts.netloc.rpartition("@")[2]
        netloc = f"{parts.username}@{host}" if parts.username else host
        moved = {**data, "url": urlunsplit(parts._replace(netloc=netloc))}
        if moved.get("password") is None:
            moved["password"] = unquote(parts.password)
        return moved
