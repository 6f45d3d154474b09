"""Numbers and codes are found wherever they may lie, and what only looks like one is not taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from sandbox.chaos import leaks as module
from sandbox.chaos.leaks import Secrets, leaks, leaks_in_warehouse
from tests.metrics.story import Request, tell
from tests.support.providers import a_number

CODE = "0471193652"


@pytest.fixture
def number() -> str:
    return a_number().lstrip("+")


@pytest.mark.parametrize("place", ["a.log", "journal/b.journal", "nats/deep/c.blk"])
def test_a_number_in_a_file_is_found_and_named_by_its_place(tmp_path: Path, place: str, number: str):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff\x00 before" + number.encode() + b"after \x00")
    (tmp_path / "innocent.log").write_text("nothing here")

    assert leaks(tmp_path, Secrets({number, CODE})) == [place]


def test_a_code_that_stands_alone_is_found_and_one_inside_a_longer_figure_is_not():
    secrets = Secrets({CODE})

    assert secrets.are_in(f'{{"text":"Your code: {CODE}"}}'.encode())
    assert not secrets.are_in(f"17{CODE}99".encode())


def test_a_number_is_found_among_other_digits(number: str):
    assert Secrets({number}).are_in(f"00{number}".encode())


def test_a_secret_across_two_parts_of_a_large_file_is_found(tmp_path: Path, number: str):
    gap = module.CHUNK_BYTES - len(number) // 2
    (tmp_path / "large").write_bytes(b"x" * gap + number.encode() + b"x" * 100)

    assert leaks(tmp_path, Secrets({number})) == ["large"]


def test_a_number_in_a_table_of_the_warehouse_is_found(
    warehouse: Warehouse, warehouse_settings: WarehouseSettings, number: str
):
    request = Request("one", seconds=0.0)
    request.sent("accepted", error_code=f"refused {number}")
    tell(warehouse, request.events)

    assert leaks_in_warehouse(warehouse_settings, Secrets({number}))[:1] == ["table attempts of the warehouse"]
