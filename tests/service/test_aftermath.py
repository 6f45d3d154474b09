"""What a killed process had told the queue's journal and not written into the store is written by the next one."""

from __future__ import annotations

from pathlib import Path

from core.events import Send, encode_lines
from core.journal import Journal
from service.aftermath import keep_outcomes, outcome_of
from service.stores.memory import MemoryStore
from tests.service.stores import facts


def left_behind(folder: Path, sends: list[Send]) -> None:
    journal = Journal(folder, file_bytes_max=1 << 20, total_bytes_max=1 << 30)
    for send in sends:
        journal.append(encode_lines([send]).splitlines())
        journal.rotate()


def send_of(request, attempt: int = 1) -> Send:
    return Send(
        at=request.at,
        request_id=request.id,
        attempt=attempt,
        category="code",
        cause="first",
        outcome="accepted",
        latency_ms=41,
        segments=2,
    )


async def test_an_outcome_that_was_told_and_not_written_is_written(tmp_path: Path):
    store, request = MemoryStore(), facts.request()
    await store.write([request, facts.attempt(request)])
    left_behind(tmp_path, [send_of(request)])
    counts = [await keep_outcomes(tmp_path, store) for _ in range(2)]
    state = await store.request(request.id)

    assert counts == [1, 0]
    assert state is not None
    assert state.outcomes == (outcome_of(send_of(request)),)
    assert (state.outcomes[0].outcome, state.outcomes[0].segments) == ("accepted", 2)


async def test_an_outcome_that_is_there_keeps_the_providers_reference(tmp_path: Path):
    store, request = MemoryStore(), facts.request()
    await store.write([request, facts.attempt(request), facts.outcome(request)])
    left_behind(tmp_path, [send_of(request)])
    count = await keep_outcomes(tmp_path, store)
    state = await store.request(request.id)

    assert count == 0
    assert state is not None
    assert state.outcomes == (facts.outcome(request),)


async def test_an_event_without_its_attempt_makes_no_outcome(tmp_path: Path):
    store, request = MemoryStore(), facts.request()
    await store.write([request])
    left_behind(tmp_path, [send_of(request), send_of(facts.request())])

    assert await keep_outcomes(tmp_path, store) == 0


async def test_a_store_that_is_down_stops_no_start(tmp_path: Path):
    store = MemoryStore()
    store.available = False
    left_behind(tmp_path, [send_of(facts.request())])

    assert await keep_outcomes(tmp_path, store) == 0
