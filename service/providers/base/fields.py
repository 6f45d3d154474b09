"""Single fields of a vendor's rows, read: what is told on is short and printable, and never a number."""

from __future__ import annotations

import re
from datetime import UTC, datetime


class RowUnreadable(ValueError):
    """Raised by a vendor's parsing for one row. The text is shown to people, so it repeats no value of the row."""


_TELLING_DIGITS = 7
_NOT_TOLD = re.compile(r"[\x00-\x1f\x7f-\x9f]|\d{7,}")


def told(text: str) -> str:
    """A vendor's word or code in the form events take: short, printable, and never long enough to be a number."""
    return _NOT_TOLD.sub("#", text.strip())[:48]


def untraceable(reference: str, number: str) -> str:
    """A vendor's id of a message, "" where the number's last digits are in it, however they are spaced."""
    digits = "".join(filter(str.isdigit, reference))
    return "" if number[-_TELLING_DIGITS:] in digits else reference


def time_utc(text: str) -> datetime | None:
    """An aware time from RFC 3339, None where it is not one or names no zone."""
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def seconds_utc(seconds: float) -> datetime | None:
    """An aware time from seconds since 1970, None where there is no such time."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
