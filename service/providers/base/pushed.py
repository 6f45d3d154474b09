"""What providers push to us, in the service's words: delivery receipts, inbound messages, and rows that are neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from core.events import ErrorClass, ReceiptStatus
from service.providers.base.fields import RowUnreadable, told
from service.providers.base.references import parse_reference

BODY_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True)
class ReceiptRow:
    """One delivery receipt. `provider_at` is aware UTC, None where the provider gave no time that can be read."""

    request_id: UUID
    attempt: int
    status: ReceiptStatus
    error_class: ErrorClass = ""
    raw_status: str = ""
    raw_code: str = ""
    provider_at: datetime | None = None
    carrier: str = ""


@dataclass(frozen=True)
class InboundRow:
    """One message from a handset, as the provider wrote its number: not yet checked to be one."""

    message_id: str
    number: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read: which one (from 0) and why, without its values."""

    index: int
    reason: str


@dataclass(frozen=True)
class Acknowledgement:
    """What a provider wants to hear when its receipts were taken; anything else makes it send them again."""

    body: bytes = b""
    content_type: str = "text/plain"


Statuses = Mapping[str, tuple[ReceiptStatus, ErrorClass]]
"""A vendor's status words: what each means, and its class when no code comes with it."""


def receipt_row(
    *,
    reference: str,
    status: str,
    code: str,
    statuses: Statuses,
    codes: Mapping[str, ErrorClass],
    provider_at: datetime | None = None,
    carrier: str = "",
) -> ReceiptRow:
    """A receipt in our words, from a vendor's and its two tables.

    A status without a row counts as pending: it may or may not be final, so it must not end the attempt.
    """
    request_id, attempt = parse_reference(reference)
    ours, error_class = statuses.get(status, ("pending", "unknown"))
    if code and ours != "delivered" and status in statuses:
        error_class = codes.get(code, "unknown")
    return ReceiptRow(
        request_id,
        attempt,
        ours,
        error_class,
        raw_status=told(status),
        raw_code=told(code),
        provider_at=provider_at if provider_at and 2000 <= provider_at.year < 2200 else None,
        carrier=told(carrier),
    )


def inbound_row(*, message_id: str, number: str, text: str) -> InboundRow:
    """An inbound message with the fields that one needs. Raises `RowUnreadable`."""
    if not 1 <= len(message_id) <= 128:
        raise RowUnreadable("the message has no id, or one longer than 128 characters")
    if not 4 <= len(number) <= 32:
        raise RowUnreadable("the message has no number")
    return InboundRow(message_id, number, text)
