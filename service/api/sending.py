"""What both ways to send have in common: the Idempotency-Key around them, and bodies that are kept as they went out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import HeaderParameter

from service.api import problems
from service.api.parts import Parts
from service.errors import NotSent, NumberRefused
from service.idempotency import Doing, Keeper, Reply

KEY_CHARACTERS_MAX = 255

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=KEY_CHARACTERS_MAX,
        description="Any text that is yours alone, such as a UUID: a call made again with it is answered again, not done again.",
    ),
]


async def call_of(request: Request[Any, Any, Any]) -> bytes:
    """What was called for, by which a call made again is told from another one."""
    return words_of(request.method, request.scope["path"], await request.body())


def words_of(method: str, path: str, body: bytes) -> bytes:
    """The same from its parts."""
    return f"{method} {path}\0".encode() + body


async def send_once(
    parts: Parts,
    *,
    app: str,
    key: str | None,
    call: bytes,
    do: Doing,
    recover: Callable[[UUID], Awaitable[Reply | None]],
) -> Reply:
    """Send, or give the answer of the first call with this key."""

    async def doing(request_id: UUID, keeper: Keeper) -> Reply:
        try:
            return await do(request_id, keeper)
        except (NotSent, NumberRefused) as error:
            return _refusal(error)  # attempts were made: this answer is kept too

    async def recovering(request_id: UUID) -> Reply | None:
        try:
            return await recover(request_id)
        except (NotSent, NumberRefused) as error:
            return _refusal(error)

    return await parts.idempotency.once(app=app, key=key or "", call=call, do=doing, recover=recovering)


def reply_of(body: msgspec.Struct, *, status: int) -> Reply:
    """An answer as it goes out, and as it is kept."""
    return Reply(status, msgspec.json.encode(body))


def _refusal(error: NotSent | NumberRefused) -> Reply:
    problem = problems.problem_of(error)
    return Reply(problem.status, problems.encode(problem))


def headers_of(reply: Reply) -> dict[str, str]:
    """What is said beside a body."""
    return {"Idempotency-Replayed": "true"} if reply.replayed else {}


def media_type_of(reply: Reply) -> str:
    """What a body is."""
    return problems.MEDIA_TYPE if reply.status >= 400 else "application/json"


def response_of(reply: Reply) -> Response[bytes]:
    """The answer as the framework takes it."""
    return Response(reply.body, status_code=reply.status, media_type=media_type_of(reply), headers=headers_of(reply))
