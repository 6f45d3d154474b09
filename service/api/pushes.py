"""Where providers push receipts and inbound messages, each in its own format and answered as it expects."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from core.errors import Overloaded, Unavailable, UnknownProvider
from service import errors
from service.api.parts import Parts
from service.api.problems import documented_open
from service.providers.base.pushed import BODY_BYTES_MAX
from service.receipts import Taken

_TAGS = ["Providers"]
_RESPONSES = documented_open(UnknownProvider, errors.ForgedReceipt, errors.ReceiptUnreadable, Unavailable, Overloaded)


@post(
    "/v1/receipts/{provider:str}",
    status_code=200,
    tags=_TAGS,
    summary="Delivery receipts from a provider",
    request_max_body_size=BODY_BYTES_MAX,
    responses=_RESPONSES,
)
async def take_receipts(
    request: Request[Any, Any, Any], provider: FromPath[str], parts: NamedDependency[Parts]
) -> Response[bytes]:
    """In the provider's own format, signed. Rows that cannot be read are counted and cost no other row."""
    return _reply(await parts.receipts.take(provider, dict(request.headers.items()), await request.body()))


@post(
    "/v1/inbound/{provider:str}",
    status_code=200,
    tags=_TAGS,
    summary="Messages from handsets, through a provider",
    request_max_body_size=BODY_BYTES_MAX,
    responses=_RESPONSES,
)
async def take_inbound(
    request: Request[Any, Any, Any], provider: FromPath[str], parts: NamedDependency[Parts]
) -> Response[bytes]:
    """In the provider's own format, signed. STOP and its like opt the sender out; texts are not kept."""
    return _reply(await parts.receipts.take_inbound(provider, dict(request.headers.items()), await request.body()))


def _reply(taken: Taken) -> Response[bytes]:
    headers = {"Heliograph-Taken": str(taken.good), "Heliograph-Unreadable": str(taken.bad)}
    return Response(taken.reply.body, status_code=200, media_type=taken.reply.content_type, headers=headers)
