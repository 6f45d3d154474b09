"""What this instance saw of late, in bounded memory: all that is left to go by when no store can be asked.

Facts come in whenever a store took them; the oldest go when there are too many. Nothing here is ever the only copy.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from core.events import Category
from service.facts import (
    AnyFact,
    Approval,
    Attempt,
    AttemptOutcome,
    Check,
    DeliveryReceipt,
    Fact,
    IdempotencyAnswer,
    IdempotencyClaim,
    Request,
    RequestState,
)
from service.stores import Claim
from service.stores.derive import assemble

REQUESTS_MAX = 20_000
"""48 MB when full, measured with five facts each."""
NUMBERS_MAX = 50_000
CLAIMS_MAX = 20_000
_SENDS_KEPT = 32  # a number and category: a limit above it is none while no store can be asked
_DAY = timedelta(days=1)
Key = TypeVar("Key")
Value = TypeVar("Value")
_Key = tuple[type[Fact], tuple[object, ...]]
_OfRequest = Request | Attempt | AttemptOutcome | DeliveryReceipt | Check | Approval


class Recent:
    """Requests, sends and claims by their keys."""

    def __init__(self) -> None:
        self._requests: OrderedDict[UUID, dict[_Key, AnyFact]] = OrderedDict()
        self._of_number: dict[str, list[UUID]] = {}
        self._sends: OrderedDict[tuple[str, Category], list[datetime]] = OrderedDict()
        self._claims: OrderedDict[tuple[str, str], Claim] = OrderedDict()

    def add(self, facts: Iterable[AnyFact]) -> list[bool]:
        """Remember them; False for each that was remembered already. Kinds that nobody asks for pass by, as new."""
        return [self._add(fact) for fact in facts]

    def forget(self, facts: Iterable[AnyFact]) -> None:
        """They did not happen after all."""
        for fact in facts:
            match fact:
                case IdempotencyClaim():
                    self._claims.pop((fact.app, fact.idempotency_key), None)
                case Request():
                    self._drop(fact.id)
                case Attempt() | AttemptOutcome() | DeliveryReceipt() | Check() | Approval():
                    self._requests.get(fact.request_id, {}).pop((type(fact), fact.key), None)
                case _:
                    pass

    def state(self, request_id: UUID) -> RequestState | None:
        """What is remembered of one request."""
        facts = self._requests.get(request_id, {})
        request = facts.get((Request, (request_id,)))
        return assemble(request, facts.values()) if isinstance(request, Request) else None

    def receipt(self, like: DeliveryReceipt) -> DeliveryReceipt | None:
        """The receipt with the key of this one, whether or not its request is remembered."""
        held = self._requests.get(like.request_id, {}).get((DeliveryReceipt, like.key))
        return held if isinstance(held, DeliveryReceipt) else None

    def of_number(self, phone_hash: str) -> Sequence[RequestState]:
        """The requests to a number, in the order in which they were learned."""
        states = (self.state(request_id) for request_id in self._of_number.get(phone_hash, ()))
        return [state for state in states if state is not None]

    def sends_since(self, phone_hash: str, category: Category, since: datetime) -> list[datetime]:
        """When attempts of a category were made to a number, oldest first."""
        return [at for at in self._sends.get((phone_hash, category), ()) if at >= since]

    def claim(self, claim: IdempotencyClaim) -> Claim:
        """Take an Idempotency-Key, or learn who has it."""
        place = (claim.app, claim.idempotency_key)
        held = self._claims.get(place)
        if held is None:
            held = Claim(ours=False, holder=claim, answer=None)
            _keep(self._claims, place, held, CLAIMS_MAX)
        return Claim(ours=held.holder.request_id == claim.request_id, holder=held.holder, answer=held.answer)

    def held(self, claim: IdempotencyClaim) -> Claim | None:
        """Who has the key of `claim`, when it is somebody else."""
        held = self._claims.get((claim.app, claim.idempotency_key))
        return held if held is not None and held.holder.request_id != claim.request_id else None

    def _add(self, fact: AnyFact) -> bool:
        match fact:
            case Request() | Attempt() | AttemptOutcome() | DeliveryReceipt() | Check() | Approval():
                return self._add_to_request(fact)
            case IdempotencyClaim():
                self.claim(fact)
            case IdempotencyAnswer():
                self._answer(fact)
            case _:
                pass
        return True

    def _add_to_request(self, fact: _OfRequest) -> bool:
        request_id = fact.id if isinstance(fact, Request) else fact.request_id
        facts = self._requests.get(request_id)
        if facts is None:
            facts = self._requests[request_id] = {}
        key = (type(fact), fact.key)
        held = facts.get(key)
        if held is not None and not (isinstance(fact, DeliveryReceipt) and fact.at < held.at):
            return False
        facts[key] = fact  # of two receipts the earlier: one that waited for a store may be overtaken
        if isinstance(fact, Request):
            self._of_number.setdefault(fact.phone_hash, []).append(fact.id)
        if isinstance(fact, Attempt) and fact.was_asked_for:
            self._sent(fact)
        if len(self._requests) > REQUESTS_MAX:
            self._drop(next(iter(self._requests)))
        return True

    def _sent(self, attempt: Attempt) -> None:
        key = (attempt.phone_hash, attempt.category)
        sends = self._sends.get(key, [])
        insort(sends, attempt.at)
        recent = [at for at in sends[-_SENDS_KEPT:] if at > attempt.at - _DAY]
        _keep(self._sends, key, recent, NUMBERS_MAX)

    def _answer(self, answer: IdempotencyAnswer) -> None:
        place = (answer.app, answer.idempotency_key)
        if (held := self._claims.get(place)) is not None and held.answer is None:
            self._claims[place] = Claim(ours=False, holder=held.holder, answer=answer)

    def _drop(self, request_id: UUID) -> None:
        facts = self._requests.pop(request_id, {})
        request = facts.get((Request, (request_id,)))
        if not isinstance(request, Request):
            return
        left = [other for other in self._of_number.get(request.phone_hash, ()) if other != request_id]
        if left:
            self._of_number[request.phone_hash] = left
        else:
            self._of_number.pop(request.phone_hash, None)


def _keep(kept: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
