"""Whoever may lead back is let in during an outage, though he never called before; whoever may not any more is not."""

from __future__ import annotations

from core.clock import ManualTimer, utc_now
from service.facts import ApiKey, ApiKeyRevocation
from service.failover import STORE_FOLDER
from service.failover.known_keys import FILE
from service.failover.operators import LOOK_SECONDS, Operators
from service.stores.memory import MemoryStore
from tests.service.failover.twins import Make, Twins
from tests.service.stores.facts import NOW
from tests.support.until import until


def key(name: str, scopes: str) -> ApiKey:
    return ApiKey(key_hash=name * 64, at=NOW, app="operations", label=name, scopes=scopes)


OPERATOR, SENDER, ENDED = key("a", "operate,read"), key("b", "send"), key("c", "operate")


async def test_a_key_that_was_never_used_is_known_while_no_store_can_be_asked(make: Make, twins: Twins):
    await twins.primary.write([OPERATOR, SENDER, ENDED, ApiKeyRevocation(key_hash=ENDED.key_hash, at=NOW)])
    failover = await make()
    await until((twins.folder / STORE_FOLDER / FILE).exists)
    twins.primary.available = twins.backup.available = False

    assert await failover.api_key(OPERATOR.key_hash) == OPERATOR


async def test_it_is_known_to_a_process_that_starts_while_the_stores_are_down(make: Make, twins: Twins):
    await twins.primary.write([OPERATOR])
    before = await make()
    await until((twins.folder / STORE_FOLDER / FILE).exists)
    await before.close()
    twins.primary.available = twins.backup.available = False
    after = await make()

    assert await after.api_key(OPERATOR.key_hash) == OPERATOR


async def test_keys_are_looked_at_again_and_one_that_was_ended_is_told_so():
    told: list[tuple[str, ApiKey | None]] = []
    primary, timer = MemoryStore(), ManualTimer()
    operators = Operators(
        primary, on_key=lambda key_hash, found: told.append((key_hash, found)), clock=utc_now, timer=timer
    )
    await primary.write([OPERATOR, SENDER])
    await operators.look()
    await primary.write([ApiKeyRevocation(key_hash=OPERATOR.key_hash, at=NOW)])
    await operators.look()

    assert told == [(OPERATOR.key_hash, OPERATOR)]

    timer.advance(seconds=LOOK_SECONDS)
    await operators.look()

    assert told[1:] == [(OPERATOR.key_hash, None)]
