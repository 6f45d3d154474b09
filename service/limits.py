"""How often one number is sent to, and what its subscriber refused. Counts come from the store; nothing is kept here."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from core.events import Category
from core.settings.sending import Code as CodeSettings
from core.settings.sending import Limits as LimitsSettings
from service.errors import CoolingDown, OptedOut, TooManyChecks, TooManySends
from service.facts import Attempt, RequestState

TEN_MINUTES = timedelta(minutes=10)
DAY = timedelta(days=1)
_AT_ONCE_MAX = 8
"""Calls for one number, the one that is served and those that wait for it: each holds a place among all calls in hand."""


class Limits:
    """The limits of the settings, applied to what the store knows."""

    def __init__(self, settings: CodeSettings, limits: LimitsSettings) -> None:
        self._settings = settings
        self._allowed: Mapping[Category, tuple[int, int]] = {
            "code": (settings.sends_per_ten_minutes, settings.sends_per_day),
            "notification": (
                limits.notifications_per_number_per_ten_minutes,
                limits.notifications_per_number_per_day,
            ),
            "marketing": (limits.marketing_per_number_per_ten_minutes, limits.marketing_per_number_per_day),
        }

    def require_room(self, category: Category, sends: Sequence[datetime], now: datetime) -> None:
        """Raise `TooManySends` when the number had its share; `sends` are its attempts of this category in the last day,
        oldest first."""
        windows = zip((TEN_MINUTES, DAY), self._allowed[category], strict=True)
        wait = max((_wait_seconds(sends, now, window, allowed) for window, allowed in windows if allowed), default=0)
        if wait > 0:
            raise TooManySends(
                f"this number was sent too many messages of category {category}", retry_after_seconds=wait
            )

    def require_checks_left(self, state: RequestState, now: datetime) -> None:
        """Raise `TooManyChecks`: another message would only carry a code that can no longer be entered."""
        if len(state.checks) >= self._settings.checks_max:
            expires_at = state.request.expires_at or now
            seconds = max(1.0, (expires_at - now).total_seconds())
            raise TooManyChecks("this verification was checked too often", retry_after_seconds=seconds)

    def require_cool(self, state: RequestState, now: datetime) -> None:
        """Raise `CoolingDown` when the last message that may have arrived is too recent."""
        seconds = self.resend_after_seconds(state, now)
        if seconds > 0:
            raise CoolingDown("the last message to this number is too recent", retry_after_seconds=seconds)

    def resend_after_seconds(self, state: RequestState, now: datetime) -> float:
        """Seconds until the next resend is allowed, 0 when it is. A send that every provider refused costs no wait."""
        sends = _counted(state)
        if not sends:
            return 0.0
        cooldown = timedelta(seconds=self.cooldown_seconds(len(sends)))
        at = max(row.at for row in sends)
        return max(0.0, _left(at, cooldown, now).total_seconds())

    def counted_sends(self, state: RequestState) -> int:
        """How many messages of this request may have arrived."""
        return len(_counted(state))

    def cooldown_seconds(self, sends: int) -> int:
        """The wait after `sends` messages."""
        steps = self._settings.cooldown_seconds
        return steps[min(sends, len(steps)) - 1] if steps and sends else 0


def require_welcome(category: Category, *, opted_out: bool) -> None:
    """Raise `OptedOut` for what a subscriber who said STOP does not want.

    Codes still go: each is asked for by the person who waits for it, and a STOP to one campaign must not lock anybody
    out of an account (docs/decisions/2026-11-24-stop-and-codes.md).
    """
    if opted_out and category != "code":
        raise OptedOut("this subscriber has opted out of such messages")


class KeyedLocks:
    """A lock a key, there only while somebody holds or awaits it.

    Two calls for one number must not both read "nothing sent yet" and both send; between instances the primary key
    of the attempt decides.
    """

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Raises `TooManySends` when too many hold or await it."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        if users >= _AT_ONCE_MAX:
            raise TooManySends("too many calls for this number at once", retry_after_seconds=1)
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)


def _counted(state: RequestState) -> list[Attempt]:
    refused = {row.attempt for row in state.outcomes if row.outcome in ("rejected", "failed", "refused")}
    return [row for row in state.attempts if row.attempt not in refused]


def _wait_seconds(sends: Sequence[datetime], now: datetime, window: timedelta, allowed: int) -> float:
    recent = [at for at in sends if now - window < at <= now + window]
    if len(recent) < allowed:
        return 0.0
    return math.ceil(_left(recent[-allowed], window, now).total_seconds())


def _left(at: datetime, wait: timedelta, now: datetime) -> timedelta:
    """What is left of a wait that began `at`. Where a clock stepped back that lies ahead: nobody waits longer than the
    whole wait at once, nor for a moment that is further ahead than that."""
    return min(at + wait - now, wait) if at <= now + wait else timedelta(0)
