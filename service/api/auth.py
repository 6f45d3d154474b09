"""Who calls, from `Authorization: Bearer <key>`; every operation names the scope it needs."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from service.errors import KeyRefused, ScopeMissing
from service.keys import Caller, Keys

_CALLER = "heliograph_caller"
_NEEDED = "key_scope"


def requires(scope: str) -> dict[str, str]:
    """For a handler's `opt`: it lets in keys with `scope` only."""
    return {_NEEDED: scope}


class Admission(ASGIMiddleware):
    """Lets in who may. Raises `KeyRefused`, `ScopeMissing`.

    A middleware, because the framework copies the whole route handler for each guard of a call: measured, a tenth of
    all time.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        needed = scope["route_handler"].opt.get(_NEEDED)
        if needed is not None:
            scope["state"][_CALLER] = await self.caller(scope, needed)
        await next_app(scope, receive, send)

    async def caller(self, scope: Scope, needed: str) -> Caller:
        """Who calls, by a key with the scope `needed`."""
        caller = await self._keys.caller(_key_of(scope))
        if needed not in caller.scopes:
            raise ScopeMissing(f"this needs a key with the scope {needed}")
        return caller


def app_of(request: Request[Any, Any, Any]) -> str:
    """The app whose key was let in."""
    caller: Caller = request.scope["state"][_CALLER]
    return caller.app


def _key_of(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode("latin-1")
    kind, _space, key = given.partition(" ")
    if kind.lower() != "bearer" or not key:
        raise KeyRefused("send your API key as: Authorization: Bearer <key>")
    return key.strip()
