"""Old facts are deleted once an hour by one instance."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.clock import ManualClock
from core.errors import StoreUnavailable
from service.facts import IdempotencyClaim
from service.purge import Purge
from service.stores.memory import MemoryStore
from tests.service.stores.facts import NOW, new_id
from tests.support.until import until


async def no_pause(_seconds: float) -> None:
    return


def purge_of(store: MemoryStore, clock: ManualClock) -> Purge:
    kept = {"claims_kept": timedelta(hours=24), "facts_kept": timedelta(days=400)}
    return Purge(store, clock=clock, sleep=no_pause, **kept)


async def test_one_instance_has_the_turn_of_an_hour_and_another_may_have_the_next():
    store, clock = MemoryStore(), ManualClock(NOW)
    one, other = purge_of(store, clock), purge_of(store, clock)
    claims = [
        IdempotencyClaim(app="shop", idempotency_key=str(number), at=NOW, fingerprint="f", request_id=new_id())
        for number in range(1200)
    ]
    await store.write(claims)
    clock.advance(seconds=25 * 3600)
    deleted = [await one.purge_if_due(), await other.purge_if_due(), await one.purge_if_due()]
    clock.advance(seconds=3600)

    assert deleted == [1200, 0, 0]
    assert await other.purge_if_due() == 0


async def test_a_store_that_does_not_answer_is_asked_again_in_the_same_hour():
    store, clock = MemoryStore(), ManualClock(NOW)
    purge = purge_of(store, clock)
    await store.write([IdempotencyClaim(app="shop", idempotency_key="k", at=NOW, fingerprint="f", request_id=new_id())])
    clock.advance(seconds=25 * 3600)
    store.available = False
    with pytest.raises(StoreUnavailable):
        await purge.purge_if_due()
    store.available = True

    assert await purge.purge_if_due() == 1


async def test_it_looks_again_whatever_a_look_comes_to():
    class Odd(MemoryStore):
        looks = 0

        async def claim(self, claim):
            self.looks += 1
            raise KeyError("nobody expected this")

    async def turn(_seconds: float) -> None:
        await asyncio.sleep(0)

    store = Odd()
    purge = Purge(
        store, claims_kept=timedelta(hours=1), facts_kept=timedelta(days=1), clock=ManualClock(NOW), sleep=turn
    )
    purge.start()
    await until(lambda: store.looks > 1)
    await purge.stop()
