"""Verification codes, derived and never stored: each attempt of a verification has its own.

The code of an attempt is a function of a secret, the attempt's key and the app, so that no database, log or queue holds
one, any instance can check it when no store can be asked, and the code that was entered tells whose message the user read.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID

_FRAME = b"heliograph code 2\0"


class Codes:
    """Makes and recognises codes of `length` digits."""

    def __init__(self, secret: str, *, length: int) -> None:
        self._keyed = hmac.new(
            secret.encode(), _FRAME, sha256
        )  # copied: `hmac.digest` lets go of the interpreter each time
        self._length = length

    def code(self, request_id: UUID, attempt: int, *, app: str) -> str:
        """The code of one attempt, leading zeros kept.

        An id stands for one number and one purpose, so these need not be in it; a check by id alone then needs nothing
        that only a store knows (docs/decisions/2026-11-25-without-a-store.md).

        The whole 256-bit HMAC is reduced, not 31 bits of it as in HOTP: the bias is below 2**-220 at any length.
        """
        keyed = self._keyed.copy()
        keyed.update(b"%b%c%b" % (request_id.bytes, attempt, app.encode()))
        wide = int.from_bytes(keyed.digest())
        return f"{wide % 10**self._length:0{self._length}d}"

    def matched(self, entered: str, request_id: UUID, attempts: Iterable[int], *, app: str) -> int:
        """The attempt whose code was entered, 0 when nobody's; of two attempts with the same code, the later.

        Every attempt is compared, in constant time, whether or not an earlier one matched.
        """
        given = tidy(entered).encode()
        found = 0
        for attempt in sorted(attempts):
            code = self.code(request_id, attempt, app=app)
            if hmac.compare_digest(code.encode(), given):
                found = attempt
        return found


def tidy(entered: str) -> str:
    """A code as people type it, without spaces and dashes and with any script's digits as ASCII."""
    kept = (letter for letter in entered if not (letter.isspace() or unicodedata.category(letter) in ("Pd", "Cf")))
    return "".join(_digit(letter) for letter in kept)


def _digit(letter: str) -> str:
    value = unicodedata.decimal(letter, None)
    return letter if value is None else str(value)
