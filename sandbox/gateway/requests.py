"""One HTTP request as the gateway reads it: who asks, the statement, its parameters and settings, and how to answer."""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from sandbox.gateway.bodies import chosen_encoding, form_fields, is_form
from sandbox.gateway.errors import Code, refused

USER = "default"
_FIRST_BYTES = 1 << 20

# Words of the protocol, and settings that only concern a server's HTTP side: none is the engine's to know.
_NOT_SETTINGS = frozenset(
    (
        "query",
        "database",
        "user",
        "password",
        "quota_key",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "close_session",
        "compress",
        "decompress",
        "default_format",
        "wait_end_of_query",
        "buffer_size",
        "stacktrace",
        "client_protocol_version",
        "enable_http_compression",
        "http_zlib_compression_level",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
        "add_http_cors_header",
        "http_response_buffer_size",
        "http_wait_end_of_query",
        "log_comment",
    )
)


@dataclass(frozen=True)
class Request:
    """What was asked, before the statement is read. `readonly` is 0, 1 or 2."""

    query_id: str
    query: str
    body: bytes
    body_encoding: str
    parameters: dict[str, str]
    settings: dict[str, str]
    database: str
    default_format: str
    readonly: str
    wait: bool
    answer_encoding: str
    session_id: str
    session_timeout: str
    session_check: bool
    close_session: bool


def arguments_of(query_string: bytes) -> dict[str, str]:
    """The arguments of a URL; the last of a name counts."""
    return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="surrogateescape"))


def authenticate(headers: Mapping[str, str], arguments: Mapping[str, str], password: str) -> None:
    """Raises error 516 unless user and password are right, wherever ClickHouse takes them from."""
    user, given = _credentials(headers, arguments)
    right = hmac.compare_digest(given.encode(), password.encode())
    if not right or user != USER:
        raise refused(
            Code.AUTHENTICATION_FAILED,
            f"{user}: Authentication failed: password is incorrect, or there is no user with such name",
        )


def read_request(method: str, headers: Mapping[str, str], arguments: dict[str, str], body: bytes) -> Request:
    """Sort the arguments into what they are. Raises for what this gateway cannot do."""
    encoding = headers.get("content-encoding", "")
    if is_form(headers):
        arguments = arguments | form_fields(body, headers["content-type"])
        body = b""
    _refuse_unsupported(arguments)
    settings = {k: v for k, v in arguments.items() if k not in _NOT_SETTINGS and not k.startswith("param_")}
    readonly = settings.pop("readonly", "0")
    if method in ("GET", "HEAD") and readonly == "0":
        readonly = "2"
    compresses = arguments.get("enable_http_compression", "0") in ("1", "true")
    return Request(
        query_id=arguments.get("query_id") or str(uuid.uuid4()),
        query=arguments.get("query", ""),
        body=body,
        body_encoding=encoding,
        parameters={k.removeprefix("param_"): v for k, v in arguments.items() if k.startswith("param_")},
        settings=settings,
        database=arguments.get("database") or headers.get("x-clickhouse-database", ""),
        default_format=headers.get("x-clickhouse-format") or arguments.get("default_format") or "TabSeparated",
        readonly=readonly,
        wait=arguments.get("wait_end_of_query", "0") in ("1", "true"),
        answer_encoding=chosen_encoding(headers.get("accept-encoding", "")) if compresses else "",
        session_id=arguments.get("session_id", ""),
        session_timeout=arguments.get("session_timeout", ""),
        session_check=arguments.get("session_check", "0") in ("1", "true"),
        close_session=arguments.get("close_session", "0") in ("1", "true"),
    )


def _refuse_unsupported(arguments: Mapping[str, str]) -> None:
    for name in ("compress", "decompress"):
        if arguments.get(name, "0") not in ("0", "false"):
            raise refused(
                Code.NOT_IMPLEMENTED,
                f"{name}=1 is not supported by this gateway; use Content-Encoding and Accept-Encoding",
            )
    if "role" in arguments:
        raise refused(Code.NOT_IMPLEMENTED, "Roles are not supported by this gateway")


def _credentials(headers: Mapping[str, str], arguments: Mapping[str, str]) -> tuple[str, str]:
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", USER), headers.get("x-clickhouse-key", "")
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise refused(Code.AUTHENTICATION_FAILED, "The Authorization header cannot be read") from None
        return user, password
    return arguments.get("user", USER), arguments.get("password", "")
