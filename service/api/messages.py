"""Messages and conversions over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from core.errors import InvalidNumber, Overloaded, Unavailable, UnknownTemplate
from service import errors
from service.api.auth import app_of, requires
from service.api.parts import Parts
from service.api.problems import documented
from service.api.schemas import ConversionKept, MessageSent, MessageView, NewConversion, NewMessage
from service.api.sending import IdempotencyKey, call_of, reply_of, response_of, send_once
from service.api.views import message_sent, message_view
from service.idempotency import Keeper, Reply
from service.messages import MessageSending

_TAGS = ["Messages"]


@post(
    "/v1/messages",
    opt=requires("send"),
    tags=_TAGS,
    summary="Send a message",
    responses={
        201: ResponseSpec(MessageSent, generate_examples=False, description="Sent"),
        **documented(
            InvalidNumber,
            UnknownTemplate,
            errors.AddressUnreadable,
            errors.VariablesMissing,
            errors.TextUnusable,
            errors.NoRoute,
            errors.NumberRefused,
            errors.OptedOut,
            errors.KeyReused,
            errors.CallInFlight,
            errors.TooManySends,
            errors.NotSent,
            Unavailable,
            Overloaded,
        ),
    },
)
async def send_message(
    request: Request[Any, Any, Any],
    data: JSONBody[NewMessage],
    parts: NamedDependency[Parts],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Send a notification, marketing, or a code that you made yourself. Subscribers who said STOP get codes only. Between
    two codes of your own there is no cool-down: see to that yourself; what a number may be sent in a day holds for them too.
    """
    app = app_of(request)
    wish = parts.messages.read(
        app=app,
        to=data.to,
        category=data.category,
        purpose=data.purpose,
        text=data.text,
        template=data.template,
        locale=data.locale,
        variables=data.variables,
        client_address=data.client_address,
    )

    def told(sending: MessageSending) -> Reply:
        return reply_of(message_sent(sending), status=201)

    async def do(request_id: UUID, keeper: Keeper) -> Reply:
        return told(
            await parts.messages.send(wish, request_id=request_id, beside=lambda sending: keeper.facts(told(sending)))
        )

    async def recover(request_id: UUID) -> Reply | None:
        sending = await parts.messages.sending(app=app, request_id=request_id)
        return told(sending) if sending else None

    call = await call_of(request)
    reply = await send_once(parts, app=app, key=idempotency_key, call=call, do=do, recover=recover)
    return response_of(reply)


@get(
    "/v1/messages/{message_id:uuid}",
    opt=requires("read"),
    tags=_TAGS,
    summary="Read a message",
    responses=documented(errors.UnknownRequest, Unavailable),
)
async def read_message(
    request: Request[Any, Any, Any], message_id: FromPath[UUID], parts: NamedDependency[Parts]
) -> MessageView:
    """A message with its attempts and their receipts; its text is not kept."""
    return message_view(await parts.messages.state(app=app_of(request), request_id=message_id))


@post(
    "/v1/conversions",
    opt=requires("send"),
    status_code=200,
    tags=_TAGS,
    summary="Tell that a code of your own was used",
    responses=documented(errors.UnknownRequest, errors.NotConvertible, Unavailable, Overloaded),
)
async def convert(
    request: Request[Any, Any, Any], data: JSONBody[NewConversion], parts: NamedDependency[Parts]
) -> ConversionKept:
    """For messages of category `code`: without this the fill rate of your channels is not known. Telling it again
    changes nothing."""
    attempt = await parts.messages.converted(app=app_of(request), request_id=data.id, attempt=data.attempt)
    return ConversionKept(id=data.id, attempt=attempt)
