"""The tables of an empty database are made in a time of their own, however short the calls are kept."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import create_engine, text

from core.settings.servers import Store as StoreSettings
from service.stores.faults import StoreFault
from service.stores.sql import SqlStore
from tests.service.stores import facts


async def test_making_the_tables_may_take_longer_than_any_call(mariadb_database: str, mariadb_server):
    store = SqlStore(StoreSettings(url=mariadb_database, read_timeout_seconds=0.5))
    admin = create_engine(mariadb_server.admin_url)
    with admin.connect() as slow:
        slow.execute(text("FLUSH TABLES WITH READ LOCK"))  # nobody makes a table meanwhile
        preparing = asyncio.create_task(store.prepare())
        for _ in range(3):
            with pytest.raises(StoreFault):
                await store.write([facts.request()])
        slow.execute(text("UNLOCK TABLES"))
    await preparing
    await store.close()
    patient = SqlStore(StoreSettings(url=mariadb_database))
    await patient.probe()
    told = await patient.write([facts.request()])
    await patient.close()
    admin.dispose()

    assert told == [True]


async def test_a_table_that_is_missing_is_made_again_at_the_next_start(store_url: str):
    store = SqlStore(StoreSettings(url=store_url))
    await store.prepare()
    await store.close()
    engine = create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE checks"))
    engine.dispose()
    again = SqlStore(StoreSettings(url=store_url))
    await again.prepare()
    verdict = await again.check(facts.order(facts.request()))
    await again.close()

    assert verdict.check == 1
