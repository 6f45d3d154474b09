"""The store without a store: what can be answered when neither MySQL nor Redis can be asked.

Codes are derived, so they can be sent and checked all the same; guesses, the cool-down and sends are limited by what this
instance remembers. Every write is journaled durably before it is answered. What cannot be known is `Unknowable`, never
guessed: whether a subscriber said STOP, or a key that this instance has not seen.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from random import randrange
from uuid import UUID

import msgspec

from core.clock import Clock
from core.errors import Overloaded
from core.events import Category
from core.ids import time_of
from service.facts import AnyFact, ApiKey, DeliveryReceipt, IdempotencyClaim, Request, RequestState
from service.failover.known_keys import KnownKeys
from service.failover.presumption import Presumption
from service.failover.recent import REQUESTS_MAX, Recent
from service.stores import Candidate, CheckOrder, CheckSubject, CheckVerdict, Claim, Earlier, SendSubject
from service.stores.derive import (
    as_standing,
    earlier_by_parts,
    facts_of_verdict,
    is_living,
    known_candidates,
    newest,
    next_verdict,
)
from service.stores.faults import Unknowable

TALLIES_MAX = 200_000
"""Verifications with a check; 40 MB when full. Then checks are refused: to forget a count would free the guesses."""
_GIVEN_MAX = 200_000
_KEPT = timedelta(hours=2)  # the longest lifetime is one: after it no check of it can approve
CHECKS_FROM = 512
"""Checks that were counted without a store have numbers from here on; a store counts to 20 at most."""
_CHECKS_A_VERIFICATION = 32


class _Tally(msgspec.Struct):
    counted: int
    approved: bool


class StatelessStore:
    """A `Store`. `record` makes facts durable, `probe` finds out whether it could; `recent` is what this instance has seen, in healthy times too.

    `outage` is when both stores were lost, None while they are not; `maker` is the number that this instance has at a
    time among those whose codes can be checked by number elsewhere, None when it has none.
    """

    def __init__(
        self,
        *,
        record: Callable[[Sequence[AnyFact]], Awaitable[None]],
        probe: Callable[[], Awaitable[None]],
        recent: Recent,
        keys: KnownKeys,
        presumption: Presumption,
        outage: Callable[[], datetime | None],
        maker: Callable[[datetime], int | None],
        clock: Clock,
    ) -> None:
        self._record, self._probe_journal = record, probe
        self._recent = recent
        self._keys = keys
        self._presumption = presumption
        self._clock = clock
        self._outage = outage
        self._maker = maker
        self._started_at = clock()
        self._begun: OrderedDict[UUID, datetime] = OrderedDict()
        self._given: OrderedDict[UUID, None] = OrderedDict()
        self._tallies: dict[UUID, _Tally] = {}
        # Two instances, and this one before a restart, must not give their checks the same number: it is the fact's key.
        self._first_check = randrange(CHECKS_FROM, 65_000, _CHECKS_A_VERIFICATION)

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        kept = [self._standing(fact) if isinstance(fact, DeliveryReceipt) else fact for fact in facts]
        told = self._recent.add(kept)
        self._note_begun(facts)
        new = [fact for fact, is_new in zip(kept, told, strict=True) if is_new]
        try:
            await self._record(new)
        except BaseException:
            self._recent.forget(new)
            raise
        return [is_new and fact is given for fact, given, is_new in zip(kept, facts, told, strict=True)]

    def _standing(self, receipt: DeliveryReceipt) -> DeliveryReceipt:
        """What is told of its attempt: what this instance told of before, though this one came in earlier and waited for a store."""
        held = self._recent.receipt(receipt)
        return as_standing(held, receipt) if held is not None and held.status != receipt.status else receipt

    async def request(self, request_id: UUID) -> RequestState | None:
        state = self._recent.state(request_id)
        if state is None:
            raise Unknowable("a request that this instance did not see of late")
        return state

    async def brief(self, request_id: UUID) -> RequestState | None:
        return await self.request(request_id)

    async def living(self, *, app: str, phone_hash: str, purpose: str, now: datetime) -> RequestState | None:
        """The newest that is remembered; closed unless only this instance can have added to it."""
        states = (row for row in self._recent.of_number(phone_hash) if row.request.app == app)
        found = newest(row for row in states if row.request.purpose == purpose and is_living(row, now))
        if found is None or self._is_ours_alone(found.request.id):
            return found
        return msgspec.structs.replace(found, closed=True)

    def id_for(self, *, app: str, phone_hash: str, purpose: str, fresh: UUID) -> UUID:
        """One that other instances can work out from the number, where that is possible without giving it twice."""
        now = self._clock()
        begins = self._presumption.begins(now)
        maker = self._maker(now)
        if maker is None or self._outage() is None:
            return fresh
        if begins < self._started_at or self._maker(begins) != maker:
            return fresh  # the process before this one, or another with this number, may have given it in this window
        derived = self._presumption.id_of_number(
            app=app, phone_hash=phone_hash, purpose=purpose, begins=begins, maker=maker
        )
        if derived in self._given or (len(self._given) >= _GIVEN_MAX and self._recycle(begins) >= _GIVEN_MAX):
            return fresh
        self._given[derived] = None
        return derived

    async def candidates(self, subject: CheckSubject) -> Sequence[Candidate]:
        """What is remembered and what follows from the subject, of each verification once."""
        known: Sequence[Candidate] = ()
        with suppress(Unknowable):
            known = await known_candidates(self, subject)
            if subject.request_id is not None and not known:
                return ()  # it is remembered, and another app's
        presumed = {row.request_id: row for row in self._presumption.candidates(subject)}
        return [*(_together(row, presumed.pop(row.request_id, None)) for row in known), *presumed.values()]

    async def sends_since(self, *, phone_hash: str, category: Category, since: datetime) -> list[datetime]:
        return self._recent.sends_since(phone_hash, category, since)

    async def earlier(self, subject: SendSubject) -> Earlier:
        return await earlier_by_parts(self, subject)

    async def opted_out(self, phone_hash: str) -> bool:
        raise Unknowable("whether a subscriber opted out")

    async def check(self, order: CheckOrder) -> CheckVerdict:
        verdict = self.count(order)
        facts = facts_of_verdict(order, verdict)
        try:
            await self._record(facts)
        except BaseException:
            if verdict.result == "approved":  # nobody was told, so it may be approved yet; the guess stays counted
                self._tallies[order.request_id].approved = False
            raise
        self._recent.add(facts)
        return verdict

    def count(self, order: CheckOrder) -> CheckVerdict:
        """Count a check before anyone learns how it ended."""
        tallies = [self._tally(request_id) for request_id in (order.request_id, *order.beside)]
        counted = max(tally.counted for tally in tallies)
        last = self._first_check + counted - 1
        verdict = next_verdict(order, counted=counted, last=last, approved=tallies[0].approved)
        if verdict.check:
            for tally in tallies:
                tally.counted += 1  # the code was compared with each of them
            tallies[0].counted = counted + 1
            tallies[0].approved = verdict.result == "approved"
        return verdict

    async def claim(self, claim: IdempotencyClaim) -> Claim:
        taken = self._recent.claim(claim)
        if taken.ours and taken.answer is None:
            try:
                await self._record([claim])
            except BaseException:
                self._recent.forget([claim])
                raise
        return taken

    async def api_key(self, key_hash: str) -> ApiKey | None:
        key = self._keys.get(key_hash)
        if key is None:
            raise Unknowable("an API key that this instance has not seen")
        return key

    async def probe(self) -> None:
        await self._probe_journal()

    async def close(self) -> None:
        """Nothing waits here."""

    def _is_ours_alone(self, request_id: UUID) -> bool:
        outage = self._outage()
        return outage is not None and self._begun.get(request_id) == outage

    def _note_begun(self, facts: Sequence[AnyFact]) -> None:
        outage = self._outage()
        if outage is None:
            return
        for fact in facts:
            if isinstance(fact, Request):
                self._begun[fact.id] = outage
        while len(self._begun) > REQUESTS_MAX:
            self._begun.popitem(last=False)

    def _recycle(self, begins: datetime) -> int:
        """Let go of the ids of windows that are over; returns how many stay."""
        while self._given and time_of(next(iter(self._given))) < begins:
            self._given.popitem(last=False)
        return len(self._given)

    def _tally(self, request_id: UUID) -> _Tally:
        tally = self._tallies.get(request_id)
        if tally is None:
            self._make_room()
            tally = self._tallies[request_id] = _Tally(0, False)
        state = self._recent.state(request_id)
        if state is not None:  # a store may have counted since
            tally.counted = max(tally.counted, len(state.checks))
            tally.approved |= state.approval is not None
        return tally

    def _make_room(self) -> None:
        if len(self._tallies) < TALLIES_MAX:
            return
        dead = self._clock() - _KEPT
        self._tallies = {key: tally for key, tally in self._tallies.items() if time_of(key) > dead}
        if len(self._tallies) >= TALLIES_MAX:
            raise Overloaded("more codes are checked than can be counted without a store", retry_after_seconds=30)


def _together(known: Candidate, presumed: Candidate | None) -> Candidate:
    """Another instance may have sent again: its attempts are presumed beside those that are remembered."""
    if presumed is None:
        return known
    attempts = sorted({*known.attempts, *presumed.attempts})
    return msgspec.structs.replace(known, attempts=tuple(attempts))
