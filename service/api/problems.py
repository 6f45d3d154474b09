"""Every error as a problem document (RFC 9457), from one table. No answer repeats a value that the caller sent."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.openapi.datastructures import ResponseSpec

from core import errors as core_errors
from core.redact import redact
from service import errors

_log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Row:
    """What an error is over HTTP. `field` names the member of the body that is at fault, where it is always the same."""

    error: type[Exception]
    status: int
    slug: str
    title: str
    field: str = ""


TABLE = (
    Row(core_errors.InvalidNumber, 422, "invalid-number", "The number cannot receive messages", "to"),
    Row(core_errors.UnknownTemplate, 422, "unknown-template", "There is no such template", "template"),
    Row(
        errors.AddressUnreadable, 422, "address-unreadable", "The address of the asker cannot be read", "client_address"
    ),
    Row(errors.VariablesMissing, 422, "variables-missing", "The template needs more variables", "variables"),
    Row(errors.TextUnusable, 422, "text-unusable", "The text cannot be sent", "text"),
    Row(errors.NoRoute, 422, "no-route", "No provider serves this country", "to"),
    Row(errors.NumberRefused, 422, "number-refused", "The provider refuses this number", "to"),
    Row(errors.OptedOut, 403, "opted-out", "The subscriber wants no such messages"),
    Row(errors.NotConvertible, 422, "not-convertible", "There is nothing to convert"),
    Row(errors.KeyReused, 422, "idempotency-key-reused", "The Idempotency-Key belongs to another call"),
    Row(errors.CallInFlight, 409, "call-in-flight", "The first call with this Idempotency-Key is not done"),
    Row(errors.UnknownRequest, 404, "unknown-id", "Nothing has this id"),
    Row(core_errors.UnknownProvider, 404, "unknown-provider", "There is no such provider"),
    Row(errors.ForgedReceipt, 403, "forged", "The signature is not the provider's"),
    Row(errors.ReceiptUnreadable, 400, "unreadable", "The body is not in the provider's format"),
    Row(errors.KeyRefused, 401, "key-refused", "An API key is needed"),
    Row(errors.ScopeMissing, 403, "scope-missing", "The API key may not do this"),
    Row(errors.CoolingDown, 429, "cooling-down", "The last message is too recent"),
    Row(errors.TooManySends, 429, "too-many-sends", "Too many messages were sent"),
    Row(errors.TooManyChecks, 429, "too-many-checks", "The verification was checked too often"),
    Row(errors.NotSent, 502, "not-sent", "No provider took the message"),
    Row(core_errors.Overloaded, 503, "overloaded", "Too many calls wait"),
    Row(core_errors.JournalWriteFailed, 503, "not-durable", "Nothing can be kept at the moment"),
    Row(core_errors.Unavailable, 503, "unavailable", "A server that is needed does not answer"),
    Row(core_errors.BadInput, 422, "bad-input", "The call cannot work"),
)
"""Looked up along the ancestors of an error, so that an error without a row of its own takes its parent's."""

HTTP_TABLE = {
    400: ("malformed", "The body cannot be read"),
    404: ("not-found", "Nothing is here"),
    405: ("method-not-allowed", "Not with this method"),
    413: ("too-large", "The body is too large"),
    422: ("invalid-fields", "Some fields are wrong"),
    500: ("internal", "The service failed"),
}

_ROWS = {row.error: row for row in TABLE}
_FAILED = Row(Exception, 500, *HTTP_TABLE[500])
_CLASS_RETRY_SECONDS = 2.0
_FRAMEWORKS_DECODER = "msgspec_hooks.py"


class FieldFault(msgspec.Struct, frozen=True):
    """One member of the body and what is wrong with it."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document. `request_id` is set when facts were kept under it."""

    type: str
    title: str
    status: int
    detail: str = ""
    hint: str = ""
    errors: list[FieldFault] = []
    request_id: UUID | None = None
    error_class: str = ""
    retry_after_seconds: int | None = None


def problem_of(error: Exception) -> Problem:
    """The problem document of an error of ours."""
    row = next((_ROWS[kind] for kind in type(error).__mro__ if kind in _ROWS), _FAILED)
    if row is _FAILED:
        return Problem(type=_type(row.slug), title=row.title, status=500, detail="its log names the error")
    detail = redact(str(error))
    return Problem(
        type=_type(row.slug),
        title=row.title,
        status=row.status,
        detail=detail,
        hint=redact(getattr(error, "hint", "")) if row.status < 500 else "",
        errors=[FieldFault(row.field, detail)] if row.field else [],
        request_id=getattr(error, "request_id", None),
        error_class=getattr(error, "error_class", ""),
        retry_after_seconds=_retry_after(error, row.status),
    )


def status_of(error: Exception) -> int:
    """The status with which an error is answered."""
    if isinstance(error, HTTPException):
        return error.status_code
    return next((_ROWS[kind] for kind in type(error).__mro__ if kind in _ROWS), _FAILED).status


def answer(problem: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    """The problem as a response, with `Retry-After` where it has one."""
    headers = dict(headers or {})
    if problem.retry_after_seconds is not None:
        headers["Retry-After"] = str(problem.retry_after_seconds)
    if problem.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="heliograph"'
    return Response(encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def encode(problem: Problem) -> bytes:
    """The bytes of a problem document."""
    return msgspec.json.encode(problem)


def on_own_error(_: Request[Any, Any, Any], error: core_errors.HeliographError) -> Response[bytes]:
    """For the whole tree of `core.errors`."""
    problem = problem_of(error)
    if problem.status >= 500:
        _log.warning("call not served", problem=problem.type, error=type(error).__name__, reason=str(error))
    return answer(problem)


def on_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """For what the framework refuses."""
    status, errors_found, detail = error.status_code, [], ""
    if isinstance(error, ValidationException):
        status, errors_found = 422, _field_faults(error.extra)
        detail = "; ".join(f"{fault.field}: {fault.message}" for fault in errors_found)
    elif isinstance(error, NotFoundException):
        detail = "see /schema for what is"
    elif isinstance(error, MethodNotAllowedException):
        detail = "the header Allow lists those that work"
    elif status == 400:
        detail = "it is not JSON, not UTF-8, or nested too deeply"
    slug, title = HTTP_TABLE.get(status, HTTP_TABLE[500])
    problem = Problem(type=_type(slug), title=title, status=status, detail=detail, errors=errors_found)
    return answer(problem, {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"})


def on_failure(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """For faults of ours: the log has the place, the caller nothing of the error's words."""
    file, line = _place_of(error)
    if file == _FRAMEWORKS_DECODER and isinstance(error, UnicodeDecodeError | RecursionError):
        return on_http_error(request, HTTPException(status_code=400))  # the framework lets these two through
    _log.error("call failed", method=request.method, error=type(error).__name__, place=f"{file}:{line}")
    return answer(problem_of(error))


def _place_of(error: Exception) -> tuple[str, int]:
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    return (where.tb_frame.f_code.co_filename.rpartition("/")[2], where.tb_lineno) if where else ("", 0)


def documented(*kinds: type[Exception]) -> dict[int, ResponseSpec]:
    """The responses of an operation that these errors give, for the OpenAPI page."""
    rows = [_ROWS[kind] for kind in (*kinds, errors.KeyRefused, errors.ScopeMissing)]
    return _specs(rows)


def documented_open(*kinds: type[Exception]) -> dict[int, ResponseSpec]:
    """The same for an operation that needs no API key."""
    return _specs([_ROWS[kind] for kind in kinds])


def _specs(rows: list[Row]) -> dict[int, ResponseSpec]:
    by_status: dict[int, list[Row]] = {}
    for row in rows:
        by_status.setdefault(row.status, []).append(row)
    return {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            media_type=MEDIA_TYPE,
            description="; ".join(f"{row.slug}: {row.title}" for row in found),
        )
        for status, found in by_status.items()
    }


def _type(slug: str) -> str:
    return f"/problems/{slug}"


def _retry_after(error: Exception, status: int) -> int | None:
    seconds = getattr(error, "retry_after_seconds", _CLASS_RETRY_SECONDS if status == 503 else None)
    return None if seconds is None else max(1, math.ceil(seconds))


_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(\w+)`")
_NAME = re.compile(r"[A-Za-z_][A-Za-z_.\[\]]{0,40}")
_PLAINER = {
    "Expected `str` matching regex": "does not have the form that /schema shows",
    "Invalid enum value": "is not one of the values that /schema lists",
}


def _field_faults(extra: object) -> list[FieldFault]:
    rows = extra if isinstance(extra, list) else []
    return [_field_fault(row) for row in rows if isinstance(row, dict)]


def _field_fault(row: dict[str, str]) -> FieldFault:
    """The framework's words without what they quote: a number is easily put into the wrong field."""
    message, key = row.get("message", ""), row.get("key", "")
    missing, unknown = _MISSING_FIELD.fullmatch(message), _UNKNOWN_FIELD.fullmatch(message)
    if missing:
        return FieldFault(missing[1], "is required")
    if unknown:
        return FieldFault(unknown[1] if _NAME.fullmatch(unknown[1]) else "?", "there is no such field")
    plainer = next((words for start, words in _PLAINER.items() if message.startswith(start)), redact(message))
    return FieldFault("body" if key == "data" or not _NAME.fullmatch(key) else key, plainer)
