"""What went wrong in a store, told by class: the class decides what happens next, never the error's text or library.

StoreUnavailable
└── StoreFault        MySQL, MariaDB or SQLite failed; `fault` says how
MirrorUnavailable
└── MirrorFault       Redis or Valkey failed; `fault` says how
BadInput
└── FactRefused       the store is well, and will never take this fact
"""

from __future__ import annotations

from enum import StrEnum

from core.errors import BadInput, MirrorUnavailable, StoreUnavailable, Unavailable


class FaultClass(StrEnum):
    """What a failure means for the next call, not for the one that failed."""

    FATAL = "fatal"  # unreachable, read-only, disk full: counts towards failover, and the call fails over at once
    TRANSIENT = "transient"  # deadlock, lock wait, busy: the same call may work now; never counts
    SATURATED = "saturated"  # too many connections or callers: back off; counts half
    DATA = "data"  # the caller's fault: never fails over
    CREDENTIALS = "credentials"  # password, rights, schema: an alarm of its own


class StoreFault(StoreUnavailable):
    """The primary store did not do it. A write may have happened all the same."""

    def __init__(self, message: str, *, fault: FaultClass, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.fault = fault


class MirrorFault(MirrorUnavailable):
    """The mirror did not do it. A write may have happened all the same."""

    def __init__(self, message: str, *, fault: FaultClass, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.fault = fault


class FactRefused(BadInput):
    """The store answered and will answer the same for ever. The message never repeats the fact's values."""

    fault = FaultClass.DATA


def fault_of(error: Unavailable) -> FaultClass:
    """The class of a failure; fatal when nobody said, because a call that failed must go somewhere."""
    fault = getattr(error, "fault", FaultClass.FATAL)
    return fault if isinstance(fault, FaultClass) else FaultClass.FATAL
