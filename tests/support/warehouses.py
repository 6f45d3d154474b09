"""Databases for tests, lent to one at a time: migrated once, and emptied for the next. To migrate one takes half a second
of processor time, to empty one with a few rows a tenth, and four hundred tests want one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from pydantic import SecretStr

from core import warehouse as door
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from sandbox.gateway.launch import RunningGateway

_TABLES = (
    "SELECT name, create_table_query, total_rows FROM system.tables WHERE database = currentDatabase() ORDER BY name"
)
_PARTS = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase()"
_PARTS_MAX = 100
"""With more, as of events of a year, it takes longer to empty a database than to migrate another."""

_RETENTION_DAYS = 20_000
"""Stories are told of March 2026, and a merge drops what has aged."""

Shape = list[tuple[str, str, int | None]]
"""Each table: its name, how it was made, and how many rows it has, None for a view."""


def settings_of(gateway: RunningGateway) -> WarehouseSettings:
    """Settings of a database that nobody has made."""
    return WarehouseSettings(
        host=gateway.host,
        port=gateway.port,
        username=gateway.user,
        password=SecretStr(gateway.password),
        database=f"test_{uuid4().hex}",
        retention_days=_RETENTION_DAYS,
    )


@dataclass(frozen=True)
class Database:
    """Where it is, a door to it, and what it was when it had been migrated."""

    settings: WarehouseSettings
    warehouse: Warehouse
    as_migrated: Shape

    def empty(self) -> bool:
        """Take all rows out. False when it is not as it was, for a test altered more than rows; or when that takes too long."""
        if self.warehouse.query_rows(_PARTS)[0][0] > _PARTS_MAX:
            return False
        rows_at_first = {name: rows for name, _, rows in self.as_migrated}
        for name, _, rows in _shape(self.warehouse):
            if rows and rows_at_first.get(name) == 0:
                self.warehouse.command(f"TRUNCATE TABLE {name}")
        return _shape(self.warehouse) == self.as_migrated

    def drop(self) -> None:
        """Make an end of it."""
        self.warehouse.command(f"DROP DATABASE {self.settings.database}")
        self.warehouse.close()


class Databases:
    """Migrated and empty databases of one gateway. What a test altered is not lent again."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._free: list[Database] = []

    @contextmanager
    def lent(self) -> Iterator[Database]:
        """One that nobody else uses while the block runs."""
        database = self._free.pop() if self._free else self._made()
        yield database
        if database.empty():
            self._free.append(database)
        else:
            database.drop()

    def close(self) -> None:
        """Drop those that nobody uses."""
        while self._free:
            self._free.pop().drop()

    def _made(self) -> Database:
        settings = settings_of(self._gateway)
        warehouse = door.connect(settings)
        warehouse.migrate()
        return Database(settings, warehouse, _shape(warehouse))


def _shape(warehouse: Warehouse) -> Shape:
    return [(name, made_by, rows) for name, made_by, rows in warehouse.query_rows(_TABLES)]
