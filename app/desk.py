"""The desk at which pages ask: each question is asked once however many wait for it, its answer is kept for as long as it says,
and it is given up as soon as nobody waits for it any more. An error is never kept, so that a page recovers by itself.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from core.errand import Errand

T = TypeVar("T")
Key = tuple[str, Hashable]
"""The name of a question, and what it is asked about."""

AT_ONCE = 12
"""So many questions are on their way at most; the others wait for their turn."""

_LOOK_SECONDS = 0.1
_KEPT_MAX = 1000


@dataclass
class _Asked:
    """A question on its way, or answered; `fresh_until` is on the desk's clock."""

    errand: Errand = field(default_factory=Errand)
    answer: Future[Any] = field(default_factory=Future)
    waiting: int = 0
    fresh_until: float = float("inf")


class Desk:
    """Safe to use from all threads. What it answers is shared by all who ask: nobody may change it."""

    def __init__(self, *, at_once: int = AT_ONCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(at_once)
        self._asked: OrderedDict[Key, _Asked] = OrderedDict()

    def ask(self, key: Key, work: Callable[[], T], *, keep_seconds: float, stay: Callable[[], None]) -> T:
        """The answer of `work`, or of whoever asked the same before. `stay` is called now and then: when it raises, we leave.

        Raises what `work` and `stay` raise.
        """
        asked = self._join(key, work, keep_seconds)
        try:
            while not wait((asked.answer,), timeout=_LOOK_SECONDS).done:
                stay()
            answer: T = asked.answer.result()
            return answer
        finally:
            self._leave(key, asked)

    @contextmanager
    def early(self, key: Key, work: Callable[[], object], *, keep_seconds: float) -> Iterator[None]:
        """Have it asked while something else is done; who asks for it within waits for this answer."""
        asked = self._join(key, work, keep_seconds)
        try:
            yield
        finally:
            self._leave(key, asked)

    def forget(self, name: str) -> None:
        """Ask all questions of this name again; who waits for one gets the answer that is on its way."""
        with self._lock:
            for key in [key for key in self._asked if key[0] == name]:
                del self._asked[key]

    def forget_all(self) -> None:
        """Ask everything again."""
        with self._lock:
            self._asked.clear()

    def _join(self, key: Key, work: Callable[[], Any], keep_seconds: float) -> _Asked:
        with self._lock:
            asked = self._asked.get(key)
            if asked is None or asked.fresh_until <= self._clock():
                asked = self._asked[key] = _Asked()
                self._tidy()
                # A daemon: the end of the process waits for no answer.
                threading.Thread(
                    target=self._run, args=(key, asked, work, keep_seconds), name=f"asks {key[0]}", daemon=True
                ).start()
            asked.waiting += 1
            return asked

    def _run(self, key: Key, asked: _Asked, work: Callable[[], Any], keep_seconds: float) -> None:
        try:
            with self._turns:
                found = asked.errand.run(work)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is told to those who wait
            asked.errand.give_up()  # what it began beside this
            self._drop(key, asked)
            asked.answer.set_exception(error)
        else:
            asked.fresh_until = self._clock() + keep_seconds
            asked.answer.set_result(found)

    def _leave(self, key: Key, asked: _Asked) -> None:
        with self._lock:
            asked.waiting -= 1
            is_abandoned = not asked.waiting and not asked.answer.done()
            if is_abandoned and self._asked.get(key) is asked:
                del self._asked[key]  # whoever comes now asks anew
        if is_abandoned:
            asked.errand.give_up()

    def _drop(self, key: Key, asked: _Asked) -> None:
        with self._lock:
            if self._asked.get(key) is asked:
                del self._asked[key]

    def _tidy(self) -> None:
        """Let go of answers that are not fresh any more, and of the oldest when there are too many."""
        now = self._clock()
        for key in [key for key, one in self._asked.items() if one.fresh_until <= now]:
            del self._asked[key]
        while len(self._asked) > _KEPT_MAX:
            self._asked.popitem(last=False)
