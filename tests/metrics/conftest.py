"""A warehouse that many tests read and none writes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.warehouse import Warehouse
from tests.support.warehouses import Databases


@pytest.fixture(scope="module")
def shared_warehouse(databases: Databases) -> Iterator[Warehouse]:
    """An empty, migrated warehouse for all tests of a module."""
    with databases.lent() as database:
        yield database.warehouse
