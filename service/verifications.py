"""Verifications: send a code, send it again, check what was entered. The rules live here, the facts in the store.

Unknown, foreign and expired verifications look alike to a caller, so that an id or a number cannot be probed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import dropwhile, takewhile
from typing import Literal
from uuid import UUID

import structlog

from core.errors import HeliographError
from core.events import CheckResult, Verify
from core.ids import time_of
from core.numbers import Number
from core.settings.sending import Code as CodeSettings
from service.codes import Codes
from service.desk import Desk
from service.dispatch import Order, Sent, Underway, sent_of
from service.errors import CoolingDown, UnknownRequest
from service.facts import AnyFact, Attempt, Request, RequestState
from service.guards.quotas import Subject
from service.limits import DAY
from service.stores import Candidate, CheckOrder, CheckSubject, CheckVerdict, SendSubject
from service.templates import Template, usable

_log = structlog.get_logger(__name__)

_NOBODY = UUID(int=0)


@dataclass(frozen=True)
class Wish:
    """A verification as a caller wants it, read and found possible; nothing was done yet."""

    app: str
    number: Number
    phone_hash: str
    subject: Subject
    purpose: str
    locale: str
    template: Template
    variables: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Sending:
    """A verification of which a message was sent. `is_new` is False for a resend."""

    request: Request
    sent: Sent
    is_new: bool
    resend_after_seconds: int


def _nothing(_sending: Sending) -> Sequence[AnyFact]:
    return ()


@dataclass(frozen=True)
class Checked:
    """What became of a check."""

    result: CheckResult
    checks_left: int


class Verifications:
    """The verifications of all apps."""

    def __init__(self, desk: Desk, *, codes: Codes, settings: CodeSettings) -> None:
        self._desk = desk
        self._codes = codes
        self._settings = settings

    def read(
        self,
        *,
        app: str,
        to: str,
        purpose: str,
        template: str,
        locale: str,
        variables: Mapping[str, str],
        client_address: str = "",
    ) -> Wish:
        """Look at a call before anything is done. Raises `BadInput` of one kind or another."""
        number, phone_hash = self._desk.read(to)
        text = self._desk.templates.for_verification(template, purpose, locale)
        text.require({*variables, "code", "minutes"})
        if variables:
            usable(text.render({**variables, "code": "0" * self._settings.length, "minutes": "10"}))
        return Wish(
            app=app,
            number=number,
            phone_hash=phone_hash,
            subject=self._desk.guards.subject(app=app, number=number, client_address=client_address),
            purpose=purpose,
            locale=locale,
            template=text,
            variables=variables,
        )

    async def send(
        self, wish: Wish, *, request_id: UUID, beside: Callable[[Sending], Sequence[AnyFact]] = _nothing
    ) -> Sending:
        """Send a code, or send again within the lifetime of a living verification. What `beside` gives is kept together
        with the outcome.

        Raises `Wait` of one kind or another, `NoRoute`, `NotSent`, `NumberRefused`, `Unavailable`.
        """
        async with self._desk.locks.hold(wish.phone_hash):
            underway, earlier = await self._begin(wish, request_id)
        order, cooldown = underway.order, self._desk.limits.cooldown_seconds(earlier + 1)

        def sending(sent: Sent) -> Sending:
            return Sending(order.request, sent, order.fresh, cooldown)

        return sending(await self._desk.dispatcher.deliver(underway, beside=lambda sent: beside(sending(sent))))

    async def check(self, *, app: str, request_id: UUID, code: str) -> Checked:
        """Check a code against the verification with this id."""
        return await self._check(CheckSubject(app=app, now=self._desk.clock(), request_id=request_id), code)

    async def check_number(self, *, app: str, to: str, purpose: str, code: str) -> Checked:
        """Check a code against the newest living verification of this number and purpose. Raises `InvalidNumber`."""
        _, phone_hash = self._desk.read(to)
        subject = CheckSubject(app=app, now=self._desk.clock(), phone_hash=phone_hash, purpose=purpose)
        return await self._check(subject, code)

    async def state(self, *, app: str, request_id: UUID) -> RequestState:
        """Everything known of a verification of this app. Raises `UnknownRequest`."""
        state = await self._desk.store.request(request_id)
        if state is None or not _belongs(state, app, "verification"):
            raise UnknownRequest("no verification has this id")
        return state

    async def sending(self, *, app: str, request_id: UUID) -> Sending | None:
        """The first sending of a verification from its facts, for a call whose answer was lost. Raises `NotSent`, `NumberRefused`."""
        state = await self._desk.store.request(request_id)
        if state is None or not _belongs(state, app, "verification") or not state.attempts:
            return None
        return self._sending_of(state, takewhile(_is_no_resend, state.attempts), is_new=True)

    async def resending(self, wish: Wish, *, since: datetime, until: datetime) -> Sending | None:
        """The same for a call that began in this span and sent again for a verification that lived then."""
        now = self._desk.clock()
        state = await self._desk.store.living(app=wish.app, phone_hash=wish.phone_hash, purpose=wish.purpose, now=now)
        later = dropwhile(lambda row: _is_no_resend(row) or row.at < since, state.attempts if state else ())
        first = next(later, None)
        if state is None or first is None or first.at > until:
            return None
        return self._sending_of(state, [first, *takewhile(_is_no_resend, later)], is_new=False)

    def _sending_of(self, state: RequestState, attempts: Iterable[Attempt], *, is_new: bool) -> Sending:
        sent = sent_of(state, attempts)
        wait_seconds = self._desk.limits.resend_after_seconds(state, self._desk.clock())
        return Sending(state.request, sent, is_new, math.ceil(wait_seconds))

    def checks_left(self, state: RequestState) -> int:
        """How often a code may still be entered."""
        return 0 if state.approval else max(0, self._settings.checks_max - len(state.checks))

    async def _begin(self, wish: Wish, request_id: UUID) -> tuple[Underway, int]:
        """The sending, begun, and how many were sent before it."""
        now = self._desk.clock()
        subject = SendSubject(app=wish.app, phone_hash=wish.phone_hash, purpose=wish.purpose, now=now, since=now - DAY)
        earlier = await self._desk.store.earlier(subject)
        living = earlier.living
        try:
            if living is not None:
                self._desk.limits.require_checks_left(living, now)
                self._desk.limits.require_cool(living, now)
            self._desk.limits.require_room("code", earlier.sends, now)
            self._desk.guards.take(wish.subject, wish.number)
        except HeliographError as error:
            self._desk.telemetry.limited.labels(type(error).__name__).inc()
            raise
        if living is None or living.closed:
            chosen = self._desk.store.id_for(
                app=wish.app, phone_hash=wish.phone_hash, purpose=wish.purpose, fresh=request_id
            )
            order = self._first(wish, chosen, now, begins=now if chosen == request_id else time_of(chosen))
        else:
            order = self._resend(wish, living, now)
        underway = await self._desk.dispatcher.begin(order)
        if order.fresh and underway is not None:
            self._desk.guards.sent(order.request)
        if underway is None:
            raise CoolingDown(
                "another call has just sent to this number",
                retry_after_seconds=self._desk.limits.cooldown_seconds(1) or 1,
            )
        return underway, self._desk.limits.counted_sends(living) if living else 0

    def _first(self, wish: Wish, request_id: UUID, now: datetime, *, begins: datetime) -> Order:
        request = Request(
            id=request_id,
            at=now,
            kind="verification",
            category="code",
            app=wish.app,
            purpose=wish.purpose,
            template=wish.template.name,
            locale=wish.template.locale,
            phone_hash=wish.phone_hash,
            country=wish.number.country,
            region=wish.number.region,
            carrier=wish.number.carrier,
            expires_at=begins + timedelta(seconds=self._settings.lifetime_seconds),
        )
        return Order(
            request=request,
            fresh=True,
            number=wish.number,
            first_attempt=1,
            cause="first",
            text_of=lambda attempt: self._text(wish, request, attempt),
        )

    def _resend(self, wish: Wish, living: RequestState, now: datetime) -> Order:
        last = max(living.attempts, key=lambda row: row.attempt, default=None)
        return Order(
            request=living.request,
            fresh=False,
            number=wish.number,
            first_attempt=last.attempt + 1 if last else 1,
            cause="resend" if last else "first",
            text_of=lambda attempt: self._text(wish, living.request, attempt),
            avoid=last.provider if last else "",
        )

    def _text(self, wish: Wish, request: Request, attempt: int) -> str:
        code = self._codes.code(request.id, attempt, app=request.app)
        left = (request.expires_at or request.at) - self._desk.clock()
        minutes = max(1, math.floor(left.total_seconds() / 60 + 0.5))
        return wish.template.render({**wish.variables, "code": code, "minutes": str(minutes)})

    async def _check(self, subject: CheckSubject, code: str) -> Checked:
        candidates = await self._desk.store.candidates(subject)
        if not candidates:
            self._codes.matched(code, _NOBODY, (1,), app=subject.app)
            self._desk.telemetry.checks.labels("unknown").inc()
            return Checked("expired", 0)
        entered, attempt = self._entered(candidates, code, subject.app)
        order = CheckOrder(
            request_id=entered.request_id,
            at=subject.now,
            attempt=attempt,
            expired=subject.now >= entered.expires_at,
            checks_max=self._settings.checks_max,
            beside=tuple(row.request_id for row in candidates if row is not entered),
        )
        verdict = await self._desk.store.check(order)
        self._desk.telemetry.checks.labels(verdict.result).inc()
        if verdict.result == "approved" and entered.state is not None:
            request = entered.state.request
            self._desk.guards.approved(request, age_seconds=(subject.now - request.at).total_seconds())
        await self._tell(subject, entered.state, order, verdict)
        if verdict.result == "expired":
            return Checked("expired", 0)
        return Checked(verdict.result, 0 if verdict.result == "approved" else verdict.checks_left)

    def _entered(self, candidates: Sequence[Candidate], code: str, app: str) -> tuple[Candidate, int]:
        """The candidate and its attempt whose code this is, else the first candidate and 0; all are compared."""
        entered, found = candidates[0], 0
        for candidate in candidates:
            attempt = self._codes.matched(code, candidate.request_id, candidate.attempts, app=app)
            if attempt and not found:
                entered, found = candidate, attempt
        return entered, found

    async def _tell(
        self, subject: CheckSubject, state: RequestState | None, order: CheckOrder, verdict: CheckVerdict
    ) -> None:
        if verdict.check and state is None:
            # Only the id is known: the warehouse has the rest from the send.
            event = Verify(
                at=order.at,
                app=subject.app,
                purpose=subject.purpose,
                request_id=order.request_id,
                attempt=order.attempt,
                check=verdict.check,
                result=verdict.result,
            )
        elif verdict.check and state is not None:
            event = verify_event(state, order.attempt, verdict.check, verdict.result, order.at)
        elif state is not None and state.approval is not None:
            # Told again: the process that approved may have died before it told. The id is the same.
            approval = state.approval
            event = verify_event(state, approval.attempt, approval.check, "approved", approval.at)
        else:
            return
        await self._desk.publisher.tell_if_possible([event])


def verify_event(
    state: RequestState,
    attempt: int,
    check: int,
    result: CheckResult,
    at: datetime,
    *,
    source: Literal["check", "conversion"] = "check",
) -> Verify:
    """What the warehouse is told of a check. The provider is the one whose code was entered."""
    request = state.request
    provider = next((row.provider for row in state.attempts if row.attempt == attempt), "")
    return Verify(
        at=at,
        provider=provider,
        carrier=request.carrier,
        country=request.country,
        region=request.region,
        app=request.app,
        purpose=request.purpose,
        template=request.template,
        request_id=request.id,
        attempt=attempt,
        check=check,
        result=result,
        source=source,
    )


def _is_no_resend(attempt: Attempt) -> bool:
    return attempt.cause != "resend"


def _belongs(state: RequestState, app: str, kind: str) -> bool:
    return state.request.app == app and state.request.kind == kind
