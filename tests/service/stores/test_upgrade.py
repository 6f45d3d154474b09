"""Tables that an older version made: brought up to date at the first start, by one instance or by several at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import Connection, create_engine, inspect, make_url
from sqlalchemy.pool import NullPool

from core.migrating import migrations, split_statements
from core.settings.servers import Store as StoreSettings
from sandbox.versions import VERSION_1
from service.stores import schema
from service.stores.sql import SqlStore
from tests.service.stores import facts
from tests.service.stores.facts import NOW


def connected(url: str) -> Connection:
    return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect()


@pytest.fixture
def old_url(store_url: str) -> str:
    """A store as version 1 left it, with one attempt in it."""
    kind = "sqlite" if make_url(store_url).get_backend_name() == "sqlite" else "mariadb"
    with connected(store_url) as connection:
        for statement in split_statements((VERSION_1 / f"tables.{kind}.sql").read_text()):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(
            "INSERT INTO attempts (request_id, attempt, at, provider, cause, phone_hash) "
            "VALUES ('0123456789abcdef', 1, '2026-03-01 12:00:00.123456', 'aurora', 'first', 'the number')"
        )
    return store_url


def columns(url: str) -> dict[str, list[tuple[str, str, bool]]]:
    with connected(url) as connection:
        seen = inspect(connection)
        return {
            table: [(row["name"], str(row["type"]), row["nullable"]) for row in seen.get_columns(table)]
            for table in seen.get_table_names()
        }


async def test_what_was_there_counts_as_a_code_and_what_comes_by_its_category(old_url: str):
    store = SqlStore(StoreSettings(url=old_url))
    await store.prepare()
    request = facts.request(kind="message", category="notification", phone_hash="the number", expires_at=None)
    await store.write([request, facts.attempt(request)])
    since = NOW - timedelta(days=1)
    sends = {
        category: await store.sends_since(phone_hash="the number", category=category, since=since)
        for category in ("code", "notification", "marketing")
    }
    await store.close()

    assert sends == {"code": [NOW], "notification": [NOW + timedelta(seconds=1)], "marketing": []}


async def test_two_instances_that_start_at_once_bring_the_tables_up_to_date_together(old_url: str):
    stores = [SqlStore(StoreSettings(url=old_url)) for _ in range(2)]
    await asyncio.gather(*(store.prepare() for store in stores))
    requests = [facts.request() for _ in stores]
    pairs = zip(stores, requests, strict=True)
    told = await asyncio.gather(*(store.write([row, facts.attempt(row)]) for store, row in pairs))
    await asyncio.gather(*(store.close() for store in stores))

    assert told == [[True, True], [True, True]]


async def test_an_instance_of_the_older_version_that_still_runs_goes_on_writing(old_url: str):
    store = SqlStore(StoreSettings(url=old_url))
    await store.prepare()
    with connected(old_url) as older:
        older.exec_driver_sql(
            "INSERT INTO attempts (request_id, attempt, at, provider, cause, phone_hash) "
            "VALUES ('0123456789abcdef', 2, '2026-03-01 12:00:01.123456', 'aurora', 'resend', 'the number')"
        )
    sends = await store.sends_since(phone_hash="the number", category="code", since=NOW)
    await store.close()

    assert sends == [NOW, NOW + timedelta(seconds=1)]


async def test_tables_brought_up_to_date_are_those_that_are_made_anew(old_url: str, tmp_path, request):
    kind = request.node.callspec.params["store_url"]
    with connected(old_url) as connection:
        if kind == "mariadb":
            connection.exec_driver_sql("CREATE DATABASE IF NOT EXISTS fresh_tables CHARACTER SET utf8mb4")
    fresh = (
        f"sqlite:///{tmp_path / 'fresh.sqlite3'}"
        if kind == "sqlite"
        else make_url(old_url).set(database="fresh_tables").render_as_string(hide_password=False)
    )
    for url in (old_url, fresh):
        store = SqlStore(StoreSettings(url=url))
        await store.prepare()
        await store.close()

    assert columns(old_url) == columns(fresh)


async def test_a_start_after_the_upgrade_finds_nothing_to_do(old_url: str):
    for _ in range(2):
        store = SqlStore(StoreSettings(url=old_url))
        await store.prepare()
        await store.close()
    with connected(old_url) as connection:
        versions = connection.exec_driver_sql("SELECT version FROM schema_version ORDER BY version").scalars().all()

    assert list(versions) == [1, schema.VERSION]


def test_the_newest_migration_is_the_version_of_the_tables():
    assert max(number for number, _, _ in migrations("service.stores")) == schema.VERSION
