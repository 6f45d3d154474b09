"""The status object over twins: who is asked, what is journaled, and the way back."""

from __future__ import annotations

import pytest

from core.errors import StoreUnavailable
from service.facts import ApiKey, IdempotencyClaim, RequestState
from service.failover import STORE_FOLDER, Status
from service.failover.replay import verify
from service.stores.derive import assemble
from service.stores.faults import FactRefused, FaultClass, StoreFault
from service.stores.memory import MemoryStore
from tests.service.failover.twins import Make, Twins, fallen_over
from tests.service.stores import facts
from tests.service.stores.facts import NOW, new_hash, new_id, order
from tests.support.until import until


async def test_while_all_is_well_facts_go_to_the_primary_store_and_are_copied_to_the_backup(make: Make, twins: Twins):
    failover = await make()
    request = facts.request()
    told = await failover.write([request])
    await until(lambda: twins.backup.facts() == [request])

    assert told == [True]
    assert twins.kept() == [request]
    assert twins.journaled == 0
    assert failover.status is Status.HEALTHY


async def test_the_very_call_that_meets_a_fatal_error_is_served_and_journaled(make: Make, twins: Twins):
    failover = await make()
    request = facts.request()
    twins.primary.available = False
    told = await failover.write([request])

    assert told == [True]
    assert twins.backup.facts() == [request]
    assert twins.journaled > 0
    assert await failover.request(request.id) == RequestState(request=request)


async def test_a_few_fatal_errors_in_the_window_call_the_primary_store_down(make: Make, twins: Twins):
    failover = await make()
    twins.primary.available = False
    for _ in range(3):
        await failover.write([facts.request()])

    assert failover.status is Status.MYSQL_FATAL
    assert twins.changes == [(Status.HEALTHY, Status.MYSQL_FATAL)]


async def test_a_store_that_nobody_asks_again_is_found_down_by_probing(make: Make, twins: Twins):
    failover = await make()
    twins.primary.available = False
    await failover.write([facts.request()])
    await until(lambda: failover.status is Status.MYSQL_FATAL)


async def test_contention_is_served_by_the_backup_and_never_changes_the_status(make: Make, twins: Twins):
    failover = await make()
    twins.primary.available, twins.primary.fault = False, FaultClass.TRANSIENT
    for _ in range(10):
        await failover.write([facts.request()])

    assert failover.status is Status.HEALTHY


async def test_one_error_that_passes_is_drained_without_a_change_of_status(make: Make, twins: Twins):
    failover = await make(fatal_errors=100)
    request = facts.request()
    twins.primary.available = False
    await failover.write([request])
    twins.primary.available = True
    await until(lambda: twins.kept() == [request] and twins.journaled == 0)

    assert twins.changes == []


async def test_a_caller_s_mistake_is_told_to_the_caller_and_does_not_fail_over(make: Make, twins: Twins):
    class Picky(MemoryStore):
        async def write(self, _facts):
            raise FactRefused("too long")

    twins.primary = Picky()
    failover = await make()
    with pytest.raises(FactRefused):
        await failover.write([facts.request()])

    assert twins.journaled == 0
    assert failover.status is Status.HEALTHY


async def test_everything_a_sender_needs_works_while_the_primary_store_is_down(make: Make, twins: Twins):
    failover = await fallen_over(make, twins)
    request, number = facts.request(), new_hash()
    claim = IdempotencyClaim(app="shop", idempotency_key="k", at=NOW, fingerprint="f", request_id=new_id())
    await failover.write([request, facts.attempt(request), facts.opt_out(number)])

    assert (await failover.claim(claim)).ours
    assert await failover.living(app="shop", phone_hash=request.phone_hash, purpose="login", now=NOW) is not None
    assert len(await failover.sends_since(phone_hash=request.phone_hash, category="code", since=NOW)) == 1
    assert await failover.opted_out(number)
    assert (await failover.check(order(request, attempt=1))).result == "approved"
    assert (await failover.check(order(request, attempt=1))).result == "already_approved"


async def test_a_key_that_was_used_before_still_opens_while_the_primary_store_is_down(make: Make, twins: Twins):
    key = ApiKey(key_hash=new_hash(), at=NOW, app="shop", label="the shop", scopes="send")
    await twins.primary.write([key])  # made beside the service
    failover = await make()
    await failover.api_key(key.key_hash)
    await until(lambda: twins.backup.facts() == [key])
    twins.primary.available = False

    assert await failover.api_key(key.key_hash) == key


async def test_after_recovery_the_primary_store_has_everything_and_the_journal_is_empty(make: Make, twins: Twins):
    failover = await fallen_over(make, twins)
    request = facts.request()
    await failover.write([request, facts.attempt(request)])
    await failover.check(order(request))
    await failover.check(order(request, attempt=1))
    expected = await twins.backup.request(request.id)
    twins.primary.available = True
    await failover.recover()
    await until(lambda: failover.status is Status.HEALTHY)

    assert await twins.primary.request(request.id) == expected
    assert twins.journaled == 0
    assert [new for _, new in twins.changes] == [Status.MYSQL_FATAL, Status.RECOVERING, Status.HEALTHY]


async def test_a_store_that_looks_well_again_is_not_used_until_an_operator_says_so(make: Make, twins: Twins):
    failover = await fallen_over(make, twins, window_seconds=0.1)
    twins.primary.available = True
    await until(lambda: (Status.MYSQL_FATAL, Status.MYSQL_FATAL) in twins.changes)
    await failover.write([facts.request()])

    assert failover.status is Status.MYSQL_FATAL
    assert failover.view().looks_well_since is not None
    assert twins.kept() == []


async def test_with_automatic_recovery_nobody_has_to_say_so(make: Make, twins: Twins):
    failover = await fallen_over(make, twins, window_seconds=0.1, automatic_recovery=True)
    request = facts.request()
    await failover.write([request])
    twins.primary.available = True
    await until(lambda: failover.status is Status.HEALTHY)

    assert twins.kept() == [request]


async def test_recovery_is_refused_while_the_store_is_not_well(make: Make, twins: Twins):
    failover = await fallen_over(make, twins)
    with pytest.raises(StoreUnavailable):
        await failover.recover()

    assert failover.status is Status.MYSQL_FATAL


async def test_checks_counted_on_both_sides_together_are_never_more_than_allowed(make: Make, twins: Twins):
    failover = await make(fatal_errors=100)
    request = facts.request()
    await failover.write([request])
    told = [await failover.check(order(request)) for _ in range(2)]
    twins.primary.available = False
    told += [await failover.check(order(request)) for _ in range(2)]
    twins.primary.available = True
    told += [await failover.check(order(request)) for _ in range(2)]
    await until(lambda: twins.journaled == 0)
    state = await twins.primary.request(request.id)

    assert [verdict.check for verdict in told] == [1, 2, 3, 4, 5, 0]
    assert state is not None
    assert len(state.checks) == 5


async def test_until_the_journal_is_drained_both_stores_are_asked(make: Make, twins: Twins):
    class Contended(MemoryStore):
        """Answers, and takes no writes for now."""

        async def write(self, rows):
            if self.is_contended:
                raise StoreFault("a lock is held", fault=FaultClass.TRANSIENT)
            return await super().write(rows)

    twins.primary = Contended()
    twins.primary.is_contended = False
    failover = await make()
    before, during = facts.request(), facts.request()
    await failover.write([before])
    await until(lambda: len(twins.backup.facts()) == 1)
    await failover.set_mysql_fatal("a test said so")
    await failover.write([during, facts.attempt(during), facts.attempt(before)])
    twins.primary.is_contended = True
    await failover.recover()

    assert failover.status is Status.RECOVERING
    assert await failover.request(during.id) == assemble(during, [facts.attempt(during)])
    assert await failover.request(before.id) == assemble(before, [facts.attempt(before)])
    assert len(await failover.sends_since(phone_hash=before.phone_hash, category="code", since=NOW)) == 1
    assert await failover.living(app="shop", phone_hash=during.phone_hash, purpose="login", now=NOW) is not None

    twins.primary.is_contended = False
    await until(lambda: failover.status is Status.HEALTHY)

    assert len(twins.kept()) == 4


async def test_a_dead_backup_leaves_the_service_as_it_was(make: Make, twins: Twins):
    failover = await make()
    twins.backup.available = False
    await until(lambda: failover.status is Status.REDIS_FATAL)
    request = facts.request()

    assert await failover.write([request]) == [True]
    assert (await failover.check(order(request))).result == "wrong"
    assert twins.journaled == 0


async def test_a_backup_that_stays_well_is_used_again_by_itself(make: Make, twins: Twins):
    failover = await make(window_seconds=0.2)
    twins.backup.available = False
    await until(lambda: failover.status is Status.REDIS_FATAL)
    twins.backup.available = True
    await until(lambda: failover.status is Status.HEALTHY)


async def test_after_both_were_down_whichever_comes_first_is_used(make: Make, twins: Twins):
    failover = await fallen_over(make, twins)
    twins.backup.available = False
    await until(lambda: failover.status is Status.BOTH_FATAL)
    twins.primary.available = True
    await until(lambda: failover.status in (Status.RECOVERING, Status.REDIS_FATAL))
    request = facts.request()

    assert await failover.write([request]) == [True]
    assert request in twins.kept()


async def test_the_next_process_takes_up_the_status_and_the_journal(make: Make, twins: Twins):
    first = await fallen_over(make, twins)
    request = facts.request()
    await first.write([request])
    await first.close()
    twins.primary.available = True
    second = await make()

    assert second.status is Status.MYSQL_FATAL

    await second.recover()
    await until(lambda: second.status is Status.HEALTHY)

    assert twins.kept() == [request]


async def test_a_journal_that_is_damaged_keeps_the_recovery_open_and_says_so(make: Make, twins: Twins):
    failover = await fallen_over(make, twins)
    for _ in range(3):
        await failover.write([facts.request()])
    [path] = (twins.folder / STORE_FOLDER).glob("*.journal")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b"login", b"Login"), *lines[3:]]))
    twins.primary.available = True
    await failover.recover()
    await until(lambda: failover.view().problem != "")

    assert failover.status is Status.RECOVERING
    assert "record 2 is damaged" in failover.view().problem
    assert not verify(twins.folder / STORE_FOLDER).is_sound
