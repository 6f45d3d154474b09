"""Whose word counts: the later one on the primary store, whatever became of the backup meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.clock import ManualClock, ManualTimer
from core.settings.servers import Failover as FailoverSettings
from service.failover import Status
from service.failover.note import Note
from service.failover.state import State
from service.stores.faults import FaultClass, StoreFault
from tests.service.stores.facts import NOW


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def state(clock: ManualClock, tmp_path: Path) -> State:
    return State(FailoverSettings(), folder=tmp_path, clock=clock, timer=ManualTimer(), on_notice=lambda _notice: None)


def word(status: Status, since: datetime) -> Note:
    return Note(status=status, since=since, reason="they say so", by="another", renewed_at=since)


def test_a_word_that_was_given_while_the_backup_was_away_from_here_is_still_followed(state: State, clock: ManualClock):
    state.backup_fatal("no connection from here")
    clock.advance(seconds=5)
    given = clock()
    clock.advance(seconds=5)
    state.backup_well()
    state.follow(word(Status.MYSQL_FATAL, given), is_stale=False)

    assert state.status is Status.MYSQL_FATAL


def test_an_outage_found_here_is_later_than_every_word_heard_even_when_the_clock_is_slow(state: State):
    recovered = word(Status.RECOVERING, NOW + timedelta(seconds=30))
    state.follow(recovered, is_stale=True)
    state.primary_fatal("it does not answer")
    state.follow(recovered, is_stale=True)

    assert state.status is Status.MYSQL_FATAL


def fail_after(state: State, word: Callable[[], None]) -> None:
    """A call during which a word is given, and which fails then."""
    with suppress(StoreFault), state.primary_counted():
        word()
        raise StoreFault("the store did not answer in time", fault=FaultClass.FATAL)


def test_a_call_that_began_before_the_way_back_and_fails_after_it_does_not_count(state: State):
    state.primary_fatal("it does not answer")
    fail_after(state, lambda: state.recover("an operator said so"))

    assert not state.primary_window.is_suspicious


def test_a_call_that_began_after_the_way_back_counts(state: State):
    state.primary_fatal("it does not answer")
    state.recover("an operator said so")
    fail_after(state, lambda: None)

    assert state.primary_window.is_suspicious
