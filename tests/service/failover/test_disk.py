"""The journal of the stores on a disk that fails, and beside another process that drains it."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.clock import utc_now
from core.errors import BadInput, JournalWriteFailed, StoreUnavailable
from core.hooks import Hooks
from core.journal import JournalFile
from core.settings.servers import Journal as JournalSettings
from service.facts import AnyFact
from service.failover import STORE_FOLDER, Status
from service.failover.journaling import Recorder
from service.stores.memory import MemoryStore
from tests.service.failover.twins import Make, Twins, fallen_over
from tests.service.stores import facts
from tests.service.stores.facts import order
from tests.support.until import until


class Disk:
    """A disk that fails while `broken`, and does not take a second sync of a file that failed."""

    def __init__(self) -> None:
        self.broken = False
        self.failed: set[str] = set()

    def sync(self, descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        assert name not in self.failed
        if self.broken:
            self.failed.add(name)
            raise OSError(errno.EIO, "Input/output error")


async def test_without_a_durable_record_a_call_is_refused_and_later_ones_are_served(make: Make, twins: Twins):
    disk = Disk()
    failover = await fallen_over(make, twins, hooks=Hooks(sync=disk.sync))
    before, during, after = facts.request(), facts.request(), facts.request()
    await failover.write([before])
    disk.broken = True
    with pytest.raises(StoreUnavailable):
        await failover.write([during])
    with pytest.raises(StoreUnavailable):
        await failover.check(order(before))
    disk.broken = False
    await failover.write([after])
    twins.primary.available = True
    await failover.recover()
    await until(lambda: failover.status is Status.HEALTHY)

    assert {before, after} <= set(twins.primary.facts())
    assert disk.failed


@pytest.mark.parametrize("disk_is_mended", [True, False], ids=["by the disk", "by the primary store"])
async def test_the_outcome_of_a_message_that_is_out_is_kept_once_anything_takes_it(
    make: Make, twins: Twins, *, disk_is_mended: bool
):
    disk = Disk()
    failover = await fallen_over(make, twins, hooks=Hooks(sync=disk.sync))
    request = facts.request()
    await failover.write([request, facts.attempt(request)])
    disk.broken = True
    with pytest.raises(StoreUnavailable):
        await failover.write([facts.outcome(request)])
    disk.broken = not disk_is_mended
    if disk_is_mended:
        await until(lambda: b"outcomes" in b"".join(path.read_bytes() for path in twins.folder.rglob("*.journal")))
    twins.primary.available = True
    await failover.recover()
    await until(lambda: failover.status is Status.HEALTHY)

    assert facts.outcome(request) in twins.primary.facts()


class PickyStore(MemoryStore):
    """Refuses one fact, as a database does when a column cannot hold it."""

    def __init__(self, refused: AnyFact) -> None:
        super().__init__()
        self._refused = refused

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        if self._refused in facts:
            raise BadInput("a column cannot hold it", hint="a test said so")
        return await super().write(facts)


async def test_an_outcome_that_the_primary_store_refuses_costs_its_neighbours_nothing(make: Make, twins: Twins):
    disk = Disk()
    before, refused, after = facts.request(), facts.request(), facts.request()
    twins.primary = PickyStore(facts.outcome(refused))
    failover = await fallen_over(make, twins, hooks=Hooks(sync=disk.sync))
    for request in (before, refused, after):
        await failover.write([request, facts.attempt(request)])
    disk.broken = True
    for request in (before, refused, after):
        with pytest.raises(StoreUnavailable):
            await failover.write([facts.outcome(request)])
    twins.primary.available = True
    await failover.recover()
    await until(lambda: failover.status is Status.HEALTHY)

    kept = twins.primary.facts()
    assert {facts.outcome(before), facts.outcome(after)} <= set(kept)
    assert facts.outcome(refused) not in kept


async def test_an_outcome_that_no_disk_took_is_journaled_at_the_end_of_the_process(make: Make, twins: Twins):
    disk = Disk()
    failover = await fallen_over(make, twins, hooks=Hooks(sync=disk.sync), probe_seconds=60.0)
    request = facts.request()
    disk.broken = True
    with pytest.raises(StoreUnavailable):
        await failover.write([facts.outcome(request)])
    disk.broken = False
    await failover.close()

    assert b"outcomes" in b"".join(path.read_bytes() for path in twins.folder.rglob("*.journal"))


async def test_an_approval_that_could_not_be_journaled_is_journaled_before_anybody_is_told_of_it(
    make: Make, twins: Twins
):
    disk = Disk()
    failover = await fallen_over(make, twins, hooks=Hooks(sync=disk.sync))
    request = facts.request()
    await failover.write([request, facts.attempt(request)])
    disk.broken = True
    with pytest.raises(StoreUnavailable):
        await failover.check(order(request, attempt=1))
    disk.broken = False
    verdict = await failover.check(order(request, attempt=1, at=1))
    twins.primary.available = True
    await failover.recover()
    await until(lambda: failover.status is Status.HEALTHY)
    state = await twins.primary.request(request.id)

    assert verdict.result == "already_approved"
    assert [(check.check, check.result) for check in state.checks] == [(1, "approved")]
    assert state.approval is not None


async def test_a_journal_that_another_process_replays_is_not_taken_for_drained(make: Make, twins: Twins):
    failover = await fallen_over(make, twins)
    request = facts.request()
    await failover.write([request])
    await failover.close()
    [path] = (twins.folder / STORE_FOLDER).glob("*.journal")
    twins.primary.available = True
    with JournalFile(path).held():  # and it dies without having written anything
        successor = await make()
        await successor.recover()
        await until(lambda: successor.status is Status.RECOVERING)
        merged = await successor.request(request.id)
        while_held = twins.primary.facts()
    await until(lambda: successor.status is Status.HEALTHY)

    assert merged is not None
    assert while_held == []
    assert twins.primary.facts() == [request]


async def test_a_disk_that_hangs_is_answered_for_like_one_that_fails(tmp_path: Path):
    well = threading.Event()
    hooks = Hooks(sync=lambda _descriptor: well.wait() and None)
    settings = JournalSettings(folder=tmp_path)
    recorder = Recorder(settings, tmp_path, clock=utc_now, hooks=hooks, sync_seconds_max=0.1)
    try:
        with pytest.raises(JournalWriteFailed) as told:
            await recorder.record([facts.request()])
    finally:
        well.set()
        recorder.close()

    assert str(tmp_path) in told.value.hint
