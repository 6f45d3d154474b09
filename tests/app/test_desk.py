"""The desk: one question for all who wait, kept while it is fresh, given up with the last of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

import pytest

from app.desk import Desk
from core import warehouse as door
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from tests.app.conftest import until
from tests.support.questions import SLOW, running, wait_for_questions

KEY = ("question", ("about this",))
_PATIENCE_SECONDS = 30


class LeftError(Exception):
    """The reader has left."""


class Reader:
    """Waits at the desk until told to leave."""

    def __init__(self) -> None:
        self._leaves = threading.Event()
        self.waits = threading.Event()

    def leave(self) -> None:
        self._leaves.set()

    def stay(self) -> None:
        self.waits.set()
        if self._leaves.is_set():
            raise LeftError


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def slow(warehouse: Warehouse, warehouse_settings: WarehouseSettings) -> Iterator[Callable[[], object]]:
    """A question over a read-only connection that takes longer than the test."""
    reader = door.connect(warehouse_settings, readonly=True)
    yield lambda: reader.query_rows(SLOW)
    reader.close()


def stays() -> None:
    pass


def ask(threads: ThreadPoolExecutor, desk: Desk, work: Callable[[], object], reader: Reader) -> Future[object]:
    asked = threads.submit(desk.ask, KEY, work, keep_seconds=60, stay=reader.stay)
    assert reader.waits.wait(_PATIENCE_SECONDS)
    return asked


def test_an_answer_is_kept_while_it_is_fresh() -> None:
    now, numbers = [0.0], count()
    desk = Desk(clock=lambda: now[0])

    def number() -> int:
        return desk.ask(KEY, lambda: next(numbers), keep_seconds=60, stay=stays)

    found = [number()]
    for moment in (59.9, 60.0, 119.9, 120.0):
        now[0] = moment
        found.append(number())

    assert found == [0, 0, 1, 1, 2]


def test_what_is_forgotten_is_asked_again() -> None:
    desk, numbers = Desk(), count()
    for name in ("one", "other"):
        desk.ask((name, ()), lambda: next(numbers), keep_seconds=60, stay=stays)
    desk.forget("one")

    found = [desk.ask((name, ()), lambda: next(numbers), keep_seconds=60, stay=stays) for name in ("one", "other")]

    assert found == [2, 1]


def test_all_can_be_forgotten() -> None:
    desk, numbers = Desk(), count()
    for name in ("one", "other"):
        desk.ask((name, ()), lambda: next(numbers), keep_seconds=60, stay=stays)
    desk.forget_all()

    found = [desk.ask((name, ()), lambda: next(numbers), keep_seconds=60, stay=stays) for name in ("one", "other")]

    assert found == [2, 3]


def test_an_error_is_told_and_never_kept() -> None:
    desk = Desk()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        desk.ask(KEY, fail, keep_seconds=60, stay=stays)

    assert desk.ask(KEY, lambda: "well", keep_seconds=60, stay=stays) == "well"


def test_a_question_is_given_up_when_its_reader_leaves(
    warehouse: Warehouse, slow: Callable[[], object], threads: ThreadPoolExecutor
) -> None:
    reader = Reader()
    asked = ask(threads, Desk(), slow, reader)
    wait_for_questions(warehouse, 1)

    reader.leave()

    with pytest.raises(LeftError):
        asked.result()
    wait_for_questions(warehouse, 0)


def test_a_question_that_two_wait_for_is_asked_once_and_given_up_with_the_second(
    warehouse: Warehouse, slow: Callable[[], object], threads: ThreadPoolExecutor
) -> None:
    desk, one, other = Desk(), Reader(), Reader()
    asked = [ask(threads, desk, slow, reader) for reader in (one, other)]
    wait_for_questions(warehouse, 1)

    one.leave()
    with pytest.raises(LeftError):
        asked[0].result()
    assert running(warehouse) == 1

    other.leave()
    with pytest.raises(LeftError):
        asked[1].result()
    wait_for_questions(warehouse, 0)


def test_who_asks_after_a_question_was_given_up_gets_an_answer(threads: ThreadPoolExecutor) -> None:
    desk, reader, ends = Desk(), Reader(), threading.Event()
    asked = ask(threads, desk, ends.wait, reader)
    reader.leave()
    with pytest.raises(LeftError):
        asked.result()

    assert desk.ask(KEY, lambda: "anew", keep_seconds=60, stay=stays) == "anew"
    ends.set()


def test_what_is_asked_early_is_asked_once_and_given_up_when_nobody_wants_it(
    warehouse: Warehouse, slow: Callable[[], object]
) -> None:
    desk, numbers = Desk(), count()
    with desk.early(KEY, lambda: next(numbers), keep_seconds=60):
        assert desk.ask(KEY, lambda: next(numbers), keep_seconds=60, stay=stays) == 0

    with desk.early(("other", ()), slow, keep_seconds=60):
        wait_for_questions(warehouse, 1)
    wait_for_questions(warehouse, 0)


def test_so_many_are_on_their_way_and_no_more(threads: ThreadPoolExecutor) -> None:
    desk, ends, began = Desk(at_once=2), threading.Event(), []

    def work(number: int) -> None:
        began.append(number)
        ends.wait()

    readers = [Reader() for _ in range(3)]
    asked = [
        threads.submit(
            desk.ask, ("question", number), lambda number=number: work(number), keep_seconds=60, stay=one.stay
        )
        for number, one in enumerate(readers)
    ]
    for one in readers:
        assert one.waits.wait(_PATIENCE_SECONDS)
    until(lambda: len(began) == 2, what=lambda: f"{began}")

    ends.set()
    for one in asked:
        one.result()
    assert sorted(began) == [0, 1, 2]
