"""A call waits for a slow store once, not once a question; a store that is quick is asked as often as it takes."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from core.settings.servers import Store as StoreSettings
from service.stores import patience
from service.stores.faults import StoreLate
from service.stores.sql import SqlStore
from tests.service.stores import facts

TIMEOUT_SECONDS = 0.4


@pytest.fixture
async def slow(tmp_path: Path):
    """A store whose writes wait for somebody who holds the lock."""
    path = tmp_path / "store.sqlite3"
    store = SqlStore(StoreSettings(url=f"sqlite:///{path}", read_timeout_seconds=TIMEOUT_SECONDS))
    await store.prepare()
    holder = sqlite3.connect(path)
    holder.execute("BEGIN IMMEDIATE")
    yield store
    holder.close()
    await store.close()


async def test_the_second_question_of_a_call_does_not_wait_again(slow: SqlStore):
    with patience.counted():
        for _ in range(2):
            with pytest.raises(Exception, match="store"):
                await slow.write([facts.request()])
        waited = patience.waited()

    assert waited is not None
    assert waited.seconds < 2 * TIMEOUT_SECONDS + 0.25


async def test_what_is_left_of_the_time_may_be_nothing(slow: SqlStore):
    with patience.counted():
        waiting = asyncio.ensure_future(slow.write([facts.request()]))
        waited = patience.waited()
        assert waited is not None
        await asyncio.gather(waiting, return_exceptions=True)
        waited.seconds = 60.0
        with pytest.raises(StoreLate):
            await slow.write([facts.request()])
        with patience.uncounted():
            assert await slow.request(facts.new_id()) is None


async def test_a_store_that_is_quick_is_asked_however_long_the_call_has_waited(tmp_path: Path):
    store = SqlStore(StoreSettings(url=f"sqlite:///{tmp_path / 'store.sqlite3'}", read_timeout_seconds=30))
    await store.prepare()
    with patience.counted():
        waited = patience.waited()
        assert waited is not None
        waited.seconds = 60.0
        told = await store.write([facts.request()])
    await store.close()

    assert told == [True]
