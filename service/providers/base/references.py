"""Our name of an attempt towards providers, made and read back; nothing but what was made here is read."""

from __future__ import annotations

import re
from uuid import RFC_4122, UUID

from service.providers.base.fields import RowUnreadable


def reference_of(request_id: UUID, attempt: int) -> str:
    """Our name of an attempt towards a provider: 32 hex digits, a hyphen, the attempt."""
    return f"{request_id.hex}-{attempt}"


_REFERENCE = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,2})")


def parse_reference(reference: str) -> tuple[UUID, int]:
    """Request id and attempt of a reference. Raises `RowUnreadable` for anything `reference_of` cannot have made."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise RowUnreadable("the reference is not one of ours")
    request_id, attempt = UUID(hex=match[1]), int(match[2])
    if request_id.version != 7 or request_id.variant != RFC_4122 or attempt > 255:
        raise RowUnreadable("the reference is not one of ours")
    return request_id, attempt
