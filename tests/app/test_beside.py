"""Questions beside others: at once up to a bound, on the errand of the answer that they are for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from app.data.beside import AT_ONCE, beside
from core import warehouse as door
from core.errand import Errand
from core.errors import GivenUp, WarehouseRefused
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from tests.support.questions import SLOW, wait_for_questions


@pytest.fixture
def reader(warehouse: Warehouse, warehouse_settings: WarehouseSettings) -> Iterator[Warehouse]:
    opened = door.connect(warehouse_settings, readonly=True)
    yield opened
    opened.close()


def test_so_many_are_asked_at_once(reader: Warehouse) -> None:
    together = threading.Barrier(AT_ONCE)

    def ask(number: int) -> int:
        together.wait(30)
        return int(reader.query_rows("SELECT {number:UInt8}", {"number": number})[0][0])

    asked = [beside(ask, number) for number in range(2 * AT_ONCE)]

    assert [one.result() for one in asked] == list(range(2 * AT_ONCE))


def test_what_went_wrong_is_told_where_the_answer_is_wanted(reader: Warehouse) -> None:
    asked = beside(reader.query_rows, "SELECT nothing FROM nowhere")

    with pytest.raises(WarehouseRefused):
        asked.result()


def test_they_end_with_the_errand_they_are_on(warehouse: Warehouse, reader: Warehouse) -> None:
    errand = Errand()
    asked = errand.run(lambda: [beside(reader.query_rows, SLOW) for _ in range(2)])
    wait_for_questions(warehouse, 2)

    errand.give_up()

    assert [type(one.exception()) for one in asked] == [GivenUp] * 2
    wait_for_questions(warehouse, 0)


def test_none_waits_for_another_while_it_holds_a_turn() -> None:
    asked = beside(lambda: beside(int))

    with pytest.raises(RuntimeError):
        asked.result()
