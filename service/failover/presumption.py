"""What follows from an id, a number and the secrets alone: which verifications a code may be for when no store can say.

An id that is ours names a verification that was begun when the id says; its codes are good for the lifetime after that.
A number and a purpose name, for each window and each instance that could have sent, one id more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from core.ids import time_of
from service.request_ids import SealedIds
from service.stores import Candidate, CheckSubject

MAKERS = 4
"""Instances whose codes another instance can check by number: each one more makes a guess that much likelier to hit."""
ATTEMPTS_BY_NUMBER = 3
ATTEMPTS_MAX = 255
"""An attempt's number is a byte of what its code is made of."""
WINDOWS = 2
_SKEW = timedelta(seconds=5)  # another instance's clock may be ahead


@dataclass(frozen=True)
class Presumption:
    """`attempts_max` is how many attempts a verification can have within its lifetime."""

    ids: SealedIds
    lifetime_seconds: int
    attempts_max: int

    @property
    def window(self) -> timedelta:
        """Half a lifetime: a code that is found by its number lives between one and two windows."""
        return timedelta(seconds=self.lifetime_seconds) / WINDOWS

    def begins(self, now: datetime) -> datetime:
        """When the window began in which `now` lies."""
        midnight = datetime(1970, 1, 1, tzinfo=UTC)
        return midnight + (now - midnight) // self.window * self.window

    def id_of_number(self, *, app: str, phone_hash: str, purpose: str, begins: datetime, maker: int) -> UUID:
        """The id that instance `maker` gives to the verification of a number in a window."""
        return self.ids.of_number(app=app, phone_hash=phone_hash, purpose=purpose, begins=begins, maker=maker)

    def expires_at(self, request_id: UUID) -> datetime:
        """The lifetime counts from the time in the id."""
        return time_of(request_id) + timedelta(seconds=self.lifetime_seconds)

    def candidates(self, subject: CheckSubject) -> Sequence[Candidate]:
        """All that the subject may mean; expired ones too, for they are checked alike."""
        if subject.request_id is not None:
            return self._by_id(subject.request_id, subject.now)
        newest = self.begins(subject.now)
        ids = [
            self.id_of_number(
                app=subject.app, phone_hash=subject.phone_hash, purpose=subject.purpose, begins=begins, maker=maker
            )
            for begins in (newest, newest - self.window)
            for maker in range(MAKERS)
        ]
        return [self._candidate(request_id, ATTEMPTS_BY_NUMBER) for request_id in ids]

    def _by_id(self, request_id: UUID, now: datetime) -> Sequence[Candidate]:
        if not self.ids.is_ours(request_id) or time_of(request_id) > now + _SKEW:
            return ()
        return [self._candidate(request_id, self.attempts_max)]

    def _candidate(self, request_id: UUID, attempts: int) -> Candidate:
        return Candidate(
            request_id=request_id,
            expires_at=self.expires_at(request_id),
            attempts=tuple(range(1, attempts + 1)),
        )
