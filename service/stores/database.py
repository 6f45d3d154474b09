"""One connection to the primary store for the one thread that uses it: transactions with timeouts, reruns and errors of ours.

Refuses to run a transaction again once its commit was sent: nobody knows then whether it happened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, TypeVar

import pymysql
import structlog
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions
from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolEmpty

from core.clock import Clock, Timer
from core.errors import ConfigurationError
from core.migrating import migrations, split_statements
from core.settings.servers import Store as StoreSettings
from service.stores import mysql_errors, schema, sqlite_errors
from service.stores.faults import FactRefused, FaultClass, StoreFault

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)

RERUNS_MAX = 3
_LOCK_WAIT_SECONDS = (
    1  # the server's smallest; below the read timeout, so that a lock wait is not taken for a dead server
)
SCHEMA_SECONDS = 60.0
"""What making the tables may take: a slow disk syncs for each of them, and needs longer than any call would wait."""
_HEARD_SHARE = 0.8
"""Of a limit: who listened for less than that has not heard that a server is silent."""
_SQL_MODE = "TRADITIONAL"  # without it MySQL cuts values that are too long, and says so only in a warning
_LIBRARY_ERRORS = (SQLAlchemyError, pymysql.MySQLError, sqlite3.Error, OSError, ValueError, TypeError, OverflowError)


class Contended(Exception):
    """Another instance was in the way; the whole transaction may run again."""


@dataclass
class _Progress:
    committing: bool = False


class Database:
    """Runs transactions. Each lane has one of its own, so that a hung server holds that lane and nothing else.

    `listened` stands still while this process is held up.
    """

    def __init__(
        self,
        settings: StoreSettings,
        *,
        isolation: str,
        clock: Clock,
        has_schema: Event,
        listened: Timer = monotonic,
    ) -> None:
        self._settings, self._isolation = settings, isolation
        self._read_timeout_seconds = settings.read_timeout_seconds
        self._limit_seconds = _HEARD_SHARE * settings.read_timeout_seconds
        self._clock, self._listened = clock, listened
        self._engine = open_engine(settings, isolation=isolation)
        self._writing = self._engine.execution_options(writes=True)
        self._has_schema = has_schema  # all lanes': one that is first used later must not make a table that was lost
        self.is_contended = False
        """The transaction under way was refused a lock and runs again: the server is there, and busy with others."""

    @property
    def is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def run(self, work: Callable[[Connection], Result], *, writes: bool) -> Result:
        """`work` in one transaction. Raises `StoreFault`, or `FactRefused` when a value can never be stored."""
        started, heard_from = monotonic(), self._listened()
        reruns = 0
        while True:
            progress = _Progress()
            try:
                self._create_schema()
                result = self._once(work, writes=writes, progress=progress)
                self.is_contended = False
                return result
            except (Contended, *_LIBRARY_ERRORS) as error:
                elapsed = monotonic() - started
                self.is_contended = self._classify(error) is FaultClass.TRANSIENT
                if not self._may_rerun(error, progress, reruns=reruns, elapsed_seconds=elapsed):
                    heard_seconds = self._listened() - heard_from
                    is_held_up = elapsed >= self._limit_seconds > heard_seconds
                    raise self._translate(error, is_held_up=is_held_up) from error
                reruns += 1

    def close(self) -> None:
        """Let go of the connection."""
        self._engine.dispose()

    def _once(self, work: Callable[[Connection], Result], *, writes: bool, progress: _Progress) -> Result:
        with (self._writing if writes else self._engine).connect() as connection:
            transaction = connection.begin()
            result = work(connection)
            progress.committing = True
            transaction.commit()
            return result

    def _create_schema(self) -> None:
        if self._has_schema.is_set():
            return
        missing = set(schema.metadata.tables) - set(inspect(self._engine).get_table_names())
        if missing:
            self._create_tables()
        with self._engine.execution_options(writes=True).begin() as connection:
            found = _version(connection)
            if found == 0 and missing == set(schema.metadata.tables):
                _note_version(connection, self._clock)  # made just now, as they are to be
                found = schema.VERSION
        if found < schema.VERSION:
            self._upgrade(found)
        self._has_schema.set()

    def _create_tables(self) -> None:
        with self._patient(lock_wait_seconds=int(SCHEMA_SECONDS)) as engine:
            for _ in schema.metadata.tables:
                try:
                    schema.metadata.create_all(engine)
                    break
                except DBAPIError as error:
                    # another instance creates the same tables, and may be quicker at each of them
                    if not _is_there_already(error):
                        raise

    def _upgrade(self, found: int) -> None:
        # Locks are waited for no longer than by any call: all who write queue up behind a change of a table that waits.
        with self._patient(lock_wait_seconds=_LOCK_WAIT_SECONDS) as engine, engine.begin() as connection:
            for number, _, text in migrations("service.stores"):
                for statement in split_statements(text) if number > found else ():
                    try:
                        connection.exec_driver_sql(statement)
                    except DBAPIError as error:
                        if not _is_there_already(error):  # another instance was quicker
                            raise
            _note_version(connection, self._clock)
        _log.info("the tables of the store were brought up to date", found=found, version=schema.VERSION)

    @contextmanager
    def _patient(self, *, lock_wait_seconds: int) -> Iterator[Engine]:
        """An engine for changes of the tables, which may take longer than any call."""
        settings = self._settings.model_copy(update={"read_timeout_seconds": SCHEMA_SECONDS})
        engine = open_engine(settings, isolation=self._isolation, lock_wait_seconds=lock_wait_seconds)
        try:
            yield engine.execution_options(writes=True)
        finally:
            engine.dispose()

    def _may_rerun(self, error: BaseException, progress: _Progress, *, reruns: int, elapsed_seconds: float) -> bool:
        if elapsed_seconds >= self._read_timeout_seconds * 0.9 or reruns >= RERUNS_MAX:
            return False
        original = _original(error)
        if isinstance(error, Contended):
            return True
        if self._classify(error) is FaultClass.TRANSIENT:
            return not mysql_errors.is_cancelled(original)
        # A connection that was idle for too long fails at its first use; it tells nothing about the server.
        return reruns == 0 and not progress.committing and not self.is_sqlite and mysql_errors.is_lost(original)

    def _classify(self, error: BaseException) -> FaultClass:
        if isinstance(error, Contended):
            return FaultClass.TRANSIENT
        if isinstance(error, PoolEmpty):
            return FaultClass.SATURATED
        original = _original(error)
        return sqlite_errors.classify(original) if self.is_sqlite else mysql_errors.classify(original)

    def _translate(self, error: BaseException, *, is_held_up: bool) -> StoreFault | FactRefused:
        fault = self._classify(error)
        if fault is FaultClass.FATAL and is_held_up:
            fault = FaultClass.HELD_UP
        what = _describe(error)
        if fault is FaultClass.DATA:
            return FactRefused(f"the store cannot keep this: {what}")
        where = self._engine.url.render_as_string(hide_password=True).split("?")[0]
        return StoreFault(f"the store did not do it: {what}", fault=fault, hint=_HINTS[fault].format(where=where))


_HINTS = {
    FaultClass.FATAL: "check that {where} is up, reachable and writable",
    FaultClass.TRANSIENT: "try again",
    FaultClass.SATURATED: "try again later; the server has too much to do",
    FaultClass.CREDENTIALS: "check the user, the password, the rights and the tables of {where}",
    FaultClass.HELD_UP: "give this program more of the processors, or run fewer beside it",
}


def is_duplicate(error: BaseException) -> bool:
    """The key of a row is taken."""
    original = _original(error)
    return mysql_errors.is_duplicate(original) or sqlite_errors.is_duplicate(original)


def open_engine(settings: StoreSettings, *, isolation: str, lock_wait_seconds: int = _LOCK_WAIT_SECONDS) -> Engine:
    """An engine for one thread. Raises `ConfigurationError` for an address that no driver understands."""
    try:
        url = make_url(settings.url.get_secret_value())
    except ArgumentError as error:
        raise ConfigurationError("store.url is not an SQLAlchemy address") from error
    kind = url.get_backend_name()
    if kind == "sqlite":
        return _open_sqlite(url, settings)
    if kind not in ("mysql", "mariadb") or url.get_driver_name() != "pymysql":
        raise ConfigurationError(f"store.url names {kind!r}", hint="use mysql+pymysql://… or sqlite:///…")
    arguments: dict[str, Any] = {
        "connect_timeout": settings.connect_timeout_seconds,
        "read_timeout": settings.read_timeout_seconds,
        "write_timeout": settings.read_timeout_seconds,
        "charset": "utf8mb4",
        "conv": {**conversions, FIELD_TYPE.DATETIME: datetime.fromisoformat},  # the driver's own is a regex in Python
        "init_command": f"SET SESSION sql_mode='{_SQL_MODE}', innodb_lock_wait_timeout={lock_wait_seconds}, "
        f"lock_wait_timeout={lock_wait_seconds}",
    }
    return create_engine(
        url,
        connect_args=arguments,
        isolation_level=isolation,
        hide_parameters=True,
        pool_size=1,
        max_overflow=0,
        pool_timeout=settings.connect_timeout_seconds,
        pool_reset_on_return=None,  # every transaction is ended in `_once`; a second ROLLBACK is a round trip
    )


def _open_sqlite(url: URL, settings: StoreSettings) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError(
            "store.url names no file", hint="an SQLite store needs a file that its lanes can share"
        )
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the folder of {url.database} cannot be made: {error.strerror}") from error
    arguments = {"timeout": settings.read_timeout_seconds, "check_same_thread": False}
    engine = create_engine(
        url, connect_args=arguments, hide_parameters=True, pool_size=1, max_overflow=0, pool_timeout=5.0
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late to lock; see _begin_sqlite
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later is refused at once when another one wrote between; IMMEDIATE waits.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _version(connection: Connection) -> int:
    found = max(connection.scalars(select(schema.schema_versions.c.version)), default=0)
    if found > schema.VERSION:
        raise ConfigurationError(
            f"the store has tables of version {found}; this program knows {schema.VERSION}", hint="install a newer one"
        )
    return found


def _note_version(connection: Connection, clock: Clock) -> None:
    try:
        connection.execute(insert(schema.schema_versions), {"version": schema.VERSION, "at": clock()})
    except DBAPIError as error:
        if not is_duplicate(error):  # another instance was quicker
            raise


def _is_there_already(error: BaseException) -> bool:
    original = _original(error)
    return mysql_errors.is_there_already(original) or sqlite_errors.is_there_already(original)


def _original(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, StatementError) and error.orig is not None else error


def _describe(error: BaseException) -> str:
    """Names and numbers only: a driver's text may repeat the value that it did not like."""
    original = _original(error)
    code = getattr(original, "sqlite_errorname", None) or mysql_errors.code_of(original) or ""
    return f"{type(original).__name__} {code}".strip()
