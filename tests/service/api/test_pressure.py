"""Calls are refused early when there is no time for them, and taken again at once when there is. Strangers take few places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.api.pressure import LAG_MAX_SECONDS, Room
from tests.support.house import open_house
from tests.support.providers import a_number


def lagged(room: Room, *lags: float) -> int:
    for seconds in lags:
        room.note_lag(seconds)
    return room.allowed


def test_all_that_the_settings_allow_are_taken_while_the_event_loop_keeps_up():
    assert lagged(Room(1000), 0.0, LAG_MAX_SECONDS / 2, LAG_MAX_SECONDS) == 1000


def test_a_lag_leaves_less_room_the_longer_it_is_and_never_none():
    assert 1000 > lagged(Room(1000), 2 * LAG_MAX_SECONDS) > lagged(Room(1000), 3 * LAG_MAX_SECONDS)
    assert lagged(Room(1000), *[10.0] * 100) > 0
    assert lagged(Room(5), *[10.0] * 100) == 5


def test_the_room_is_whole_again_within_seconds_when_the_lag_is_over():
    room = Room(1000)
    lagged(room, *[10.0] * 100)

    assert lagged(room, *[0.0] * 100) == 1000


@pytest.mark.parametrize("kind", ["receipts", "inbound"])
async def test_pushes_that_do_not_come_leave_three_quarters_of_the_places_to_callers(tmp_path: Path, kind: str):
    begun, let_go = asyncio.Semaphore(0), asyncio.Event()

    async def slow_body() -> AsyncIterator[bytes]:
        begun.release()
        await let_go.wait()
        yield b"[]"

    async with open_house(tmp_path, api={"requests_waiting_max": 8}) as house:
        path = f"/v1/{kind}/route"
        slow = [asyncio.create_task(house.client.post(path, content=slow_body())) for _ in range(2)]
        for _ in slow:
            await begun.acquire()
        third = await house.client.post(path, content=b"[]")
        caller = await house.verify(a_number())
        let_go.set()
        answers = await asyncio.gather(*slow)
        after = await house.client.post(path, content=b"[]")

    assert (third.status_code, third.headers["Retry-After"]) == (503, "1")
    assert caller.status_code == 201
    assert {answer.status_code for answer in [*answers, after]} == {403}  # not signed


async def test_however_few_places_there_are_a_push_gets_one(tmp_path: Path):
    async with open_house(tmp_path, api={"requests_waiting_max": 1}) as house:
        body = b"[]"
        headers = house.providers["route"].sign(body)
        answer = await house.call("POST", "/v1/receipts/route", body, key="", headers=headers)

    assert answer.status_code == 200
