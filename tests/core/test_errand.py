"""Work that is given up: its questions end on the server's side, are not asked again, and nobody else's are touched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from core import warehouse as door
from core.errand import Errand
from core.errors import GivenUp
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from tests.support.questions import SLOW, running, wait_for_questions


@pytest.fixture
def reader(warehouse: Warehouse, warehouse_settings: WarehouseSettings) -> Iterator[Warehouse]:
    opened = door.connect(warehouse_settings, readonly=True)
    yield opened
    opened.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def begin(threads: ThreadPoolExecutor, errand: Errand, reader: Warehouse) -> Future[object]:
    return threads.submit(errand.run, lambda: reader.query_rows(SLOW))


def test_a_question_that_is_given_up_ends_on_the_servers_side_and_is_not_asked_again(
    warehouse: Warehouse, reader: Warehouse, threads: ThreadPoolExecutor
) -> None:
    errand = Errand()
    asked = begin(threads, errand, reader)
    wait_for_questions(warehouse, 1)

    errand.give_up()

    with pytest.raises(GivenUp):  # asked again it would go on
        asked.result()
    wait_for_questions(warehouse, 0)


def test_an_errand_that_was_given_up_asks_nothing_more(warehouse: Warehouse, reader: Warehouse) -> None:
    errand = Errand()
    errand.give_up()

    with pytest.raises(GivenUp):
        errand.run(lambda: reader.query_rows("SELECT 1"))


def test_the_questions_of_others_go_on(warehouse: Warehouse, reader: Warehouse, threads: ThreadPoolExecutor) -> None:
    errand, other = Errand(), Errand()
    asked, kept = begin(threads, errand, reader), begin(threads, other, reader)
    wait_for_questions(warehouse, 2)

    errand.give_up()

    with pytest.raises(GivenUp):
        asked.result()
    wait_for_questions(warehouse, 1)
    assert not kept.done()
    other.give_up()
    assert isinstance(kept.exception(), GivenUp)


def test_a_connection_that_was_handed_on_is_not_shut(
    warehouse: Warehouse, reader: Warehouse, threads: ThreadPoolExecutor
) -> None:
    errand, other = Errand(), Errand()
    assert errand.run(lambda: reader.query_rows("SELECT 1")) == [(1,)]
    kept = begin(threads, other, reader)  # on the one connection there is
    wait_for_questions(warehouse, 1)

    errand.give_up()

    assert running(warehouse) == 1
    assert not kept.done()
    other.give_up()
    assert isinstance(kept.exception(), GivenUp)


def test_all_threads_of_an_errand_end_with_it(
    warehouse: Warehouse, reader: Warehouse, threads: ThreadPoolExecutor
) -> None:
    errand = Errand()
    asked = [begin(threads, errand, reader) for _ in range(3)]
    wait_for_questions(warehouse, 3)

    errand.give_up()

    assert [type(one.exception()) for one in asked] == [GivenUp] * 3
    wait_for_questions(warehouse, 0)


def test_what_goes_wrong_by_itself_is_told_as_it_is(reader: Warehouse) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Errand().run(fail)


def test_a_thread_without_an_errand_asks_as_ever(reader: Warehouse) -> None:
    answered = threading.Event()
    threading.Thread(target=lambda: reader.query_rows("SELECT 1") and answered.set()).start()

    assert answered.wait(30)
