"""Real servers, one of each kind a test process, on private ports and folders; an empty database or space for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, make_url, text

from core.proxies import spare_loopback
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from sandbox.gateway.launch import RunningGateway, start_gateway
from sandbox.servers import Server, start_mariadb, start_nats, start_redis, start_valkey
from tests.support.servers import require_server
from tests.support.warehouses import Database, Databases, settings_of

LONGEST = ("tests/sandbox/chaos/test_matrix.py", "tests/app/browser/")
"""Begun first: whoever begins the longest last leaves the other worker without any. Neighbours share a browser."""


def pytest_configure() -> None:
    """Properties are judged by what they say: on a busy machine an example that takes a hundredth of a second takes longer than
    the 200 ms that Hypothesis grants it outside CI. What tests start on this machine is not looked for behind a proxy."""
    spare_loopback(os.environ)
    settings.register_profile("heliograph", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("heliograph")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest first, all others in the order of their folders."""
    items.sort(
        key=lambda item: min(
            (place for place, begin in enumerate(LONGEST) if item.nodeid.startswith(begin)), default=len(LONGEST)
        )
    )


@pytest.fixture(autouse=True)
def unfiltered_log() -> Iterator[None]:
    """Programs that a test runs set up logging for their process, which is that of the tests that follow, too."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """ClickHouse's engine behind its HTTP gateway."""
    running = start_gateway(tmp_path_factory.mktemp("clickhouse"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def databases(gateway: RunningGateway) -> Iterator[Databases]:
    """Of ClickHouse, to be borrowed."""
    kept = Databases(gateway)
    yield kept
    kept.close()


@pytest.fixture
def lent(databases: Databases) -> Iterator[Database]:
    """A database of the test's own."""
    with databases.lent() as database:
        yield database


@pytest.fixture
def warehouse(lent: Database) -> Warehouse:
    """An empty, migrated warehouse."""
    return lent.warehouse


@pytest.fixture
def warehouse_settings(request: pytest.FixtureRequest, gateway: RunningGateway) -> WarehouseSettings:
    """Where `warehouse` is; for whoever does not ask for that, where there is none."""
    if "warehouse" not in request.fixturenames:
        return settings_of(gateway)
    lent: Database = request.getfixturevalue("lent")
    return lent.settings


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_nats(tmp_path_factory.mktemp("nats"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def nats_url(nats_server: Server) -> str:
    """A JetStream server; streams are shared by the tests of a process, so consumers and subjects need names of their own."""
    return nats_server.url


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    require_server("mariadbd")
    server = start_mariadb(tmp_path_factory.mktemp("mariadb"))
    yield server
    server.stop()


@pytest.fixture
def mariadb_database(mariadb_server: Server) -> Iterator[str]:
    """The address of an empty database on MariaDB."""
    name = f"test_{uuid4().hex}"
    admin = create_engine(mariadb_server.admin_url)
    with admin.begin() as connection:
        connection.execute(text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
    yield make_url(mariadb_server.admin_url).set(database=name).render_as_string(hide_password=False)
    with admin.begin() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "mariadb"])
def store_url(request: pytest.FixtureRequest, tmp_path) -> str:
    """The address of an empty primary store: SQLite, then MariaDB."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite3'}"
    url: str = request.getfixturevalue("mariadb_database")
    return url


@pytest.fixture(scope="session", params=["valkey", "redis"])
def mirror_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if request.param == "redis":
        require_server("redis-server")
    start = start_valkey if request.param == "valkey" else start_redis
    server = start(tmp_path_factory.mktemp(request.param))
    yield server
    server.stop()


@pytest.fixture
def mirror_url(mirror_server: Server) -> str:
    """An emptied Valkey, then Redis."""
    import redis  # noqa: PLC0415  # only these tests need the client

    with redis.Redis.from_url(mirror_server.url) as client:
        client.flushall()
    return mirror_server.url
