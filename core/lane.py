"""A lane: callers hand in work one by one, one thread does what has gathered as one batch.

It is the lever of the whole service: one transaction, one fsync, one pipeline for everybody who waits. Measured on two
cores with MariaDB at `innodb_flush_log_at_trx_commit=1`: 2,600 rows/s with a transaction each on 8 threads, 19,000 to
20,500 rows/s with one thread writing the batch that has gathered, at p99 6 ms. A hung server holds one thread, never
the pool. A lane is bounded: when too many wait, callers are told to come back.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, TypeVar

from core.attention import STRETCH_MAX, Expiry
from core.clock import Timer
from core.errors import Overloaded

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_AnyFuture = Future[Answer] | asyncio.Future[Answer]
_Waiting = tuple[Item, _AnyFuture[Answer]]

_PACE_BATCHES = 8
"""One quick batch among slow ones is no quick server."""


class Lane(Generic[Item, Answer]):
    """Runs `work(items)` on a thread of its own; `work` returns an answer an item, in order.

    An answer that is an exception is raised to the caller of that item alone; an exception that `work` raises goes to
    every caller of the batch. A work function that can tell its items apart should therefore answer, not raise.
    `listened` is the timer that callers wait by, `timer` the one that batches are measured by.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[Item]], Sequence[Answer | BaseException]],
        *,
        batch_max: int,
        waiting_max: int,
        listened: Timer = monotonic,
        timer: Timer = monotonic,
    ) -> None:
        self._work = work
        self._listened, self._timer = listened, timer
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._handed_in: SimpleQueue[list[_Waiting[Item, Answer]] | None] = SimpleQueue()  # None is the end
        self._changing = threading.Lock()
        self._gathering: list[_Waiting[Item, Answer]] = []
        self._gathers_on: asyncio.AbstractEventLoop | None = None  # who hands in what gathers when its step is over
        self._left: list[_Waiting[Item, Answer]] = []
        self._waiting = 0
        self._closed = False
        self._begun_at: float | None = None
        self._last_seconds = deque([0.0], maxlen=_PACE_BATCHES)
        self._thread = threading.Thread(target=self._run, name=f"lane-{name}", daemon=True)
        self.name = name
        self._thread.start()

    def put(self, item: Item) -> Future[Answer]:
        """Hand in one item from a thread. Raises `Overloaded` when the lane is full or closed; then nothing was done."""
        future: Future[Answer] = Future()
        self._take_in(item, future, loop=None)
        return future

    async def do(self, item: Item, *, within_seconds: float | None = None, stretch_max: float = STRETCH_MAX) -> Answer:
        """Hand in one item from the event loop and wait for its answer; what was given up before its batch is not done.

        Raises `Overloaded` when the lane is full or closed, and nothing was done; `TimeoutError` after `within_seconds`
        in which this process listened.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._take_in(item, future, loop=loop)
        if within_seconds is None:
            return await future
        expiry = Expiry(
            within_seconds,
            lambda: _expire(future),
            loop=loop,
            listened=self._listened,
            stretch_max=stretch_max,
        )
        try:
            return await future
        finally:
            expiry.cancel()

    @property
    def waiting(self) -> int:
        """How many items wait, for telemetry."""
        return self._waiting

    @property
    def busy_seconds(self) -> float:
        """For how long the batch in hand has been; 0 while none is."""
        begun_at = self._begun_at
        return 0.0 if begun_at is None else self._timer() - begun_at

    @property
    def pace_seconds(self) -> float:
        """What the longest of the last batches took, or the one in hand has taken, whichever is more."""
        return max(*tuple(self._last_seconds), self.busy_seconds)

    def close(self, *, timeout_seconds: float = 10.0) -> None:
        """Take no more, finish what waits, stop the thread. Blocks meanwhile."""
        with self._changing:
            if not self._closed:
                self._closed = True
                self._hand_in()
                self._handed_in.put(None)
        self._thread.join(timeout_seconds)

    def _take_in(self, item: Item, future: _AnyFuture[Answer], *, loop: asyncio.AbstractEventLoop | None) -> None:
        """From an event loop all that one step of it brings is handed in at once: the thread is woken once, not for the
        first of them alone."""
        with self._changing:
            if self._closed or self._waiting >= self._waiting_max:
                raise Overloaded(f"the {self.name} lane is {'closed' if self._closed else 'full'}")
            self._waiting += 1
            self._gathering.append((item, future))
            if loop is None:
                self._hand_in()
            elif self._gathers_on is not loop:
                self._gathers_on = loop
                loop.call_soon(self._step_is_over)

    def _step_is_over(self) -> None:
        with self._changing:
            self._hand_in()

    def _hand_in(self) -> None:
        self._gathers_on = None
        if self._gathering:
            self._handed_in.put(self._gathering)
            self._gathering = []

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._take()
            running = [(item, future) for item, future in batch if _is_awaited(future)]
            if running:
                self._begun_at = self._timer()
                self._finish(running)
                self._last_seconds.append(self.busy_seconds)
                self._begun_at = None

    def _take(self) -> tuple[list[_Waiting[Item, Answer]], bool]:
        """What waits, as soon as something does, and whether more may come."""
        found, is_open = self._left, True
        with suppress(Empty):
            while is_open and len(found) < self._batch_max:
                more = self._handed_in.get(block=not found)
                is_open = more is not None
                found += more or ()
        batch, self._left = found[: self._batch_max], found[self._batch_max :]
        with self._changing:
            self._waiting -= len(batch)
        return batch, is_open

    def _finish(self, batch: list[_Waiting[Item, Answer]]) -> None:
        answers: Sequence[Answer | BaseException]
        try:
            answers = self._work([item for item, _ in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"the {self.name} lane got {len(answers)} answers for {len(batch)} items")
        except BaseException as error:  # noqa: BLE001  # the thread must outlive any batch; the callers get the error
            answers = [error] * len(batch)
        settled = list(zip((future for _, future in batch), answers, strict=True))
        _settle([(future, answer) for future, answer in settled if isinstance(future, Future)])
        by_loop = defaultdict(list)
        for future, answer in settled:
            if isinstance(future, asyncio.Future):
                by_loop[future.get_loop()].append((future, answer))
        for loop, rows in by_loop.items():
            with suppress(RuntimeError):  # that loop is closed, and nobody waits any more
                loop.call_soon_threadsafe(_settle, rows)  # one wake-up a batch, not one a caller


def _is_awaited(future: _AnyFuture[Answer]) -> bool:
    return not future.done() if isinstance(future, asyncio.Future) else future.set_running_or_notify_cancel()


def _settle(rows: Sequence[tuple[_AnyFuture[Answer], Answer | BaseException]]) -> None:
    for future, answer in rows:
        if future.done():
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _expire(future: asyncio.Future[Answer]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
