"""What every error of SQLite means, as one table, by the name of its primary result code."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from service.stores.faults import FaultClass

NAMES: Mapping[str, FaultClass] = {
    "SQLITE_BUSY": FaultClass.TRANSIENT,
    "SQLITE_LOCKED": FaultClass.TRANSIENT,
    "SQLITE_INTERRUPT": FaultClass.TRANSIENT,
    "SQLITE_NOMEM": FaultClass.SATURATED,
    "SQLITE_READONLY": FaultClass.FATAL,
    "SQLITE_IOERR": FaultClass.FATAL,
    "SQLITE_FULL": FaultClass.FATAL,
    "SQLITE_CANTOPEN": FaultClass.FATAL,
    "SQLITE_CORRUPT": FaultClass.FATAL,
    "SQLITE_NOTADB": FaultClass.FATAL,
    "SQLITE_PROTOCOL": FaultClass.FATAL,
    "SQLITE_CONSTRAINT": FaultClass.DATA,
    "SQLITE_MISMATCH": FaultClass.DATA,
    "SQLITE_RANGE": FaultClass.DATA,
    "SQLITE_TOOBIG": FaultClass.DATA,
    "SQLITE_ERROR": FaultClass.CREDENTIALS,  # a table or a column that is not there
    "SQLITE_SCHEMA": FaultClass.CREDENTIALS,
    "SQLITE_PERM": FaultClass.CREDENTIALS,
    "SQLITE_AUTH": FaultClass.CREDENTIALS,
}
_DUPLICATES = ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_ROWID")


def classify(error: BaseException) -> FaultClass:
    """The class of an error that the sqlite3 module raised; an unknown one is fatal."""
    name = _name_of(error)
    primary = "_".join(name.split("_")[:2])
    if primary in NAMES:
        return NAMES[primary]
    if isinstance(error, (ValueError, TypeError, OverflowError, sqlite3.DataError, sqlite3.IntegrityError)):
        return FaultClass.DATA
    return FaultClass.FATAL


def is_duplicate(error: BaseException) -> bool:
    """The key is taken: the fact is there already."""
    return _name_of(error) in _DUPLICATES


def is_there_already(error: BaseException) -> bool:
    """The column is there; SQLite has no code of its own for it."""
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith("duplicate column name")


def _name_of(error: BaseException) -> str:
    return str(getattr(error, "sqlite_errorname", ""))
