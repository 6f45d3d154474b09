"""What the backup did not get in time it gets later: it must know what was used before it has to answer for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.clock import ManualClock
from service.facts import ApiKey
from service.failover import Status
from service.stores.memory import MemoryStore
from tests.service.failover.twins import Make, Twins
from tests.service.stores import facts
from tests.service.stores.facts import NOW, new_hash, order
from tests.support.until import until


async def test_a_code_that_was_used_while_the_backup_was_away_is_not_accepted_again_by_it(make: Make, twins: Twins):
    failover = await make(fatal_errors=1, window_seconds=0.1)
    request = facts.request()
    await failover.write([request, facts.attempt(request)])
    await until(lambda: len(twins.backup.facts()) == 2)
    twins.backup.available = False
    await until(lambda: failover.status is Status.REDIS_FATAL)
    first = await failover.check(order(request, attempt=1))
    twins.backup.available = True
    await until(lambda: failover.status is Status.HEALTHY)
    await until(lambda: len(twins.backup.facts()) == 4)
    twins.primary.available = False
    second = await failover.check(order(request, attempt=1))

    assert [first.result, second.result] == ["approved", "already_approved"]


async def test_a_copy_that_failed_is_made_again(make: Make, twins: Twins):
    class Counting(MemoryStore):
        tries = 0

        async def mirror(self, rows):
            self.tries += 1
            await super().mirror(rows)

    twins.backup = Counting(as_mirror=True)
    failover = await make(fatal_errors=1000)
    twins.backup.available = False
    request = facts.request()
    await failover.write([request])
    await until(lambda: twins.backup.tries > 0)
    twins.backup.available = True
    await until(lambda: twins.backup.facts() == [request])

    assert failover.view().copies_dropped == 0


async def test_a_key_in_use_comes_back_to_a_backup_that_forgot_it(make: Make, twins: Twins):
    clock = ManualClock(NOW)
    key = ApiKey(key_hash=new_hash(), at=NOW, app="shop", label="the shop", scopes="send")
    await twins.primary.write([key])
    failover = await make(clock=clock)
    await failover.api_key(key.key_hash)
    await until(lambda: twins.backup.facts() == [key])
    twins.backup._facts.clear()  # a server that keeps nothing on disk, started again; or a week went by
    clock.advance(seconds=60)
    await failover.api_key(key.key_hash)
    await until(lambda: twins.backup.facts() == [key])
    twins.primary.available = False

    assert await failover.api_key(key.key_hash) == key


async def test_a_backup_that_lost_its_data_is_filled_from_the_primary_store(make: Make, twins: Twins):
    failover = await make()
    request = facts.request(at=datetime.now(UTC), expires_at=datetime.now(UTC) + timedelta(minutes=10))
    known = [request, facts.attempt(request), facts.check(request, 1), facts.opt_out(request.phone_hash)]
    await failover.write(known)
    await until(lambda: len(twins.backup.facts()) == len(known))
    twins.backup.lose_all()
    await until(lambda: set(known) <= set(twins.backup.facts()))
    twins.primary.available = False

    assert await failover.opted_out(request.phone_hash)
    assert (await failover.check(order(request))).check == 2


async def test_a_copy_that_fails_as_nobody_expected_keeps_no_other_from_being_made(make: Make, twins: Twins):
    class Odd(MemoryStore):
        async def mirror(self, rows):
            if any(isinstance(row, ApiKey) for row in rows):
                raise KeyError("nobody expected this")
            await super().mirror(rows)

    twins.backup = Odd(as_mirror=True)
    failover = await make()
    key = ApiKey(key_hash=new_hash(), at=NOW, app="shop", label="the shop", scopes="send")
    await failover.write([key])
    await until(lambda: failover.view().copies_dropped == 1)
    request = facts.request()
    await failover.write([request])
    await until(lambda: twins.backup.facts() == [request])
