"""Several instances agree on the store that serves, whatever some of them missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.facts import RequestState
from service.failover import Status
from service.failover.note import decode_note
from tests.service.failover.twins import Make, Twins
from tests.service.stores import facts
from tests.support.until import until

QUIET = timedelta(seconds=1)
"""After so long at the pace of these probes nobody replays any more."""


async def test_an_instance_follows_the_others_over_and_back(make: Make, twins: Twins, tmp_path: Path):
    one = await make()
    twins.folder = tmp_path / "of the other"
    other = await make()
    await one.set_mysql_fatal("the network between us")
    await until(lambda: other.status is Status.MYSQL_FATAL)
    request = facts.request()
    await other.write([request])

    assert await one.request(request.id) == RequestState(request=request)

    await one.recover()
    await until(lambda: {one.status, other.status} == {Status.HEALTHY})

    assert twins.kept() == [request]


async def test_an_instance_that_slept_through_the_recovery_follows_when_it_wakes(
    make: Make, twins: Twins, tmp_path: Path
):
    one = await make()
    twins.folder = tmp_path / "of the other"
    other = await make()
    await one.set_mysql_fatal("the network between us")
    await until(lambda: other.status is Status.MYSQL_FATAL)
    await other.close()
    await one.recover()
    await until(lambda: one.status is Status.HEALTHY)
    await until(lambda: is_quiet(twins))
    woken = await make()

    await until(lambda: woken.status is Status.HEALTHY)
    assert one.status is Status.HEALTHY


async def test_a_recovery_that_the_backup_could_not_carry_is_told_when_it_is_back(
    make: Make, twins: Twins, tmp_path: Path
):
    one = await make(fatal_errors=1, window_seconds=0.1)
    twins.primary.available = False
    await one.set_mysql_fatal("a test said so")
    twins.backup.available = False
    await until(lambda: one.status is Status.BOTH_FATAL)
    twins.primary.available = True
    await until(lambda: one.status is Status.REDIS_FATAL)
    twins.backup.available = True
    await until(lambda: one.status is Status.HEALTHY)
    twins.folder = tmp_path / "of the other"
    other = await make()

    assert other.status is Status.HEALTHY


def is_quiet(twins: Twins) -> bool:
    note = decode_note(twins.backup._note)
    return note is not None and datetime.now(UTC) - note.renewed_at > QUIET
