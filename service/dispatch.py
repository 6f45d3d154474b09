"""One message to one subscriber through whichever provider takes it: chosen by weight, tried in turn inside a deadline.

The fact of an attempt is durable before the provider hears of it, its outcome after, and no store is held meanwhile:
a slow provider costs the calls that wait for it and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import structlog

from core.clock import Clock
from core.errors import HeliographError
from core.events import Cause, ErrorClass, Outcome, Send
from core.numbers import Number, Seal
from core.settings.sending import Routing
from service.errors import NoRoute, NotSent, NumberRefused
from service.facts import AnyFact, Attempt, AttemptOutcome, Request, RequestState
from service.providers.base.provider import HELD_UP, Provider
from service.providers.base.references import reference_of
from service.providers.base.submission import Answer, Submission
from service.publisher import Publisher
from service.sealed import SealedNumber
from service.stores import Store
from service.telemetry import Telemetry

_log = structlog.get_logger(__name__)

LEAST_SECONDS = 0.25
"""Less than this of the deadline is no time to ask another provider."""
_NUMBER_FAULTS: tuple[ErrorClass, ...] = ("number", "opted_out")
"""Refusals that are the number's: another provider would say the same, and might send all the same."""
_MAY_ARRIVE: tuple[Outcome, ...] = ("accepted", "unknown")
_PROVIDER_FAULTS: tuple[ErrorClass, ...] = ("provider", "account", "throttled", "timeout", "route")


@dataclass(frozen=True)
class Order:
    """A message to send: attempts begin at `first_attempt`, `text_of` gives each its own text. `fresh` says that the
    request is new and has to be written too; `avoid` names the provider whose message did not help."""

    request: Request
    fresh: bool
    number: Number
    first_attempt: int
    cause: Cause
    text_of: Callable[[int], str] = field(repr=False)
    avoid: str = ""


@dataclass(frozen=True)
class Underway:
    """An order whose first attempt is durable and not yet submitted."""

    order: Order
    attempt: Attempt
    provider: Provider
    deadline: float


@dataclass(frozen=True)
class Sent:
    """The attempt that was taken, or the last whose end is not known (`outcome` "unknown": it may arrive)."""

    attempt: int
    outcome: Outcome


class Breaker:
    """Rests a provider after `failures` in a row; after `seconds` one message tries it again.

    The trial cannot wedge: it ends with its answer or, when that never comes, after another `seconds`.
    """

    def __init__(self, *, failures: int, seconds: float, timer: Callable[[], float]) -> None:
        self._allowed = failures
        self._seconds = seconds
        self._timer = timer
        self._failed: dict[str, int] = {}
        self._rests_until: dict[str, float] = {}

    def rests(self, provider: str) -> bool:
        """Whether to pass it over."""
        return self._timer() < self._rests_until.get(provider, 0.0)

    def rests_until(self, provider: str) -> float:
        """When its rest ends, by the timer."""
        return self._rests_until.get(provider, 0.0)

    def chosen(self, provider: str) -> None:
        """A message goes there: when it is the trial after a rest, others wait for how it ends."""
        if provider in self._rests_until:
            self._rests_until[provider] = self._timer() + self._seconds

    def ended(self, provider: str, *, well: bool) -> None:
        """A submission ended."""
        if well:
            self._failed.pop(provider, None)
            if self._rests_until.pop(provider, None) is not None:
                _log.info("provider is used again", provider=provider)
            return
        self._failed[provider] = self._failed.get(provider, 0) + 1
        if self._failed[provider] >= self._allowed:
            if provider not in self._rests_until:
                _log.warning("provider rests", provider=provider, failures=self._failed[provider])
            self._rests_until[provider] = self._timer() + self._seconds


class Router:
    """Chooses among the providers that serve a country. A weight of 0 takes a provider out of use."""

    def __init__(self, providers: Mapping[str, Provider], breaker: Breaker, random: Random) -> None:
        self._providers = providers
        self._breaker = breaker
        self._random = random

    def choose(self, country: str, *, tried: Collection[str], avoid: str = "") -> Provider | None:
        """One by weight that is neither tried nor resting; when all rest, the one whose rest ends first; None when none is left."""
        serving = [row for row in self._providers.values() if _serves(row, country) and row.name not in tried]
        if not serving:
            return None
        awake = [row for row in serving if not self._breaker.rests(row.name)]
        others = [row for row in awake if row.name != avoid]
        pool = others or awake
        if len(pool) == 1:
            chosen = pool[0]
        elif pool:
            chosen = self._random.choices(pool, weights=[row.settings.weight for row in pool])[0]
        else:
            chosen = min(serving, key=lambda row: self._breaker.rests_until(row.name))
        self._breaker.chosen(chosen.name)
        return chosen


def _nothing(_sent: Sent) -> Sequence[AnyFact]:
    return ()


class Dispatcher:
    """Sends orders. `begin` makes the first attempt durable, `deliver` submits it and whatever failover takes."""

    def __init__(
        self,
        *,
        router: Router,
        breaker: Breaker,
        store: Store,
        publisher: Publisher,
        seal: Seal,
        routing: Routing,
        clock: Clock,
        timer: Callable[[], float],
        telemetry: Telemetry,
    ) -> None:
        self._router = router
        self._breaker = breaker
        self._store = store
        self._publisher = publisher
        self._seal = seal
        self._routing = routing
        self._clock = clock
        self._timer = timer
        self._telemetry = telemetry

    async def begin(self, order: Order) -> Underway | None:
        """Choose a provider and write the attempt. None when somebody else just made this attempt. Raises `NoRoute`."""
        provider = self._router.choose(order.request.country, tried=(), avoid=order.avoid)
        if provider is None:
            raise NoRoute("no provider serves the country of this number")
        attempt = self._attempt(order, order.first_attempt, provider, order.cause)
        facts: list[AnyFact] = [order.request, attempt] if order.fresh else [attempt]
        written = await self._store.write(facts)
        if not written[-1] and not await self._is_ours(attempt):
            return None
        return Underway(order, attempt, provider, self._timer() + self._routing.deadline_seconds)

    async def deliver(self, underway: Underway, *, beside: Callable[[Sent], Sequence[AnyFact]] = _nothing) -> Sent:
        """Submit, and try others while the deadline allows. Raises `NotSent`, `NumberRefused`, `Unavailable`.

        What `beside` gives for a message that went out is kept in the transaction of its outcome.
        """
        order, attempt, provider = underway.order, underway.attempt, underway.provider
        tried: list[str] = []
        in_doubt: Sent | None = None
        number = asyncio.ensure_future(self._tell_number(order)) if order.fresh else None
        while True:
            tried.append(provider.name)
            answer = await self._submit(order, attempt, provider, underway.deadline)
            if number is not None:
                # An answer that is kept with the outcome may be given by another process, which has no number.
                await number
            if answer.outcome == "unknown":
                in_doubt = Sent(attempt.attempt, "unknown")
            following = None if _is_settled(answer) else self._next(order, tried, underway.deadline)
            sent = _taken(attempt, answer, in_doubt) if following is None else None
            others = beside(sent) if sent is not None else ()
            goes_on = await self._keep(order, attempt, answer, following, others, is_in_doubt=in_doubt is not None)
            if not goes_on or following is None:
                return _conclude(order, attempt, answer, in_doubt)
            attempt, provider = following

    async def _submit(self, order: Order, attempt: Attempt, provider: Provider, deadline: float) -> Answer:
        submission = Submission(
            reference=reference_of(order.request.id, attempt.attempt),
            number=order.number.e164,
            text=order.text_of(attempt.attempt),
            country=order.request.country,
        )
        left = max(LEAST_SECONDS, deadline - self._timer())
        answer = await provider.send(submission, timeout_seconds=left)
        if answer.error_code != HELD_UP:
            self._breaker.ended(provider.name, well=not _is_providers_fault(answer))
        self._telemetry.sends.labels(order.request.category, attempt.cause, answer.outcome).inc()
        return answer

    def _next(self, order: Order, tried: Collection[str], deadline: float) -> tuple[Attempt, Provider] | None:
        if len(tried) >= self._routing.attempts_max or deadline - self._timer() < LEAST_SECONDS:
            return None
        provider = self._router.choose(order.request.country, tried=tried)
        if provider is None:
            return None
        return self._attempt(order, order.first_attempt + len(tried), provider, "failover"), provider

    def _attempt(self, order: Order, number: int, provider: Provider, cause: Cause) -> Attempt:
        return Attempt(
            request_id=order.request.id,
            attempt=number,
            at=self._clock(),
            provider=provider.name,
            cause=cause,
            phone_hash=order.request.phone_hash,
            category=order.request.category,
        )

    async def _keep(
        self,
        order: Order,
        attempt: Attempt,
        answer: Answer,
        following: tuple[Attempt, Provider] | None,
        others: Sequence[AnyFact],
        *,
        is_in_doubt: bool,
    ) -> bool:
        """The outcome and, in the same transaction, the attempt that follows or else `others`; then the event.

        In this order: an outcome without its event is told again after a crash, an event without its outcome stays one.
        False when the attempt that was to follow was made by somebody else, a resend, or cannot be kept while a message
        may have gone out (`is_in_doubt`).
        """
        try:
            return await self._write_outcome(
                self._outcome(attempt, answer), following[0] if following else None, others, is_in_doubt=is_in_doubt
            )
        finally:
            await self._publisher.tell_if_possible([send_event(order.request, attempt, answer)])

    async def _write_outcome(
        self, outcome: AttemptOutcome, following: Attempt | None, others: Sequence[AnyFact], *, is_in_doubt: bool
    ) -> bool:
        try:
            written = await self._store.write([outcome, *([following] if following else others)])
            return following is None or written[-1] or await self._is_ours(following)
        except HeliographError as error:
            if following is not None and not is_in_doubt:
                raise
            # The message is out and its attempt is kept: to answer with an error would only have it sent twice.
            _log.error("an outcome could not be kept", request_id=str(outcome.request_id), reason=str(error))
            self._telemetry.outcomes_unkept.inc()
            return False

    def _outcome(self, attempt: Attempt, answer: Answer) -> AttemptOutcome:
        return AttemptOutcome(
            request_id=attempt.request_id,
            attempt=attempt.attempt,
            at=self._clock(),
            outcome=answer.outcome,
            error_class=answer.error_class,
            error_code=answer.error_code,
            provider_reference=answer.provider_reference,
            latency_ms=answer.latency_ms,
            segments=answer.segments,
        )

    async def _tell_number(self, order: Order) -> None:
        await self._publisher.tell_if_possible([], [self._sealed(order)])

    def _sealed(self, order: Order) -> SealedNumber:
        request = order.request
        sealed = self._seal.close(order.number.e164, request_id=str(request.id))
        return SealedNumber(request_id=request.id, at=request.at, sealed=sealed)

    async def _is_ours(self, attempt: Attempt) -> bool:
        """Whether the attempt that is there already is this one: a store that tried twice finds its own first try."""
        state = await self._store.request(attempt.request_id)
        kept = next((row for row in state.attempts if row.attempt == attempt.attempt), None) if state else None
        return kept == attempt  # to the microsecond, as every store keeps it


def send_event(request: Request, attempt: Attempt, answer: Answer | AttemptOutcome) -> Send:
    """What the warehouse is told of an attempt."""
    return Send(
        at=attempt.at,
        provider=attempt.provider,
        carrier=request.carrier,
        country=request.country,
        region=request.region,
        app=request.app,
        purpose=request.purpose,
        template=request.template,
        request_id=request.id,
        attempt=attempt.attempt,
        category=request.category,
        cause=attempt.cause,
        outcome=answer.outcome,
        error_class=answer.error_class,
        error_code=answer.error_code,
        latency_ms=answer.latency_ms,
        segments=answer.segments,
        phone_hash=request.phone_hash,
    )


def _taken(attempt: Attempt, answer: Answer, in_doubt: Sent | None) -> Sent | None:
    """The message that went out, or may have."""
    return Sent(attempt.attempt, "accepted") if answer.outcome == "accepted" else in_doubt


def _conclude(order: Order, attempt: Attempt, answer: Answer, in_doubt: Sent | None) -> Sent:
    sent = _taken(attempt, answer, in_doubt)
    if sent is None:
        raise _refusal(order.request.id, answer.error_class)
    return sent


def sent_of(state: RequestState, attempts: Iterable[Attempt]) -> Sent:
    """What `deliver` returned to the call that made these attempts, or would have, from facts. Raises like it."""
    ended = {row.attempt: row for row in state.outcomes}
    words = {row.attempt: ended[row.attempt].outcome if row.attempt in ended else "unknown" for row in attempts}
    for outcome in _MAY_ARRIVE:
        if taken := [attempt for attempt, word in words.items() if word == outcome]:
            return Sent(taken[-1], outcome)
    raise _refusal(state.request.id, ended[max(words)].error_class)


def _refusal(request_id: UUID, error_class: ErrorClass) -> NotSent | NumberRefused:
    return (NumberRefused if error_class in _NUMBER_FAULTS else NotSent)(request_id, error_class)


def _serves(provider: Provider, country: str) -> bool:
    countries = provider.settings.countries
    return provider.settings.weight > 0 and (not countries or country in countries)


def _is_settled(answer: Answer) -> bool:
    return answer.outcome == "accepted" or answer.error_class in _NUMBER_FAULTS


def _is_providers_fault(answer: Answer) -> bool:
    return answer.outcome in ("failed", "unknown") or (
        answer.outcome == "rejected" and answer.error_class in _PROVIDER_FAULTS
    )
