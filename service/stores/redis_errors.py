"""What every error of Redis and Valkey means, as one table: of classes first, then of the word that the reply begins with."""

from __future__ import annotations

import re
from collections.abc import Sequence

import redis.exceptions as replies

from service.stores.faults import FaultClass

# The order matters: AuthenticationError and BusyLoadingError are ConnectionErrors.
CLASSES: Sequence[tuple[type[BaseException], FaultClass]] = (
    (replies.AuthenticationError, FaultClass.CREDENTIALS),
    (replies.AuthorizationError, FaultClass.CREDENTIALS),
    (replies.AuthenticationWrongNumberOfArgsError, FaultClass.CREDENTIALS),
    (replies.NoPermissionError, FaultClass.CREDENTIALS),
    (replies.BusyLoadingError, FaultClass.TRANSIENT),
    (replies.TryAgainError, FaultClass.TRANSIENT),
    (replies.MaxConnectionsError, FaultClass.SATURATED),
    (replies.OutOfMemoryError, FaultClass.FATAL),
    (replies.ReadOnlyError, FaultClass.FATAL),
    (replies.ClusterDownError, FaultClass.FATAL),
    (replies.TimeoutError, FaultClass.FATAL),
    (replies.DataError, FaultClass.DATA),
)
WORDS: Sequence[tuple[str, FaultClass]] = (
    ("max number of clients reached|No connection available", FaultClass.SATURATED),
    ("WRONGPASS|NOAUTH|NOPERM", FaultClass.CREDENTIALS),
    ("LOADING|BUSY|TRYAGAIN", FaultClass.TRANSIENT),
    ("OOM|READONLY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN", FaultClass.FATAL),
    ("WRONGTYPE", FaultClass.DATA),
)
_CAREFUL: Sequence[tuple[re.Pattern[str], FaultClass]] = tuple(
    (re.compile(rf"(?:^|[\s-])(?:{words})\b"), fault) for words, fault in WORDS
)


def classify(error: BaseException) -> FaultClass:
    """The class of an error that redis-py raised; an unknown one is fatal. A script's error carries the word inside."""
    for kind, fault in CLASSES:
        if isinstance(error, kind):
            return fault
    text = str(error)
    for pattern, fault in _CAREFUL:
        if pattern.search(text):
            return fault
    if isinstance(error, (UnicodeError, ValueError, TypeError)) and not isinstance(error, OSError):
        return FaultClass.DATA
    return FaultClass.FATAL
