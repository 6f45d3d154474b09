"""Questions of one answer asked side by side: each in a thread and on a connection of its own, so many at once in all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import ParamSpec, TypeVar

from core import errand

AT_ONCE = 8
"""Questions beside others, of all pages together; the first of each answer is asked in its own thread (`app.desk`)."""

P = ParamSpec("P")
T = TypeVar("T")

_turns = threading.BoundedSemaphore(AT_ONCE)
_thread = threading.local()


def beside(ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Begin to ask, on the errand of this thread; its `result` waits, and raises what asking raised.

    Not within what is asked so: who holds a turn while waiting for another may wait forever.
    """
    if getattr(_thread, "has_turn", False):
        raise RuntimeError("a question that is asked beside others asks nothing beside it")
    return errand.beside(partial(_in_turn, partial(ask, *args, **kwargs)))


def _in_turn(ask: Callable[[], T]) -> T:
    with _turns:
        _thread.has_turn = True  # until the thread ends, with the question
        return ask()
