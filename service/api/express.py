"""The two calls on the path of every login, past the framework: sending a code and checking one.

What answers them are the functions behind the framework's handlers. What is not plainly one of the two, read without a
fault, is the framework's from its first byte: it alone says what is wrong with a call. It takes 0.2 ms of processor time
a call for what any call might need, a third of all that a check takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Litestar, Request
from litestar.enums import ScopeType
from litestar.types import Message, Receive, ReceiveMessage, Scope, Send

from core.errors import HeliographError
from service.api import problems, verifications
from service.api.auth import Admission
from service.api.parts import Parts
from service.api.pressure import Pressure
from service.api.schemas import NewCheck, NewVerification
from service.api.sending import KEY_CHARACTERS_MAX, headers_of, media_type_of, reply_of, words_of
from service.idempotency import Reply

Answering = Callable[[str], Awaitable[Reply]]
"""Does what was called for, on behalf of an app."""
Body = TypeVar("Body", bound=msgspec.Struct)

SEND, CHECK = "/v1/verifications", "/v1/verifications/{verification_id}/check"
_SCOPE = "send"
_KEY = b"idempotency-key"
_new_verification = msgspec.json.Decoder(NewVerification)
_new_check = msgspec.json.Decoder(NewCheck)


class Express:
    """An ASGI application in front of the framework's, with which it shares the count of calls in hand and the keys."""

    def __init__(self, framework: Litestar, parts: Parts, *, pressure: Pressure, admission: Admission) -> None:
        self._framework = framework
        self._parts = parts
        self._pressure, self._admission = pressure, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        template = _template_of(scope)
        if not template:
            await self._framework(scope, receive, send)
            return
        message = await receive()
        body = _whole(message)
        read = self._read_send if template == SEND else self._read_check
        answering = read(scope, body) if 0 < len(body) <= self._parts.settings.body_bytes_max else None
        if answering is None:
            await self._framework(scope, _again(message, receive), send)
            return
        scope["path_template"] = template
        await self._pressure.handle(scope, receive, send, partial(self._answer, answering))

    async def _answer(self, answering: Answering, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            caller = await self._admission.caller(scope, _SCOPE)
            reply = await answering(caller.app)
        except Exception as error:  # noqa: BLE001  # as the framework does: no error leaves a call without an answer
            await _refuse(error, scope, receive, send)
        else:
            for message in _messages(reply):
                await send(message)

    def _read_send(self, scope: Scope, body: bytes) -> Answering | None:
        keys = [value for name, value in scope["headers"] if name == _KEY]
        data = _read(_new_verification, body)
        if data is None or len(keys) > 1 or not all(0 < len(key) <= KEY_CHARACTERS_MAX for key in keys):
            return None
        key = keys[0].decode("latin-1") if keys else None
        call = words_of("POST", scope["path"], body)
        return lambda app: verifications.sent(self._parts, app=app, data=data, key=key, call=call)

    def _read_check(self, scope: Scope, body: bytes) -> Answering | None:
        data = _read(_new_check, body)
        try:
            verification_id = UUID(scope["path"].split("/")[3])
        except ValueError:
            return None
        if data is None:
            return None

        async def answering(app: str) -> Reply:
            answer = await verifications.checked(self._parts, app=app, verification_id=verification_id, data=data)
            return reply_of(answer, status=200)

        return answering


def _template_of(scope: Scope) -> str:
    """Which of the two it may be, "" for all others."""
    if scope["type"] != ScopeType.HTTP or scope["method"] != "POST" or scope.get("root_path"):
        return ""
    path = scope["path"]
    if path == SEND:
        return SEND
    place = path.split("/")
    return CHECK if len(place) == 5 and place[4] == "check" and path.startswith(f"{SEND}/") else ""


def _whole(message: ReceiveMessage) -> bytes:
    """The body, when it has come whole. Whoever sends one in pieces may take his time, and is counted meanwhile."""
    if message["type"] != "http.request" or message["more_body"]:
        return b""
    return message["body"]


def _again(message: ReceiveMessage, receive: Receive) -> Receive:
    """Receives once more what was received, and then what follows."""
    waiting = [message]

    async def receiving() -> ReceiveMessage:
        return waiting.pop() if waiting else await receive()

    return receiving


def _read(decoder: msgspec.json.Decoder[Body], body: bytes) -> Body | None:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _messages(reply: Reply) -> Iterable[Message]:
    headers = {
        **headers_of(reply),
        "Content-Type": media_type_of(reply),
        "Content-Length": str(len(reply.body)),
    }
    yield {
        "type": "http.response.start",
        "status": reply.status,
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    yield {"type": "http.response.body", "body": reply.body, "more_body": False}


async def _refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    request: Request[Any, Any, Any] = Request(scope, receive, send)
    if isinstance(error, HeliographError):
        response = problems.on_own_error(request, error)
    else:
        response = problems.on_failure(request, error)
    await response.to_asgi_response(app=None, request=request)(scope, receive, send)
