"""What went wrong in a store, told by class: the class decides what happens next, never the error's text or library.

StoreUnavailable
└── StoreFault        MySQL, MariaDB or SQLite failed; `fault` says how
    ├── StoreLate         a caller gave up waiting
    └── Unknowable        no store can be asked, and this instance does not remember
MirrorUnavailable
└── MirrorFault       Redis or Valkey failed; `fault` says how
    └── MirrorParted      it is called down, and nobody counts on this instance hearing through it
BadInput
└── FactRefused       the store is well, and will never take this fact
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from itertools import count

from core.errors import BadInput, MirrorUnavailable, StoreUnavailable, Unavailable


class FaultClass(StrEnum):
    """What a failure means for the next call, not for the one that failed."""

    FATAL = "fatal"  # unreachable, read-only, disk full: counts towards failover, and the call fails over at once
    TRANSIENT = "transient"  # deadlock, lock wait, busy: the same call may work now; never counts
    SATURATED = "saturated"  # too many connections or callers: back off; counts half
    DATA = "data"  # the caller's fault: never fails over
    CREDENTIALS = "credentials"  # password, rights, schema: an alarm of its own
    HELD_UP = "held_up"  # this process had no time to listen: it says nothing of the server, and never counts


_incidents = count(1)


class StoreFault(StoreUnavailable):
    """The primary store did not do it. A write may have happened all the same.

    Everyone whose work shared the failed transaction gets an error of the same `incident`: it counts once.
    """

    def __init__(self, message: str, *, fault: FaultClass, hint: str = "", incident: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.fault = fault
        self.incident = next(_incidents) if incident is None else incident

    def again(self) -> StoreFault:
        """The same failure, for the next caller: an exception object is raised once."""
        fresh = StoreFault(str(self), fault=self.fault, hint=self.hint, incident=self.incident)
        fresh.__cause__ = self.__cause__
        return fresh


class StoreLate(StoreFault):
    """A caller has waited for as long as he may. It says nothing of the server, which may be slow, or busy with others."""


class Unknowable(StoreFault):
    """No store can be asked, and what was asked for does not follow from anything that this instance remembers."""

    def __init__(self, what: str) -> None:
        hint = "both stores are down; try again when one is back"
        super().__init__(f"{what} cannot be known without a store", fault=FaultClass.FATAL, hint=hint)


class MirrorFault(MirrorUnavailable):
    """The mirror did not do it. A write may have happened all the same."""

    def __init__(self, message: str, *, fault: FaultClass, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.fault = fault


class MirrorParted(MirrorFault):
    """The mirror is called down, and whoever still decides by it knows that this instance does not hear him."""

    def __init__(self) -> None:
        super().__init__("the mirror is down", fault=FaultClass.FATAL, hint="check the server of mirror.url")


class FactRefused(BadInput):
    """The store answered and will answer the same for ever. The message never repeats the fact's values."""

    fault = FaultClass.DATA


def fault_of(error: Unavailable) -> FaultClass:
    """The class of a failure; fatal when nobody said, because a call that failed must go somewhere."""
    fault = getattr(error, "fault", FaultClass.FATAL)
    return fault if isinstance(fault, FaultClass) else FaultClass.FATAL


@contextmanager
def without_the_mirror() -> Iterator[None]:
    """Go on without what a mirror does not tell or take that is called down. One that is late, or that this process did not
    listen to, serves others meanwhile: what is decided without it may be decided twice.
    """
    with suppress(MirrorParted):
        yield
