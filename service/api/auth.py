"""Who calls, from `Authorization: Bearer <key>`; every operation names the scope it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from service.api.parts import Parts
from service.errors import KeyRefused, ScopeMissing
from service.keys import Caller

_CALLER = "heliograph_caller"
PARTS = "parts"

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]


def requires(scope: str) -> Guard:
    """A guard that lets in keys with `scope`. Raises `KeyRefused`, `ScopeMissing`."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        parts: Parts = connection.app.state[PARTS]
        kind, _space, key = connection.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key:
            raise KeyRefused("send your API key as: Authorization: Bearer <key>")
        caller = await parts.keys.caller(key.strip())
        if scope not in caller.scopes:
            raise ScopeMissing(f"this needs a key with the scope {scope}")
        connection.scope["state"][_CALLER] = caller

    return guard


def app_of(request: Request[Any, Any, Any]) -> str:
    """The app whose key was let in."""
    caller: Caller = request.scope["state"][_CALLER]
    return caller.app
