"""A warehouse that many tests read and none writes."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from pydantic import SecretStr

from core import warehouse as door
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from sandbox.gateway.launch import RunningGateway


@pytest.fixture(scope="module")
def shared_warehouse(gateway: RunningGateway) -> Iterator[Warehouse]:
    """An empty, migrated warehouse for all tests of a module."""
    settings = WarehouseSettings(
        host=gateway.host,
        port=gateway.port,
        username=gateway.user,
        password=SecretStr(gateway.password),
        database=f"test_{uuid4().hex}",
    )
    opened = door.connect(settings)
    opened.migrate()
    yield opened
    opened.command(f"DROP DATABASE {settings.database}")
    opened.close()
