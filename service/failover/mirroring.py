"""Keeps the backup store warm: what the primary store has committed is copied soon after, in batches, as well as it goes.

Nobody's answer depends on it. What the backup does not take waits until it does: were it forgotten, a code that was used
meanwhile would be good a second time there. When too many wait, the oldest copies are dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from core.clock import Timer
from core.errors import BadInput, Unavailable
from service.facts import AnyFact, EncryptedNumber, InboundMessage
from service.stores import Backup

_log = structlog.get_logger(__name__)

_NEVER_ASKED = (EncryptedNumber, InboundMessage)  # of the backup: they would only fill its memory
_BATCH_MAX = 200
_WAITING_MAX = 20_000
_GATHER_SECONDS = 0.01
"""What copies wait for each other when several came at once: with 64 callers a copy of few facts took an eighth of all
processor time. A single caller's are copied at once."""


@dataclass
class _Copy:
    facts: Sequence[AnyFact]
    done: asyncio.Future[None] | None
    put_at: float


class Mirroring:
    """One task that copies. `on_error` hears of every failure, `is_on` says whether it is worth trying."""

    def __init__(
        self,
        backup: Backup,
        *,
        is_on: Callable[[], bool],
        on_error: Callable[[Unavailable], None],
        retry_seconds: float,
        timer: Timer,
    ) -> None:
        self.dropped = 0
        self._timer = timer
        self._backup = backup
        self._is_on = is_on
        self._on_error = on_error
        self._retry_seconds = retry_seconds
        self._waiting: deque[_Copy] = deque()
        self._in_hand: list[_Copy] = []
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to copy."""
        self._task = asyncio.create_task(self._run(), name="mirroring")

    @property
    def lag_seconds(self) -> float:
        """How long the oldest copy has waited that the backup does not have yet; 0 when it has all."""
        oldest = next((copy for copies in (self._in_hand, self._waiting) for copy in copies), None)
        return self._timer() - oldest.put_at if oldest else 0.0

    def soon(self, facts: Sequence[AnyFact]) -> None:
        """Copy `facts` when there is time."""
        self._put(facts, None)

    async def within(self, facts: Sequence[AnyFact], *, seconds: float) -> None:
        """Copy `facts`, and wait for it at most `seconds`; the copy goes on when they are over."""
        if self._task is None or not self._is_on():
            self._put(facts, None)
            return
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        expiry = loop.call_later(
            seconds, _finish, [_Copy(facts, done, 0.0)]
        )  # asyncio.wait costs several times as much
        self._put(facts, done)
        try:
            await done
        finally:
            expiry.cancel()

    async def close(self) -> None:
        """Stop; what still waits is not copied."""
        self._closing = True
        self._arrived.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        _finish(list(self._waiting))

    def _put(self, facts: Sequence[AnyFact], done: asyncio.Future[None] | None) -> None:
        copy = _Copy([fact for fact in facts if not isinstance(fact, _NEVER_ASKED)], done, self._timer())
        if not copy.facts:
            _finish([copy])
            return
        self._waiting.append(copy)
        self._drop_oldest()
        self._arrived.set()

    def _drop_oldest(self) -> None:
        while len(self._waiting) > _WAITING_MAX:
            _finish([self._waiting.popleft()])
            self.dropped += 1

    async def _run(self) -> None:
        while not self._closing:  # cancellation alone may be swallowed: see Watch
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting and not self._closing:
                crowded = len(self._waiting) > 1
                if not self._is_on() or not await self._copy_some():
                    await asyncio.sleep(self._retry_seconds)
                elif crowded and len(self._waiting) < _BATCH_MAX:
                    await asyncio.sleep(_GATHER_SECONDS)

    async def _copy_some(self) -> bool:
        """False when the backup does not answer; then they wait on, before those that came later."""
        copies = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH_MAX))]
        self._in_hand = copies
        try:
            await self._copy(copies)
        except Unavailable as error:
            self._waiting.extendleft(reversed(copies))
            self._drop_oldest()
            self._on_error(error)
            return False
        except Exception:  # noqa: BLE001  # whatever it is, those that follow have to be copied
            _log.exception("copies_dropped", copies=len(copies))
            self.dropped += len(copies)
        finally:
            self._in_hand = []
            _finish(copies)
        return True

    async def _copy(self, copies: list[_Copy]) -> None:
        try:
            await self._backup.mirror([fact for copy in copies for fact in copy.facts])
        except BadInput:
            if len(copies) > 1:  # one of them cannot be kept; the others can
                for copy in copies:
                    await self._copy([copy])
            else:
                self.dropped += 1


def _finish(copies: list[_Copy]) -> None:
    """Nobody waits for them any more, whether they were made or not."""
    for copy in copies:
        if copy.done is not None and not copy.done.done():
            copy.done.set_result(None)
