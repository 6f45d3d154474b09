"""One instance is cut off from the primary store and the other is not: what is decided is decided once."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.facts import Approval, Attempt, Check, IdempotencyClaim, Request
from service.failover import Failover, Status
from tests.service.failover.twins import Link, Make, Twins, has_looked
from tests.service.stores import facts
from tests.service.stores.facts import NOW, new_id, order
from tests.support.until import until


class Pair:
    """`cut` has lost the primary store and has not called it down yet; `well` still serves from it."""

    def __init__(self, cut: Failover, well: Failover, twins: Twins) -> None:
        self.cut, self.well, self.twins = cut, well, twins

    async def sent(self) -> Request:
        request = facts.request()
        await self.well.write([request, facts.attempt(request, 1)])
        await until(lambda: len(self.twins.backup.facts()) == 2)
        return request

    def kept(self, kind: type) -> list:
        return [fact for fact in self.twins.kept() if isinstance(fact, kind)]


@pytest.fixture
async def pair(make: Make, twins: Twins, tmp_path: Path) -> Pair:
    shared = twins.primary
    well = await make(fatal_errors=1_000)
    twins.folder = tmp_path / "of the other"
    twins.primary = link = Link(shared)
    cut = await make(fatal_errors=1_000)
    twins.primary = shared
    await has_looked(well, cut)
    link.available = False
    assert well.status is cut.status is Status.HEALTHY
    return Pair(cut, well, twins)


@pytest.mark.parametrize("first", ["cut", "well"])
async def test_a_verification_is_approved_once(pair: Pair, first: str):
    request = await pair.sent()
    one, other = (pair.cut, pair.well) if first == "cut" else (pair.well, pair.cut)
    told = [(await store.check(order(request, attempt=1, at=at))).result for at, store in enumerate((one, other))]

    assert told == ["approved", "already_approved"]


async def test_checks_are_counted_over_both_stores(pair: Pair):
    request = await pair.sent()
    told = []
    for at in range(4):
        for store in (pair.cut, pair.well):
            told.append((await store.check(order(request, at=at))).result)

    assert told == ["wrong"] * 5 + ["too_many"] * 3


async def test_what_was_sent_through_one_is_known_to_the_other(pair: Pair):
    request = facts.request()
    await pair.cut.write([request, facts.attempt(request, 1)])
    state = await pair.well.request(request.id)

    assert state is not None
    assert [row.attempt for row in state.attempts] == [1]
    assert (await pair.well.check(order(request, attempt=1))).result == "approved"


async def test_an_attempt_has_its_number_once(pair: Pair):
    request = await pair.sent()
    first = await pair.cut.write([facts.attempt(request, 2, provider="aurora")])
    second = await pair.well.write([facts.attempt(request, 2, provider="beacon")])

    assert (first, second) == ([True], [False])
    assert [row.provider for row in pair.kept(Attempt) if row.attempt == 2] == ["aurora"]


async def test_an_idempotency_key_is_taken_once(pair: Pair):
    claims = [
        IdempotencyClaim(app="shop", idempotency_key="k", at=NOW, fingerprint="f", request_id=new_id())
        for _ in range(2)
    ]
    assert (await pair.cut.claim(claims[0])).ours

    assert (await pair.well.claim(claims[1])).holder == claims[0]


async def test_afterwards_the_primary_store_has_every_check_once(pair: Pair):
    request = await pair.sent()
    for at in range(2):
        for store in (pair.cut, pair.well):
            await store.check(order(request, at=at))
    await pair.cut.check(order(request, attempt=1, at=9))
    pair.cut._primary.available = True  # type: ignore[attr-defined]  # the link is healed
    await until(lambda: pair.twins.journaled == 0 and not pair.well.view().owed)

    assert sorted((row.check, row.result) for row in pair.kept(Check)) == [
        *((number, "wrong") for number in range(1, 5)),
        (5, "approved"),
    ]
    assert len(pair.kept(Approval)) == 1
