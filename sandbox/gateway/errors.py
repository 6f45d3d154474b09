"""A refusal as ClickHouse words it: code, name, message, and the HTTP status that goes with the code."""

from __future__ import annotations

import re
from enum import IntEnum

from sandbox.errors import SandboxError

_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
# An error met while reading a file comes with its code and its name twice.
_TWICE = re.compile(r"^(Code: \d+\. DB::Exception: )\1")
_TWICE_NAMED = re.compile(r"(\([A-Z][A-Z0-9_]+\)) \(version [^()]*\)\. \1$")
_NAMED = re.compile(r"\([A-Z][A-Z0-9_]+\)\s*$")
_OWN_STATUS = {202: 503}

# As ClickHouse maps them (its exceptionCodeToHTTPStatus, with the numbers of version 26.9); every other code is 500.
_CODES_BY_STATUS = {
    400: (6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676),
    401: (194,),
    403: (192, 193, 497, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229,),
    415: (779,),
    501: (48,),
    503: (76, 209, 439),
}
_STATUSES = {code: status for status, codes in _CODES_BY_STATUS.items() for code in codes} | _OWN_STATUS


class Code(IntEnum):
    """The numbers of the errors that the gateway raises itself."""

    BAD_ARGUMENTS = 36
    NOT_IMPLEMENTED = 48
    SYNTAX_ERROR = 62
    CANNOT_WRITE_TO_FILE_DESCRIPTOR = 75
    READONLY = 164
    TOO_MANY_SIMULTANEOUS_QUERIES = 202
    QUERY_IS_TOO_LARGE = 229
    CANNOT_DECOMPRESS = 271
    INTO_OUTFILE_NOT_ALLOWED = 358
    SESSION_NOT_FOUND = 372
    SESSION_IS_LOCKED = 373
    INVALID_SESSION_TIMEOUT = 374
    AUTHENTICATION_FAILED = 516
    UNKNOWN_EXCEPTION = 1002


class QueryRefused(SandboxError):
    """The engine, or the gateway in its place, said no. The message is ClickHouse's whole line."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = _STATUSES.get(code, 500)


class BadListenAddress(SandboxError):
    """The gateway was told to listen where others could reach it."""


def refused(code: Code, reason: str) -> QueryRefused:
    """An error of the gateway's own, worded like the engine's."""
    return QueryRefused(code, f"Code: {int(code)}. DB::Exception: {reason}. ({code.name})")


def from_engine(text: str) -> QueryRefused:
    """What chDB said, without what its Python layer put in front."""
    found = _CODE.search(text)
    if found is None:
        return refused(Code.UNKNOWN_EXCEPTION, text.rstrip(". "))
    message = _TWICE_NAMED.sub(r"\1", _TWICE.sub(r"\1", text[found.start() :].strip()))
    if not _NAMED.search(message):
        message = f"{message} (UNKNOWN)"
    return QueryRefused(int(found.group(1)), message)
