"""One gateway for the tests of this folder, and clients of clickhouse-connect on databases of their own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from sandbox.gateway.launch import RunningGateway, start_gateway

Connect = Callable[..., Client]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = start_gateway(tmp_path_factory.mktemp("gateway"))
    yield running
    running.kill()


def connect_to(gateway: RunningGateway, **options: Any) -> Client:
    return clickhouse_connect.get_client(
        host=gateway.host,
        port=gateway.port,
        username=gateway.user,
        **{"password": gateway.password, **options},
    )


@pytest.fixture
def database(gateway: RunningGateway) -> Iterator[str]:
    """The name of an empty database."""
    name = f"db_{uuid.uuid4().hex}"
    with connect_to(gateway) as client:
        client.command(f"CREATE DATABASE {name}")
        yield name
        client.command(f"DROP DATABASE {name}")


@pytest.fixture
def connect(gateway: RunningGateway, database: str) -> Iterator[Connect]:
    """Opens clients on the test's own database."""
    opened: list[Client] = []

    def connect_one(**options: Any) -> Client:
        opened.append(connect_to(gateway, **{"database": database, **options}))
        return opened[-1]

    yield connect_one
    for client in opened:
        client.close()


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()
