"""How long one call has waited for the primary store, over everything that it asked there.

A call asks several times, one after the other. Of a store that is slow, or locked by others, each question would wait for
the whole timeout again: four seconds and more, where the first wait has told enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Waited:
    """The sum of one call."""

    seconds: float = 0.0


_waited: ContextVar[Waited | None] = ContextVar("waited", default=None)


def waited() -> Waited | None:
    """What the call in hand has waited; None where nobody counts."""
    return _waited.get()


@contextmanager
def counted() -> Iterator[None]:
    """A call whose waits are counted together."""
    token = _waited.set(Waited())
    try:
        yield
    finally:
        _waited.reset(token)


@contextmanager
def uncounted() -> Iterator[None]:
    """There is nobody else to ask: each question may wait for the whole timeout."""
    token = _waited.set(None)
    try:
        yield
    finally:
        _waited.reset(token)
