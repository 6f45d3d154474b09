"""Questions that take longer than any test, and how many of them an engine is on."""

from __future__ import annotations

from time import monotonic, sleep

from core.warehouse import Warehouse

SLOW = "SELECT sum(sleepEachRow(0.05)) FROM numbers(100000) SETTINGS max_block_size = 1"
_PATIENCE_SECONDS = 60


def running(warehouse: Warehouse, part: str = "sleepEachRow(0.05)") -> int:
    """How many questions that contain a text the server is on, this one left out."""
    ((number,),) = warehouse.query_rows(
        "SELECT count() FROM system.processes WHERE position(query, {part:String}) AND NOT position(query, 'system.processes')",
        {"part": part},
    )
    return int(number)


def wait_for_questions(warehouse: Warehouse, count: int, part: str = "sleepEachRow(0.05)") -> None:
    """Until the server is on so many."""
    deadline = monotonic() + _PATIENCE_SECONDS
    while (found := running(warehouse, part)) != count:
        assert monotonic() < deadline, f"{found} instead of {count} questions"
        sleep(0.05)
