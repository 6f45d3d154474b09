"""Verifications over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from core.errors import InvalidNumber, Overloaded, Unavailable, UnknownTemplate
from core.ids import time_of
from service import errors
from service.api.auth import app_of, requires
from service.api.parts import Parts
from service.api.problems import documented
from service.api.schemas import (
    CheckAnswer,
    NewCheck,
    NewNumberCheck,
    NewVerification,
    VerificationSent,
    VerificationView,
)
from service.api.sending import IdempotencyKey, call_of, reply_of, response_of, send_once
from service.api.views import verification_sent, verification_view
from service.idempotency import Keeper, Reply
from service.verifications import Sending

_TAGS = ["Verifications"]


@post(
    "/v1/verifications",
    opt=requires("send"),
    tags=_TAGS,
    summary="Send a code, or send it again",
    responses={
        201: ResponseSpec(VerificationSent, generate_examples=False, description="A new verification"),
        200: ResponseSpec(VerificationSent, generate_examples=False, description="Sent again for a living one"),
        **documented(
            InvalidNumber,
            UnknownTemplate,
            errors.AddressUnreadable,
            errors.VariablesMissing,
            errors.TextUnusable,
            errors.NoRoute,
            errors.NumberRefused,
            errors.KeyReused,
            errors.CallInFlight,
            errors.CoolingDown,
            errors.TooManySends,
            errors.TooManyChecks,
            errors.NotSent,
            Unavailable,
            Overloaded,
        ),
    },
)
async def send_verification(
    request: Request[Any, Any, Any],
    data: JSONBody[NewVerification],
    parts: NamedDependency[Parts],
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Send a code to a number. The same number and purpose again, within the lifetime, is a resend of the same
    verification: a new attempt with a code of its own, after the cool-down. All codes of a verification are good.
    The cool-down is of the number and purpose; how often codes are sent to a number counts over all purposes and apps,
    with codes that senders made.
    """
    call = await call_of(request)
    return response_of(await sent(parts, app=app_of(request), data=data, key=idempotency_key, call=call))


@post(
    "/v1/verifications/{verification_id:uuid}/check",
    opt=requires("send"),
    status_code=200,
    tags=_TAGS,
    summary="Check a code",
    responses=documented(Unavailable, Overloaded),
)
async def check_code(
    request: Request[Any, Any, Any],
    verification_id: FromPath[UUID],
    data: JSONBody[NewCheck],
    parts: NamedDependency[Parts],
) -> CheckAnswer:
    """Check what a user entered. Only `approved` is a success. `already_approved` says that this verification was approved
    before, and nothing about the code, which is no longer looked at: who gets it has not shown that the number is theirs.
    A verification that does not exist, or is another app's, is answered like one that has expired."""
    return await checked(parts, app=app_of(request), verification_id=verification_id, data=data)


@post(
    "/v1/verifications/check",
    opt=requires("send"),
    status_code=200,
    tags=_TAGS,
    summary="Check a code by number and purpose",
    responses=documented(InvalidNumber, Unavailable, Overloaded),
)
async def check_number(
    request: Request[Any, Any, Any], data: JSONBody[NewNumberCheck], parts: NamedDependency[Parts]
) -> CheckAnswer:
    """Check what a user entered against the newest living verification of this number and purpose. Only `approved` is a
    success. One that is approved lives no longer: after it the answer is `expired`, where by id it is `already_approved`."""
    found = await parts.verifications.check_number(
        app=app_of(request), to=data.to, purpose=data.purpose, code=data.code
    )
    return CheckAnswer(status=found.result, checks_left=found.checks_left)


@get(
    "/v1/verifications/{verification_id:uuid}",
    opt=requires("read"),
    tags=_TAGS,
    summary="Read a verification",
    responses=documented(errors.UnknownRequest, Unavailable),
)
async def read_verification(
    request: Request[Any, Any, Any], verification_id: FromPath[UUID], parts: NamedDependency[Parts]
) -> VerificationView:
    """A verification with its attempts and their receipts."""
    state = await parts.verifications.state(app=app_of(request), request_id=verification_id)
    return verification_view(state, checks_left=parts.verifications.checks_left(state), now=parts.clock())


async def sent(parts: Parts, *, app: str, data: NewVerification, key: str | None, call: bytes) -> Reply:
    """A code was asked for; `call` is what was called for, and `key` its Idempotency-Key."""
    wish = parts.verifications.read(
        app=app,
        to=data.to,
        purpose=data.purpose,
        template=data.template,
        locale=data.locale,
        variables=data.variables,
        client_address=data.client_address,
    )

    def told(sending: Sending) -> Reply:
        return reply_of(verification_sent(sending), status=201 if sending.is_new else 200)

    async def do(request_id: UUID, keeper: Keeper) -> Reply:
        sending = await parts.verifications.send(
            wish, request_id=request_id, beside=lambda sending: keeper.facts(told(sending))
        )
        return told(sending)

    async def recover(request_id: UUID) -> Reply | None:
        sending = await parts.verifications.sending(app=app, request_id=request_id)
        if sending is None:  # the id was not used: the call may have sent again for a verification that lived
            since = time_of(request_id)
            until = since + parts.idempotency.in_flight_max
            sending = await parts.verifications.resending(wish, since=since, until=until)
        return told(sending) if sending else None

    return await send_once(parts, app=app, key=key, call=call, do=do, recover=recover)


async def checked(parts: Parts, *, app: str, verification_id: UUID, data: NewCheck) -> CheckAnswer:
    """A code was entered."""
    found = await parts.verifications.check(app=app, request_id=verification_id, code=data.code)
    return CheckAnswer(status=found.result, checks_left=found.checks_left)
