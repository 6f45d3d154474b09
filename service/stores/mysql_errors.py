"""What every error of MySQL and MariaDB means, as one table; the codes are those of the server and of PyMySQL."""

from __future__ import annotations

from collections.abc import Mapping

import pymysql

from service.stores.faults import FaultClass

DUPLICATE_KEY = 1062
_THERE_ALREADY = frozenset({1050, 1060, 1061})  # a table, a column, an index


def _table(classes: Mapping[FaultClass, str]) -> Mapping[int, FaultClass]:
    return {int(code): fault for fault, codes in classes.items() for code in codes.split()}


_LOST = (
    "0 2002 2003 2005 2006 2012 2013 2014 2026 2027 2055"  # unreachable, or lost on the way
    " 1053 1077 1079 1080 1152 1158 1159 1160 1161 1184 1927 3168 4031"  # shutting down, killed, idle for too long
    " 1047"  # a Galera node that is not part of the cluster
)

CODES: Mapping[int, FaultClass] = _table(
    {
        FaultClass.FATAL: _LOST
        + " 1290 1792 1836 1874 1036"  # read-only: a primary that was demoted
        + " 1021 1114 1026 1030 3 1180 1194 1195 1815 1877",  # disk full, storage broken
        FaultClass.SATURATED: "1040 1203 1226 1129 1135 1037 1038 1041 1206 1461",
        FaultClass.TRANSIENT: "1205 1213 1020 3572 1317 1969 3024",
        FaultClass.DATA: "1062 1064 1048 1264 1366 1406 1451 1452 3819 4025 1292 1265 1300 1153",
        FaultClass.CREDENTIALS: "1044 1045 1049 1130 1142 1227 1698 1862 1054 1146 1364",
    }
)
LOST: frozenset[int] = frozenset(map(int, _LOST.split()))
CANCELLED: frozenset[int] = frozenset({1317, 1969, 3024})
"""Somebody ended the statement on purpose: running it again would be ended again."""


def code_of(error: BaseException) -> int | None:
    """The number of an error, None where the first argument is text ("Packet sequence number wrong")."""
    code = error.args[0] if error.args else None
    return code if isinstance(code, int) else None


def classify(error: BaseException) -> FaultClass:
    """The class of an error that PyMySQL raised; an unknown code is fatal: the call has to go somewhere else."""
    if isinstance(error, (UnicodeError, pymysql.err.DataError)):
        return FaultClass.DATA
    code = code_of(error)
    if code is not None and code in CODES:
        return CODES[code]
    if isinstance(error, (pymysql.err.IntegrityError, ValueError, TypeError, OverflowError)):
        return FaultClass.DATA
    return FaultClass.FATAL


def is_duplicate(error: BaseException) -> bool:
    """The key is taken: the fact is there already."""
    return code_of(error) == DUPLICATE_KEY


def is_there_already(error: BaseException) -> bool:
    """Somebody else made the table or the column."""
    return code_of(error) in _THERE_ALREADY


def is_lost(error: BaseException) -> bool:
    """The connection is gone, and with it whatever was not committed."""
    code = code_of(error)
    return code in LOST if code is not None else isinstance(error, (OSError, pymysql.err.InternalError))


def is_cancelled(error: BaseException) -> bool:
    """Ended on purpose, by a person or a limit."""
    return code_of(error) in CANCELLED
