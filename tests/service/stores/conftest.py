"""Every store behind one fixture: the same tests run over all of them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from core.settings.servers import Failover as FailoverSettings
from core.settings.servers import Journal as JournalSettings
from core.settings.servers import Mirror as MirrorSettings
from core.settings.servers import Store as StoreSettings
from sandbox.servers import Server, start_redis, start_valkey
from service.failover import Failover
from service.stores import Store
from service.stores.memory import MemoryStore
from service.stores.redis import RedisStore
from service.stores.sql import SqlStore
from tests.service.failover.twins import PRESUMPTION
from tests.support.servers import require_server

SQL = ["sqlite", "mariadb"]
SERVERS = {"valkey": "valkey_server", "redis": "redis_server"}
FAILOVERS = ["failover", "failover on its backup", "failover without a store"]
ALL = ["memory", *SQL, *SERVERS, *FAILOVERS]
KEEPING = ALL[:-1]
"""Those that can be asked for all they were given: without a store an instance says of much that it cannot know."""


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    require_server("redis-server")
    server = start_redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


def fresh_database(server: Server) -> str:
    """The address of a new, empty database on `server`, for its admin."""
    name = f"t{secrets.token_hex(6)}"
    engine = sqlalchemy.create_engine(server.admin_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    url = sqlalchemy.make_url(server.admin_url).set(database=name)
    return url.render_as_string(hide_password=False)


def store_settings(kind: str, folder: Path, request: pytest.FixtureRequest) -> StoreSettings:
    url = (
        f"sqlite:///{folder / 'store.sqlite3'}"
        if kind == "sqlite"
        else fresh_database(request.getfixturevalue("mariadb_server"))
    )
    return StoreSettings(url=url)


@pytest.fixture(params=KEEPING)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = await store_of(request, tmp_path)
    yield made
    await made.close()


@pytest.fixture(params=["memory", *SQL, *SERVERS])
async def own_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Those that keep facts of their own: without the failover between them."""
    made = await store_of(request, tmp_path)
    yield made
    await made.close()


@pytest.fixture(params=ALL)
async def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = await store_of(request, tmp_path)
    yield made
    await made.close()


async def store_of(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    kind: str = request.param
    made: Store
    if kind == "memory":
        made = MemoryStore()
    elif kind in SQL:
        made = await prepared(store_settings(kind, tmp_path, request))
    elif kind in FAILOVERS:
        made = await failover_of(kind, tmp_path)
    else:
        server: Server = request.getfixturevalue(SERVERS[kind])
        made = RedisStore(MirrorSettings(url=server.url), namespace=secrets.token_hex(4))
    return made


async def prepared(settings: StoreSettings) -> SqlStore:
    """With its tables made: on a busy machine that takes longer than any call may."""
    made = SqlStore(settings)
    await made.prepare()
    return made


async def failover_of(kind: str, folder: Path) -> Failover:
    """A failover over twins: with both up, with the primary down, or with both down."""
    primary, backup = MemoryStore(), MemoryStore(as_mirror=True)
    made = Failover(
        primary=primary,
        backup=backup,
        settings=FailoverSettings(fatal_errors=1),
        journal=JournalSettings(folder=folder),
        presumption=PRESUMPTION,
    )
    await made.start()
    primary.available = kind == "failover"
    backup.available = kind != "failover without a store"
    return made


@pytest.fixture(params=SQL)
async def sql_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = await prepared(store_settings(request.param, tmp_path, request))
    yield made
    await made.close()
