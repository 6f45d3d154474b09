"""The door to ClickHouse: the only module that opens it, so that one place knows its errors, settings and migrations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import clickhouse_connect
import pandas as pd
import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError, StreamFailureError
from clickhouse_connect.driver.httpclient import HttpClient
from urllib3.exceptions import HTTPError

from core.errand import serve_errands
from core.errors import WarehouseRefused, WarehouseUnavailable
from core.layout import Layout
from core.migrating import migrations, split_statements
from core.redact import redact
from core.settings.servers import Warehouse as WarehouseSettings

_log = structlog.get_logger(__name__)

_CODE = re.compile(r"(?:Code: |error code )(\d+)")
_BUSY_CODES = {159, 160, 202, 209, 210, 225, 241, 242, 243, 252, 285, 319, 425, 745, 999}
"""Timeouts, too many queries, memory, disk, too many parts, and a replica without its Keeper or its neighbours (a table is
read-only then: 242): the same call may succeed later. Not 164: that user may never write."""

_MIGRATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32,
    name String,
    applied_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree ORDER BY number
"""


ONE_SERVER = Layout()

_CONNECTIONS = 32
"""What is kept open for questions that are asked side by side; more than these are opened, and closed again."""

_READER = {"readonly": 2, "cancel_http_readonly_queries_on_client_close": 1}
"""A reader who hangs up (`core.errand`) has ended their question: they may not say KILL QUERY."""


class Warehouse:
    """A ClickHouse database. Safe to share between threads: every call is a request of its own, without a session, and part of
    the errand on which its thread is, if it is on one (`core.errand`).

    Raises `WarehouseUnavailable` when it does not answer or is too busy, `WarehouseRefused` when it says no.
    """

    def __init__(self, client: Client, *, address: str, retention_days: int, layout: Layout = ONE_SERVER) -> None:
        self._client = client
        self.address = address
        self.layout = layout
        self._retention_days = retention_days

    def query_df(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, settings: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """The answer to `sql` as a frame; parameters are bound by the server (`{name:Type}` in the text)."""
        with self._translated():
            return self._client.query_df(sql, parameters=dict(parameters or {}), settings=dict(settings or {}))

    def query_rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The answer to `sql` as rows."""
        with self._translated():
            return [tuple(row) for row in self._client.query(sql, parameters=dict(parameters or {})).result_rows]

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that answers nothing."""
        with self._translated():
            self._client.command(sql, parameters=dict(parameters or {}))

    def insert_json(self, table: str, lines: bytes) -> None:
        """Insert JSON objects, one a line, named like the columns. All or nothing; when this returns they are there.

        Field names without a column are passed over; inserting the same events again changes nothing that is counted.
        """
        settings = {
            "async_insert": 0,
            "wait_end_of_query": 1,
            "max_partitions_per_insert_block": 0,  # a file of history spans more days than the default of 100
            "input_format_skip_unknown_fields": 1,
            "date_time_input_format": "best_effort",
            # Inserts run side by side, a kind each. By processor time on 30,000 rows of each kind these three take two thirds.
            "max_threads": 1,
            "input_format_parallel_parsing": 0,
            "optimize_on_insert": 0,  # equal rows of one insert are few, and fold when parts merge and under FINAL
        }
        with self._translated():
            self._client.raw_insert(table, insert_block=lines, settings=settings, fmt="JSONEachRow")

    def migrate(self) -> list[str]:
        """Apply the migrations that are missing, in order. Returns their names."""
        self._run(_MIGRATIONS_TABLE.strip())
        done = {int(row[0]) for row in self.query_rows("SELECT number FROM schema_migrations")}
        applied = []
        for number, name, text in migrations("core"):
            if number not in done:
                for statement in split_statements(text.replace("{retention_days}", str(self._retention_days))):
                    self._run(statement)
                self.command(
                    "INSERT INTO schema_migrations (number, name) VALUES ({number:UInt32}, {name:String})",
                    {"number": number, "name": name},
                )
                _log.info("migration applied", name=name)
                applied.append(name)
        return applied

    def _run(self, statement: str) -> None:
        for rendered in self.layout.render(statement):
            self.command(rendered)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self.address):
            yield


def connect(settings: WarehouseSettings, *, readonly: bool = False) -> Warehouse:
    """Open the warehouse, creating its database when it is not there. `readonly` refuses every write from here on.

    Raises `WarehouseUnavailable` that says where it was looked for.
    """
    address = f"{settings.host}:{settings.port}"
    layout = Layout(settings.cluster)
    with translated(address):
        if not readonly:
            with _client(settings, database="default", query_settings={}) as client:
                client.command(f"CREATE DATABASE IF NOT EXISTS {settings.database}{layout.on_cluster}")
        query_settings = _READER if readonly else dict(layout.settings)
        client = _client(settings, database=settings.database, query_settings=query_settings)
    return Warehouse(client, address=address, retention_days=settings.retention_days, layout=layout)


def _client(settings: WarehouseSettings, *, database: str, query_settings: dict[str, Any]) -> Client:
    client = clickhouse_connect.get_client(
        host=settings.host,
        port=settings.port,
        username=settings.username,
        password=settings.password.get_secret_value(),
        database=database,
        secure=settings.secure,
        connect_timeout=int(settings.connect_timeout_seconds) or 1,
        send_receive_timeout=int(settings.query_timeout_seconds) or 1,
        query_limit=0,
        autogenerate_session_id=False,  # a session allows one query at a time
        settings=query_settings,
        dedicated_pool=True,  # the usual one is shared by the whole process, and outlives `close`
    )
    serve_errands(cast("HttpClient", client).http, connections=_CONNECTIONS)
    return client


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turn the client's errors into ours."""
    try:
        yield
    except DatabaseError as error:
        code = _code_of(error)
        first_line = redact(str(error).strip().partition("\n")[0])[:500]
        if (isinstance(error, OperationalError) and not code) or code in _BUSY_CODES:
            if isinstance(error, StreamFailureError) and not code:
                reason = "the answer broke off"  # the client quotes the bytes that came
            else:
                reason = first_line if code or error.__cause__ is None else _met(error)
            raise WarehouseUnavailable(f"ClickHouse at {address} does not answer: {reason}", hint=_HINT) from None
        raise WarehouseRefused(f"ClickHouse at {address} refused: {first_line}", code=code) from None
    except (ClickHouseError, HTTPError, OSError) as error:
        raise WarehouseUnavailable(f"ClickHouse at {address} does not answer: {_met(error)}", hint=_HINT) from None


_HINT = "check [warehouse] host and port in the settings, and that ClickHouse runs there"


def _met(error: BaseException) -> str:
    """What was met on the way there, in the words of the system: the client quotes the whole question, and what it asks for."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return type(error).__name__


def _code_of(error: DatabaseError) -> int:
    match = _CODE.search(str(error))
    return int(match[1]) if match else 0
