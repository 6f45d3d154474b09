"""What a killed process had kept and perhaps not told is told again by the next one, and checks that got another number."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from prometheus_client import CollectorRegistry

from core.clock import ManualTimer
from core.errors import JournalWriteFailed
from core.events import Event, Receipt, Send, Verify
from core.ids import uuid7_from
from service.aftermath import FILE, Aftermath, Span
from service.dispatch import send_event
from service.facts import AnyFact, Request, RequestState
from service.stores.memory import MemoryStore
from service.telemetry import Telemetry
from service.verifications import verify_event
from tests.service.stores import facts
from tests.service.stores.facts import NOW
from tests.support.until import until


class Stores(MemoryStore):
    """A store that knows all, until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.knows_all = True
        self.in_doubt: set[UUID] = set()


class Life:
    """Processes one after the other on a folder; what each of them told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.now = folder, Stores(), NOW
        self.timer = ManualTimer()
        self.told: list[Event] = []
        self.refuses = False
        self.registry = CollectorRegistry()

    @property
    def unreadable(self) -> float | None:
        """How many rows the process of now could not read."""
        return self.registry.get_sample_value("heliograph_store_rows_unreadable_total")

    def process(self) -> Aftermath:
        self.registry = CollectorRegistry()
        return Aftermath(
            self.folder,
            self.store,
            tell=self._tell,
            clock=lambda: self.now,
            telemetry=Telemetry(self.registry),
            timer=self.timer,
        )

    async def _tell(self, events: Sequence[Event]) -> None:
        if self.refuses:
            raise JournalWriteFailed("a test said so")
        self.told += events

    async def killed(self) -> None:
        """A process that lives for a moment and is killed."""
        process = self.process()
        process.take_up()
        await process.look()

    async def next(self) -> Aftermath:
        """The process after it, when it has looked once."""
        self.now += timedelta(seconds=5)
        process = self.process()
        process.take_up()
        await process.look()
        return process


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


def begun_at(at: datetime) -> Request:
    return facts.request(id=uuid7_from(at, facts.new_hash()), at=at)


def finished(request: Request) -> list[AnyFact]:
    check = facts.check(request, 1, at=request.at + timedelta(seconds=2), attempt=1, result="approved")
    return [request, facts.attempt(request), facts.outcome(request, at=request.at + timedelta(seconds=1)), check]


async def test_outcomes_and_checks_of_the_last_seconds_before_a_kill_are_told_again(life: Life):
    request = begun_at(NOW - timedelta(seconds=5))
    await life.store.write(finished(request))
    await life.killed()
    await life.next()
    state = await life.store.request(request.id)

    assert life.told == [
        send_event(request, state.attempts[0], state.outcomes[0]),
        verify_event(state, 1, 1, "approved", state.checks[0].at),
    ]


async def test_a_check_of_a_request_of_long_ago_is_among_them(life: Life):
    request = begun_at(NOW - timedelta(minutes=50))
    await life.store.write([request, facts.attempt(request), facts.check(request, 1, at=NOW)])
    await life.killed()
    await life.next()

    assert [(type(event), event.at) for event in life.told] == [(Verify, NOW)]


async def test_what_is_older_than_the_last_seconds_is_not_told_again(life: Life):
    await life.store.write(finished(begun_at(NOW - timedelta(minutes=2))))
    await life.killed()
    await life.next()

    assert life.told == []


async def test_after_a_good_end_nothing_is_told_again(life: Life):
    await life.store.write(finished(begun_at(NOW)))
    process = life.process()
    process.start()
    await process.stop()
    await life.next()

    assert life.told == []


async def test_calls_that_were_cut_off_at_the_end_are_told_again(life: Life):
    await life.store.write(finished(begun_at(NOW)))
    process = life.process()
    process.start()
    await process.stop(all_told=False)
    await life.next()

    assert {type(event) for event in life.told} == {Send, Verify}


async def test_it_waits_until_the_journals_are_drained_through_a_second_kill_and_a_good_end(life: Life):
    request = begun_at(NOW)
    life.store.knows_all = False
    await life.killed()
    await life.next()  # killed as well
    ended = life.process()
    ended.start()
    await ended.stop()
    await life.store.write(finished(request))  # replayed
    life.store.knows_all = True
    await life.next()

    assert {type(event) for event in life.told} == {Send, Verify}
    assert {event.request_id for event in life.told} == {request.id}


async def test_what_could_not_be_told_is_told_later(life: Life):
    await life.store.write(finished(begun_at(NOW)))
    await life.killed()
    life.refuses = True
    with pytest.raises(JournalWriteFailed):
        await life.next()
    life.refuses = False
    await life.next()

    assert {type(event) for event in life.told} == {Send, Verify}


async def test_all_checks_of_a_request_are_told_again_when_one_got_another_number(life: Life):
    request = begun_at(NOW - timedelta(minutes=3))
    await life.store.write([*finished(request), facts.check(request, 2)])
    life.store.in_doubt.add(request.id)
    await life.killed()

    assert [event.check for event in life.told if isinstance(event, Verify)] == [1, 2]
    assert life.store.in_doubt == set()


async def test_so_are_its_receipts_for_one_that_was_told_of_with_another_time(life: Life):
    request = begun_at(NOW - timedelta(minutes=3))
    receipt = facts.receipt(request)
    await life.store.write([*finished(request), receipt])
    life.store.in_doubt.add(request.id)
    await life.killed()

    assert [event.at for event in life.told if isinstance(event, Receipt)] == [receipt.at]


async def test_they_are_told_once_more_for_what_was_committed_late(life: Life):
    request = begun_at(NOW - timedelta(minutes=3))
    life.store.in_doubt.add(request.id)
    process = life.process()
    process.take_up()
    await process.look()
    await life.store.write(finished(request))
    for _ in range(8):
        life.timer.advance(seconds=10)
        await process.look()

    assert [event.check for event in life.told if isinstance(event, Verify)] == [1]


async def test_what_is_still_to_be_told_once_more_when_a_process_ends_is_told_by_the_next(life: Life):
    request = begun_at(NOW - timedelta(seconds=20))
    life.store.in_doubt.add(request.id)
    process = life.process()
    process.start()
    await until(lambda: not life.store.in_doubt)
    await process.stop()
    await life.store.write(finished(request))
    await life.next()

    assert [event.check for event in life.told if isinstance(event, Verify)] == [1]


async def test_a_sign_of_life_that_cannot_be_read_stops_no_start(life: Life):
    (life.folder / FILE).write_bytes(b"\0\0")
    await life.next()

    assert life.told == []


async def test_it_goes_on_whatever_a_look_comes_to(life: Life):
    class Odd(Stores):
        asked = 0

        async def request(self, request_id):
            self.asked += 1
            if self.asked == 1:
                raise KeyError("nobody expected this")
            return await super().request(request_id)

    life.store = Odd()
    request = begun_at(NOW)
    await life.store.write(finished(request))
    life.store.in_doubt.add(request.id)
    process = life.process()
    process.start()
    await until(lambda: bool(life.told))
    await process.stop()


class Worn(Stores):
    """A store in which the rows of some requests cannot be read, and fail whoever is asked for together with them."""

    def __init__(self, *unreadable: UUID, whole_slices: bool = False) -> None:
        super().__init__()
        self.unreadable, self._whole_slices = set(unreadable), whole_slices
        self._in_hand: set[UUID] = set()

    async def request(self, request_id: UUID) -> RequestState | None:
        self._in_hand.add(request_id)
        await asyncio.sleep(0)  # those who ask meanwhile share a transaction
        try:
            if self._in_hand & self.unreadable:
                raise ValueError("badly formed hexadecimal UUID string")
            return await super().request(request_id)
        finally:
            await asyncio.sleep(0)
            self._in_hand.discard(request_id)

    async def made_between(self, *, begun: Span, made: Span) -> list[AnyFact]:
        found = await super().made_between(begun=begun, made=made)
        if self._whole_slices and self.unreadable & {fact.request_id for fact in found}:
            raise ValueError("Invalid isoformat string")
        return found


@pytest.mark.parametrize("whole_slices", [False, True], ids=["a request", "a slice"])
async def test_a_request_that_cannot_be_read_costs_no_neighbour_and_is_told_by_a_process_that_can(
    life: Life, *, whole_slices: bool
):
    before, worn, after = (begun_at(NOW - timedelta(seconds=n)) for n in (4, 3, 2))
    life.store = store = Worn(worn.id, whole_slices=whole_slices)
    for request in (before, worn, after):
        await store.write(finished(request))
    await life.killed()
    with structlog.testing.capture_logs() as logs:
        process = await life.next()
        await process.look()
    told, counted = {event.request_id for event in life.told}, life.unreadable
    store.unreadable.clear()
    await life.next()

    assert told == {before.id, after.id}
    assert counted == 1
    assert [line["log_level"] for line in logs if "cannot be read" in line["event"]] == ["error"]
    assert {event.request_id for event in life.told} == {before.id, worn.id, after.id}


async def test_nor_do_checks_that_got_another_number_wait_for_one_that_cannot_be_read(life: Life):
    worn, well = (begun_at(NOW - timedelta(minutes=3)) for _ in range(2))
    life.store = store = Worn(worn.id)
    for request in (worn, well):
        await store.write(finished(request))
        store.in_doubt.add(request.id)
    process = life.process()
    process.take_up()
    await process.look()

    assert [event.request_id for event in life.told] == [well.id]
    assert store.in_doubt == set()
    assert life.unreadable == 1


async def test_a_store_that_reads_nothing_at_all_is_waited_for(life: Life):
    class Lost(Stores):
        async def made_between(self, *, begun: Span, made: Span) -> list[AnyFact]:
            raise KeyError("no row is to blame")

    await life.killed()
    life.store = Lost()
    with pytest.raises(KeyError):
        await life.next()

    assert life.unreadable == 0


async def test_of_many_rows_that_cannot_be_read_not_each_is_looked_for(life: Life):
    worn = [begun_at(NOW - timedelta(milliseconds=7 * n)) for n in range(200)]
    well = begun_at(NOW - timedelta(seconds=15))
    life.store = Worn(*(request.id for request in worn), whole_slices=True)
    for request in (*worn, well):
        await life.store.write(finished(request))
    await life.killed()
    await life.next()

    assert {event.request_id for event in life.told} == {well.id}
    assert 20 <= life.unreadable <= 40
