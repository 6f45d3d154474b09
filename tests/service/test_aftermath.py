"""What a killed process had kept and perhaps not told is told again by the next one, and checks that got another number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from core.clock import ManualTimer
from core.errors import JournalWriteFailed
from core.events import Event, Send, Verify
from core.ids import uuid7_from
from service.aftermath import FILE, Aftermath
from service.dispatch import send_event
from service.facts import AnyFact, Request
from service.stores.memory import MemoryStore
from service.verifications import verify_event
from tests.service.stores import facts
from tests.service.stores.facts import NOW
from tests.support.until import until


class Stores(MemoryStore):
    """A store that knows all, until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.knows_all = True
        self.checks_to_tell: set[UUID] = set()


class Life:
    """Processes one after the other on a folder; what each of them told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.now = folder, Stores(), NOW
        self.timer = ManualTimer()
        self.told: list[Event] = []
        self.refuses = False

    def process(self) -> Aftermath:
        return Aftermath(self.folder, self.store, tell=self._tell, clock=lambda: self.now, timer=self.timer)

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
    life.store.checks_to_tell.add(request.id)
    await life.killed()

    assert [event.check for event in life.told if isinstance(event, Verify)] == [1, 2]
    assert life.store.checks_to_tell == set()


async def test_they_are_told_once_more_for_what_was_committed_late(life: Life):
    request = begun_at(NOW - timedelta(minutes=3))
    life.store.checks_to_tell.add(request.id)
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
    life.store.checks_to_tell.add(request.id)
    process = life.process()
    process.start()
    await until(lambda: not life.store.checks_to_tell)
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
    life.store.checks_to_tell.add(request.id)
    process = life.process()
    process.start()
    await until(lambda: bool(life.told))
    await process.stop()
