"""What both ways to send have in common: the Idempotency-Key around them, and bodies that are kept as they went out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import HeaderParameter

from service.api import problems
from service.api.auth import app_of
from service.api.parts import Parts
from service.errors import NotSent, NumberRefused
from service.idempotency import Doing, Keeper, Reply

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Any text that is yours alone, such as a UUID: a call made again with it is answered again, not done again.",
    ),
]


async def send_once(
    request: Request[Any, Any, Any],
    parts: Parts,
    key: str | None,
    do: Doing,
    recover: Callable[[UUID], Awaitable[Reply | None]],
) -> Response[bytes]:
    """Send, or give the answer of the first call with this key."""

    async def doing(request_id: UUID, keeper: Keeper) -> Reply:
        try:
            return await do(request_id, keeper)
        except (NotSent, NumberRefused) as error:
            return _refusal(error)  # attempts were made: this answer is kept too

    async def recovering(request_id: UUID) -> Reply | None:
        try:
            return await recover(request_id)
        except NotSent as error:
            return _refusal(error)

    call = f"{request.method} {request.scope['path']}\0".encode() + await request.body()
    reply = await parts.idempotency.once(app=app_of(request), key=key or "", call=call, do=doing, recover=recovering)
    return _response(reply)


def reply_of(body: msgspec.Struct, *, status: int) -> Reply:
    """An answer as it goes out, and as it is kept."""
    return Reply(status, msgspec.json.encode(body))


def _refusal(error: NotSent | NumberRefused) -> Reply:
    problem = problems.problem_of(error)
    return Reply(problem.status, problems.encode(problem))


def _response(reply: Reply) -> Response[bytes]:
    return Response(
        reply.body,
        status_code=reply.status,
        media_type=problems.MEDIA_TYPE if reply.status >= 400 else "application/json",
        headers={"Idempotency-Replayed": "true"} if reply.replayed else {},
    )
