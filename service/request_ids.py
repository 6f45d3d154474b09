"""Ids of requests that only we can make: UUIDv7s that carry a seal, so that an id alone says that it is ours.

While no store can be asked, an id that a caller shows is all there is to go by; were any UUID believed, whoever makes
up enough of them would one day guess the code of one that was never sent.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from core.clock import Clock
from core.ids import RequestIds, uuid7_from

_FRAME = b"heliograph id 1\0"
_NUMBER_FRAME = b"heliograph id of a number 1\0"
_SEAL_BITS = 24
"""One made-up id in 17 million passes, and its code has still to be guessed. The 38 random bits before the seal tell
apart what two instances make in the same millisecond: at 1,000 a second each, two would be the same once in 9 years."""


class SealedIds:
    """Makes such ids and recognises them, on every instance that has the same secret."""

    def __init__(self, secret: str, *, clock: Clock) -> None:
        self._key = secret.encode()
        self._keyed = hmac.new(self._key, _FRAME, sha256)  # copied: `hmac.digest` lets go of the interpreter each time
        self._fresh = RequestIds(clock)

    def __call__(self) -> UUID:
        """A new id."""
        return self._sealed(self._fresh())

    def is_ours(self, request_id: UUID) -> bool:
        """Whether it was made here or by another instance."""
        return request_id.version == 7 and request_id == self._sealed(request_id)

    def of_number(self, *, app: str, phone_hash: str, purpose: str, begins: datetime, maker: int) -> UUID:
        """The id that instance number `maker` gives to the verification of a number in the window that `begins` then."""
        words = f"{app}\0{phone_hash}\0{purpose}\0{maker}".encode()
        digest = hmac.digest(self._key, _NUMBER_FRAME + words, sha256).hex()
        return self._sealed(uuid7_from(begins, digest))

    def _sealed(self, request_id: UUID) -> UUID:
        body = request_id.int >> _SEAL_BITS
        keyed = self._keyed.copy()
        keyed.update(body.to_bytes(13))
        return UUID(int=body << _SEAL_BITS | int.from_bytes(keyed.digest()[: _SEAL_BITS // 8]))
