"""What the stores hold, read past every link and every part of the service: tables of MySQL and of ClickHouse as frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pandas as pd
from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from core import warehouse as door
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from service.stores import schema

Rows = set[tuple[Any, ...]]

FACTS = (
    "requests",
    "attempts",
    "outcomes",
    "receipts",
    "checks",
    "approvals",
    "inbound",
    "opt_outs",
    "encrypted_numbers",
)
"""The tables of the primary store that are compared."""
EVENTS: Mapping[str, str] = {
    # the key of an event as the warehouse holds it: the same words as the key of its fact
    "send_events": "request_id, attempt",
    "receipt_events": "request_id, attempt, if(status = 'pending', concat('interim:', raw_status), 'final') AS stage",
    "verify_events": "request_id, check, toString(result) AS result",
    "inbound_events": "toString(provider) AS provider, toString(message_hash) AS message_hash",
}

TOLD: Mapping[str, str] = {
    # what is compared row by row of each kind of event
    "send_events": "request_id, attempt, at, category, cause, outcome, error_class, carrier",
    "receipt_events": "request_id, attempt, at, status, error_class, carrier",
    "verify_events": "request_id, attempt, at, result, check",
}
FINALS = """
WITH ifNull(delivered_at <= failed_at, delivered_at IS NOT NULL) AS is_delivered
SELECT request_id, attempt, if(is_delivered, delivered_at, failed_at), if(is_delivered, 'delivered', 'failed'),
       if(is_delivered, '', failure_class)
FROM attempts FINAL
WHERE delivered_at IS NOT NULL OR failed_at IS NOT NULL
"""
"""The first final receipt of each attempt. Of the events themselves a later telling of the same one may be all that is left."""


@dataclass(frozen=True)
class Evidence:
    """`facts` are frames of the primary store by table. `events` are rows of the warehouse by table, keys alone; `told`
    are its frames by table, with what is compared of each row, and `finals`."""

    facts: Mapping[str, pd.DataFrame] = field(repr=False)
    events: Mapping[str, list[tuple[Any, ...]]] = field(repr=False)
    told: Mapping[str, pd.DataFrame] = field(repr=False, default_factory=dict)

    def keys(self, table: str, *columns: str) -> Rows:
        """The values of these columns of a table of the primary store."""
        frame = self.facts[table]
        return set(frame[list(columns)].itertuples(index=False, name=None)) if len(frame) else set()

    def counts(self) -> dict[str, int]:
        """Rows by table of the primary store."""
        return {name: len(frame) for name, frame in self.facts.items()}


def read_facts(store_url: str) -> dict[str, pd.DataFrame]:
    """All facts, in one transaction: rows of two tables belong together."""
    engine = create_engine(store_url, hide_parameters=True, poolclass=NullPool)
    tables = {name: schema.metadata.tables[name] for name in FACTS}
    with engine.connect() as connection:
        found = {}
        for name, table in tables.items():
            rows = connection.execute(select(table)).all()
            found[name] = pd.DataFrame(rows, columns=[column.name for column in table.columns])
    engine.dispose()
    return found


def read_events(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """The keys of all events. Raises `WarehouseUnavailable`, and `WarehouseRefused` while there are no tables."""
    return {
        table: [tuple(map(_plain, row)) for row in warehouse.query_rows(f"SELECT {key} FROM {table} FINAL")]
        for table, key in EVENTS.items()
    }


def read_told(warehouse: Warehouse) -> dict[str, pd.DataFrame]:
    """All events, as raw as they came. Raises like `read_events`."""
    told = {}
    for table, columns in TOLD.items():
        rows = warehouse.query_rows(f"SELECT {columns} FROM {table} FINAL")
        told[table] = pd.DataFrame(rows, columns=columns.split(", "))
    told["finals"] = pd.DataFrame(
        warehouse.query_rows(FINALS), columns=["request_id", "attempt", "at", "status", "error_class"]
    )
    for frame in told.values():
        frame["at"] = pd.to_datetime(frame["at"], utc=True)  # the client gives UTC without saying so
    return told


def read_all(store_url: str, settings: WarehouseSettings) -> Evidence:
    """Everything there is."""
    warehouse = door.connect(settings)
    try:
        return Evidence(read_facts(store_url), read_events(warehouse), read_told(warehouse))
    finally:
        warehouse.close()


def _plain(value: object) -> object:
    return (
        value
        if isinstance(value, (UUID, int, str))
        else bytes(value).decode()
        if isinstance(value, bytes)
        else str(value)
    )
