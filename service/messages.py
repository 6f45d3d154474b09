"""Messages that are not verifications: notifications, marketing, and codes that the sender made; and feedback on the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from core.errors import HeliographError
from core.events import Category
from core.numbers import Number
from service.desk import Desk
from service.dispatch import Order, Sent, sent_of
from service.errors import CoolingDown, NotConvertible, TextUnusable, UnknownRequest
from service.facts import AnyFact, Approval, Check, Request, RequestState
from service.guards.quotas import Subject
from service.limits import DAY, require_welcome
from service.templates import usable
from service.verifications import verify_event


@dataclass(frozen=True)
class MessageWish:
    """A message as a caller wants it, read and found possible; nothing was done yet."""

    app: str
    number: Number
    phone_hash: str
    subject: Subject
    category: Category
    purpose: str
    template: str
    locale: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class MessageSending:
    """A message that was sent."""

    request: Request
    sent: Sent


def _nothing(_sending: MessageSending) -> Sequence[AnyFact]:
    return ()


class Messages:
    """The messages of all apps."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def read(
        self,
        *,
        app: str,
        to: str,
        category: Category,
        purpose: str,
        text: str,
        template: str,
        locale: str,
        variables: Mapping[str, str],
        client_address: str = "",
    ) -> MessageWish:
        """Look at a call before anything is done. Raises `BadInput` of one kind or another."""
        if bool(text) == bool(template):
            raise TextUnusable("a message has a text or a template, one of the two")
        number, phone_hash = self._desk.read(to)
        if template:
            found = self._desk.templates.find(template, locale)
            template, locale, text = found.name, found.locale, found.render(variables)
        return MessageWish(
            app=app,
            number=number,
            phone_hash=phone_hash,
            subject=self._desk.guards.subject(app=app, number=number, client_address=client_address),
            category=category,
            purpose=purpose,
            template=template,
            locale=locale,
            text=usable(text),
        )

    async def send(
        self, wish: MessageWish, *, request_id: UUID, beside: Callable[[MessageSending], Sequence[AnyFact]] = _nothing
    ) -> MessageSending:
        """Send it; what `beside` gives is kept together with the outcome. Raises `OptedOut`, `Wait`, `NoRoute`, `NotSent`, `NumberRefused`, `Unavailable`."""
        request = self._request(wish, request_id)
        order = Order(
            request=request,
            fresh=True,
            number=wish.number,
            first_attempt=1,
            cause="first",
            text_of=lambda _: wish.text,
        )
        async with self._desk.locks.hold(wish.phone_hash):
            await self._require_allowed(wish)
            underway = await self._desk.dispatcher.begin(order)
        if underway is None:
            raise CoolingDown("another call has just sent this message", retry_after_seconds=1)
        sent = await self._desk.dispatcher.deliver(underway, beside=lambda sent: beside(MessageSending(request, sent)))
        return MessageSending(request, sent)

    async def state(self, *, app: str, request_id: UUID) -> RequestState:
        """Everything known of a message of this app. Raises `UnknownRequest`."""
        state = await self._desk.store.request(request_id)
        if state is None or state.request.app != app or state.request.kind != "message":
            raise UnknownRequest("no message has this id")
        return state

    async def sending(self, *, app: str, request_id: UUID) -> MessageSending | None:
        """A sending from its facts, for a call whose answer was lost. Raises `NotSent`, `NumberRefused`."""
        state = await self._desk.store.request(request_id)
        if state is None or state.request.app != app or state.request.kind != "message" or not state.attempts:
            return None
        return MessageSending(state.request, sent_of(state, state.attempts))

    async def converted(self, *, app: str, request_id: UUID, attempt: int | None) -> int:
        """Keep the word of a sender that the code in this message was used; returns the attempt it is counted for.

        Telling it again changes nothing. Raises `UnknownRequest`, `NotConvertible`.
        """
        state = await self.state(app=app, request_id=request_id)
        if state.request.category != "code":
            raise NotConvertible("only messages of category code can be converted")
        numbers = [row.attempt for row in state.attempts]
        counted = attempt if attempt is not None else max(numbers, default=0)
        if counted not in numbers:
            raise NotConvertible("this message has no such attempt")
        kept = state.approval or await self._keep_conversion(state, counted)
        # One that was kept before, too: whoever kept it may not have told.
        event = verify_event(state, kept.attempt, kept.check, "approved", kept.at, source="conversion")
        await self._desk.publisher.tell([event])
        return kept.attempt

    async def _keep_conversion(self, state: RequestState, attempt: int) -> Approval:
        """Returns the one that the store holds: of several at once, for different attempts, the first."""
        now, request_id = self._desk.clock(), state.request.id
        check = Check(request_id=request_id, check=1, at=now, attempt=attempt, result="approved", source="conversion")
        approval = Approval(request_id=request_id, at=now, check=1, attempt=attempt)
        _, is_first = await self._desk.store.write([check, approval])
        held = None if is_first else await self._desk.store.request(request_id)
        return (held and held.approval) or approval

    async def _require_allowed(self, wish: MessageWish) -> None:
        now = self._desk.clock()
        try:
            if wish.category != "code":
                require_welcome(wish.category, opted_out=await self._desk.store.opted_out(wish.phone_hash))
            sends = await self._desk.store.sends_since(
                phone_hash=wish.phone_hash, category=wish.category, since=now - DAY
            )
            self._desk.limits.require_room(wish.category, sends, now)
            if wish.category == "code":
                self._desk.guards.take(wish.subject, wish.number)
        except HeliographError as error:
            self._desk.telemetry.limited.labels(type(error).__name__).inc()
            raise

    def _request(self, wish: MessageWish, request_id: UUID) -> Request:
        return Request(
            id=request_id,
            at=self._desk.clock(),
            kind="message",
            category=wish.category,
            app=wish.app,
            purpose=wish.purpose,
            template=wish.template,
            locale=wish.locale,
            phone_hash=wish.phone_hash,
            country=wish.number.country,
            region=wish.number.region,
            carrier=wish.number.carrier,
        )
