"""One instance is late to hear from the backup and another from the primary store: what is decided is decided once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.errors import MirrorUnavailable, StoreUnavailable
from service.facts import AnyFact, Approval, Check, IdempotencyClaim, Request
from service.failover import Failover, Status
from service.stores import Heard
from service.stores.faults import FaultClass, MirrorFault
from service.stores.memory import MemoryStore
from tests.service.failover.twins import Link, Make, Twins, has_looked
from tests.service.stores import facts
from tests.service.stores.facts import NOW, new_id, order
from tests.support.until import until


class ToBackup(Link):
    """May be asked, and takes no copies when told so."""

    takes_copies = True

    async def mirror(self, facts: Sequence[AnyFact]) -> None:
        if not self.takes_copies:
            raise MirrorFault("no copies now", fault=FaultClass.TRANSIENT)
        await super().mirror(facts)


class Crossed:
    """`cut` reaches the primary store over `to_primary`, `other` the backup over `to_backup`. What fails there is late or
    busy, which calls no store down."""

    def __init__(self, cut: Failover, other: Failover, to_primary: Link, to_backup: ToBackup, twins: Twins) -> None:
        self.cut, self.other, self.twins = cut, other, twins
        self.to_primary, self.to_backup = to_primary, to_backup

    async def sent(self) -> Request:
        """Known to both stores."""
        request = facts.request()
        await self.other.write([request, facts.attempt(request, 1)])
        await until(lambda: len(self.twins.backup.facts()) == 2)
        return request

    async def deafen(self) -> None:
        """`other` hears no more, and those who look can tell."""
        self.to_backup.available = False
        await until(lambda: self.other.view().journal in self.cut.view().deaf)

    @property
    def kept(self) -> list[Check]:
        return [fact for fact in self.twins.kept() if isinstance(fact, Check)]


@pytest.fixture
async def crossed(make: Make, twins: Twins, tmp_path: Path) -> Crossed:
    primary, backup = twins.primary, twins.backup
    twins.backup = to_backup = ToBackup(backup, as_mirror=True)
    other = await make(fatal_errors=1_000)
    twins.primary = to_primary = Link(primary)
    twins.backup = backup
    twins.folder = tmp_path / "of the other"
    cut = await make(fatal_errors=1_000)
    twins.primary = primary
    await has_looked(other, cut)
    to_primary.fault = to_backup.fault = FaultClass.TRANSIENT
    return Crossed(cut, other, to_primary, to_backup, twins)


async def test_whoever_loses_the_primary_store_decides_nothing_by_a_backup_that_another_does_not_hear(crossed: Crossed):
    request = await crossed.sent()
    await crossed.deafen()
    crossed.to_primary.available = False
    with pytest.raises(StoreUnavailable):
        await crossed.cut.check(order(request, attempt=1))
    told = (await crossed.other.check(order(request, attempt=1))).result

    assert told == "approved"
    assert [row.result for row in crossed.kept] == ["approved"]


async def test_it_does_once_the_other_hears_again(crossed: Crossed):
    request = await crossed.sent()
    await crossed.deafen()
    crossed.to_primary.available = False
    crossed.to_backup.available = True
    await until(lambda: not crossed.cut.view().deaf)
    told = [(await store.check(order(request, attempt=1))).result for store in (crossed.cut, crossed.other)]

    assert told == ["approved", "already_approved"]


async def test_it_does_once_the_primary_store_is_called_down(crossed: Crossed):
    request = await crossed.sent()
    await crossed.deafen()
    crossed.to_primary.available = False
    asking = asyncio.create_task(crossed.cut.check(order(request, attempt=1)))
    await crossed.cut.set_mysql_fatal("a test said so")

    assert (await asking).result == "approved"


async def test_nor_by_one_that_another_keeps_waiting_for_what_it_did(crossed: Crossed):
    crossed.to_backup.takes_copies = False
    request = facts.request()
    await crossed.other.write([request, facts.attempt(request, 1)])  # which the backup does not have
    await until(lambda: crossed.other.view().journal in crossed.cut.view().deaf)
    crossed.to_primary.available = False
    with pytest.raises(StoreUnavailable):
        await crossed.cut.check(order(request, attempt=1))
    crossed.to_backup.takes_copies = True
    await until(lambda: not crossed.cut.view().deaf)

    assert (await crossed.cut.check(order(request, attempt=1))).result == "approved"


async def test_an_instance_that_was_stopped_is_waited_for_by_nobody(crossed: Crossed):
    request = await crossed.sent()
    await crossed.other.close()
    crossed.to_primary.available = False

    assert (await crossed.cut.check(order(request, attempt=1))).result == "approved"
    assert crossed.cut.view().deaf == ()


async def test_whoever_knows_that_another_owes_decides_nothing_without_a_backup_that_is_late(crossed: Crossed):
    request = await crossed.sent()
    crossed.to_primary.available = False
    await crossed.cut.check(order(request, attempt=1))
    await until(lambda: bool(crossed.other.view().owed))
    crossed.to_backup.available = False
    with pytest.raises(MirrorUnavailable):
        await crossed.other.check(order(request, attempt=1, at=1))
    crossed.to_backup.available = True

    assert (await crossed.other.check(order(request, attempt=1, at=1))).result == "already_approved"


async def test_nor_takes_a_key_that_another_may_have_taken(crossed: Crossed):
    claims = [
        IdempotencyClaim(app="shop", idempotency_key="k", at=NOW, fingerprint="f", request_id=new_id())
        for _ in range(2)
    ]
    crossed.to_primary.available = False
    await crossed.cut.claim(claims[0])
    await until(lambda: bool(crossed.other.view().owed))
    crossed.to_backup.available = False
    with pytest.raises(MirrorUnavailable):
        await crossed.other.claim(claims[1])


async def test_it_decides_alone_once_the_backup_is_called_down_and_nobody_counts_on_it(crossed: Crossed):
    request = await crossed.sent()
    crossed.to_primary.available = False
    await crossed.cut.write([fresh := facts.request(), facts.attempt(fresh, 1)])
    await until(lambda: bool(crossed.other.view().owed))
    crossed.to_backup.available = False
    await crossed.other.set_redis_fatal("a test said so")
    told = (await crossed.other.check(order(request, attempt=1))).result

    assert told == "approved"
    with pytest.raises(StoreUnavailable):  # the other one has parted meanwhile
        await crossed.cut.check(order(request, attempt=1, at=1))
    assert crossed.cut.status is Status.HEALTHY
    assert len([fact for fact in crossed.twins.kept() if isinstance(fact, Approval)]) == 1


class Mute(MemoryStore):
    """Hears whoever asks, and while `mute` its answer is lost."""

    mute, asked = False, 0

    async def hear(self, journal: str, *, until: int) -> Heard:
        heard = await super().hear(journal, until=until)
        self.asked += 1
        if self.mute:
            raise MirrorFault("the answer was lost", fault=FaultClass.FATAL)
        return heard


async def test_whoever_asked_and_got_no_answer_has_not_heard(make: Make, twins: Twins):
    twins.backup = backup = Mute(as_mirror=True)
    journal = (await make(fatal_errors=1_000)).view().journal
    backup.mute, asked = True, backup.asked
    await until(lambda: backup.asked > asked)
    said = backup._hearers[journal]
    await until(lambda: backup.asked > asked + 3)
    said_in_vain = backup._hearers[journal]
    backup.mute = False
    await until(lambda: backup._hearers[journal] > said)

    assert said_in_vain == said
