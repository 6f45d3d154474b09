"""What the sections of the settings are made of: a table of the file, and kinds of value that more than one has."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"no time zone is called {name!r}; write it like Europe/Berlin") from error
    return name


def _long_enough(secret: SecretStr) -> SecretStr:
    if 0 < len(secret.get_secret_value()) < 32:
        raise ValueError("a secret has at least 32 characters; `heliograph init` makes them")
    return secret


def _an_address(text: str) -> str:
    if "@" not in text or text.endswith("@"):
        raise ValueError("write an address like ada@example.org, or @example.org for all of a domain")
    return text.strip()


MailAddress = Annotated[str, AfterValidator(_an_address)]
Secret = Annotated[SecretStr, AfterValidator(_long_enough)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
