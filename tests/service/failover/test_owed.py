"""A journal that is not drained is owed, whoever was killed with it, until it is drained or written off."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadInput
from service.failover import Failover, Status
from tests.service.failover.twins import Make, Twins
from tests.service.stores import facts
from tests.service.stores.facts import order
from tests.support.until import until


@pytest.fixture
async def left(make: Make, twins: Twins, tmp_path: Path) -> Failover:
    """The instance that lives. Another was ended with a journal that is not drained, in `tmp_path / killed`."""
    twins.folder = tmp_path / "killed"
    killed = await make()
    twins.folder = tmp_path / "left"
    lives = await make()
    twins.primary.available = False
    await killed.set_mysql_fatal("a test said so")
    request = facts.request()
    await killed.write([request, facts.attempt(request, 1)])
    await until(lambda: lives.status is Status.MYSQL_FATAL)
    await killed.close()
    twins.primary.available = True
    await lives.recover()
    return lives


async def test_the_others_ask_both_stores_until_it_is_drained(left: Failover, make: Make, twins: Twins, tmp_path: Path):
    [request] = [fact for fact in twins.backup.facts() if fact.__struct_config__.tag == "request"]
    await until(lambda: bool(left.view().owed) and twins.journaled == 0)

    assert left.status is Status.RECOVERING
    assert (await left.check(order(request, attempt=1))).result == "approved"

    twins.folder = tmp_path / "killed"
    again = await make()
    await until(lambda: {left.status, again.status} == {Status.HEALTHY})

    assert left.view().owed == ()
    assert request in twins.kept()


async def test_a_backup_that_lost_its_data_is_told_again(left: Failover, twins: Twins):
    await until(lambda: bool(left.view().owed))
    owed = left.view().owed
    twins.backup.lose_all()
    await until(lambda: any(order is not None for order in twins.backup._owed.values()))

    assert left.view().owed == owed


async def test_an_operator_may_write_it_off(left: Failover):
    await until(lambda: bool(left.view().owed))
    with pytest.raises(BadInput):
        await left.write_off("no such journal")
    await left.write_off(left.view().owed[0])
    await until(lambda: left.status is Status.HEALTHY)
