"""A phone number on its way to the encryption worker: sealed, one JSON object a line. Nothing here can open it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from core.errors import EventUnreadable
from core.events import UNREADABLE
from core.redact import redact


class SealedNumber(msgspec.Struct, frozen=True, kw_only=True, tag="number", tag_field="kind"):
    """The number of one request, as `core.numbers.Seal` closed it."""

    request_id: UUID
    at: datetime
    sealed: bytes
    v: Literal[1] = 1


_encoder = msgspec.json.Encoder(uuid_format="canonical")
_decoder = msgspec.json.Decoder(SealedNumber)


def encode_numbers(numbers: Iterable[SealedNumber]) -> bytes:
    """Sealed numbers as JSON, one a line."""
    return _encoder.encode_lines(list(numbers))


def decode_number(line: bytes) -> SealedNumber:
    """One sealed number. Raises `EventUnreadable`."""
    try:
        return _decoder.decode(line)
    except UNREADABLE as error:
        raise EventUnreadable(redact(str(error))) from error
