"""The engine of one data folder, and clean handles on it, one for each request.

A handle is a chDB connection with settings and a database of its own. One that a statement may have dirtied (SET, USE,
temporary tables, parameters) is closed instead of given back, so nothing leaks from one request into another.
Refuses a folder that another process has open.
"""

from __future__ import annotations

import fcntl
import itertools
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from chdb import _chdb
from chdb.state.sqlitelike import Connection, StreamingResult

from sandbox.errors import FolderInUse, SandboxError
from sandbox.gateway.bodies import Sink
from sandbox.gateway.errors import QueryRefused, from_engine
from sandbox.gateway.spool import Spool, SpoolLimits
from sandbox.gateway.sql import Statement

# Acknowledged has to mean written: the engine's default gathers inserts in memory first.
_BASE_SETTINGS = {"async_insert": "0"}
_STREAMABLE = {
    "native",
    "tabseparated",
    "tsv",
    "tabseparatedraw",
    "tsvraw",
    "raw",
    "csv",
    "rowbinary",
    "jsoneachrow",
    "jsonlines",
    "ndjson",
    "jsoncompacteachrow",
    "jsonstringseachrow",
    "arrowstream",
}


# The table functions that stay inside the folder; one that is not named here is taken to reach outside.
_INSIDE = frozenset(
    (
        "dictionary",
        "format",
        "fuzzjson",
        "fuzzquery",
        "generate_series",
        "generaterandom",
        "generateseries",
        "input",
        "loop",
        "merge",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "sqlstandardvalues",
        "values",
        "view",
        "viewexplain",
        "viewifpermitted",
        "zeros",
        "zeros_mt",
    )
)


class EngineFailed(SandboxError):
    """The engine did not open the folder."""


@dataclass(frozen=True)
class Profile:
    """What a clean handle starts from."""

    database: str
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """A whole answer, with the counters of `X-ClickHouse-Summary`."""

    body: bytes = b""
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_ns: int = 0


@dataclass(frozen=True)
class Classified:
    """What the engine says a statement would do."""

    reads_only: bool
    is_control: bool
    statement_count: int


class Handle:
    """One connection; used by one request at a time."""

    def __init__(self, folder: str, tag: str, profile: Profile) -> None:
        self.tag = tag
        self.profile = profile
        with _translated():
            self._connection = Connection(folder)
        try:
            # log_comment is how `Engine.kill` finds this handle's query.
            self.apply({**_BASE_SETTINGS, **dict(profile.settings), "log_comment": tag})
            if profile.database:
                self.use(profile.database)
        except BaseException:
            self.close()
            raise

    def classify(self, text: bytes) -> Classified:
        """What the engine would do with the text; a statement that does not parse counts as none."""
        told = self._connection._conn.classify_query(text)
        kind = told["query_class"].name
        return Classified(kind == "READ_ONLY", kind == "CONTROL", int(told["statement_count"]))

    def run(self, text: bytes, output_format: str, parameters: Mapping[str, str]) -> Answer:
        """Run a statement to its end."""
        with _translated():
            # Bytes where chDB is annotated with str: a statement may hold literals that are not UTF-8.
            result = self._connection.query(text, output_format, params=dict(parameters))  # type: ignore[arg-type]
        return Answer(
            body=result.bytes(),
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            elapsed_ns=int(result.elapsed() * 1e9),
        )

    def stream(self, text: bytes, output_format: str, parameters: Mapping[str, str]) -> Generator[bytes, None, None]:
        """Run a SELECT block by block. Closing the iterator ends the query."""
        with _translated():
            blocks = self._connection.send_query(text, output_format, params=dict(parameters))  # type: ignore[arg-type]
        pieces = _pieces(blocks)
        return _one_arrow_stream(pieces) if output_format.lower() == "arrowstream" else pieces

    def insert(self, statement: Statement, file: Path, parameters: Mapping[str, str]) -> Answer:
        """Run an INSERT on data that lies in a file."""
        head, at = statement.head, statement.source_at
        source = f" FROM INFILE {_literal(str(file))} COMPRESSION 'none' ".encode()
        text = head[:at] + source + head[at:] + b" FORMAT " + statement.input_format.encode()
        try:
            return self.run(text, "Null", parameters)
        except QueryRefused as error:  # its place is nobody's business
            raise QueryRefused(error.code, str(error).replace(str(file), "body")) from error

    def apply(self, settings: Mapping[str, str | None]) -> None:
        """SET them all at once, so that `readonly` does not hinder its neighbours; None is the default."""
        if settings:
            changes = ", ".join(f"{quote_name(name)} = {_literal(value)}" for name, value in settings.items())
            self.run(f"SET {changes}".encode(), "TabSeparated", {})

    def use(self, database: str) -> None:
        """Change the current database."""
        self.run(f"USE {quote_name(database)}".encode(), "TabSeparated", {})

    def column(self, text: str, parameters: Mapping[str, str]) -> list[list[str]]:
        """Rows of a small answer, as text."""
        lines = self.run(text.encode(), "TabSeparatedRaw", parameters).body.decode().splitlines()
        return [line.split("\t") for line in lines]

    def close(self) -> None:
        """Let go of it; temporary tables go with it."""
        self._connection.close()


class Engine:
    """The folder, open. Safe to use from many threads. `spool` takes the data of INSERTs."""

    def __init__(self, folder: Path, *, idle_handles: int = 64, spool_limits: SpoolLimits | None = None) -> None:
        self._folder = str(folder)
        self.spool = Spool(folder / "spool", spool_limits or SpoolLimits())
        self._idle_limit = idle_handles
        self._idle: OrderedDict[Profile, list[Handle]] = OrderedDict()
        self._idle_count = 0
        self._lock = threading.Lock()
        self._root_lock = threading.Lock()
        self._numbers = itertools.count(1)
        _refuse_if_open_elsewhere(folder)
        _chdb.set_signal_handlers_enabled(False)  # type: ignore[attr-defined]  # the server ends in order; the engine's own handlers would not
        try:
            # Held for as long as we live: the engine shuts down with its last connection.
            self._root = Handle(self._folder, "gateway", Profile("", ()))
        except QueryRefused as error:
            raise EngineFailed(f"the engine cannot open {folder}: {error}") from error
        self.spool.open()
        (version, timezone) = self._root.column("SELECT version(), timezone()", {})[0]
        formats = self._root.column("SELECT name FROM system.formats", {})
        functions = self._root.column("SELECT lower(name) FROM system.table_functions", {})
        self.version = version
        self.timezone = timezone
        self.formats = {name.lower(): name for (name,) in formats}
        self.reaching_outside = frozenset(name for (name,) in functions) - _INSIDE

    def fresh(self, profile: Profile) -> Handle:
        """A handle that nobody has used, for a session to keep."""
        return Handle(self._folder, f"gateway-{next(self._numbers)}", profile)

    def take(self, profile: Profile) -> Handle:
        """A clean handle with these settings."""
        with self._lock:
            waiting = self._idle.get(profile)
            if waiting:
                self._idle.move_to_end(profile)
                self._idle_count -= 1
                return waiting.pop()
        return self.fresh(profile)

    def give(self, handle: Handle, *, clean: bool) -> None:
        """Take it back: for the next one if it is clean, else to be closed."""
        surplus = [] if clean else [handle]
        with self._lock:
            if clean:
                self._idle.setdefault(handle.profile, []).append(handle)
                self._idle.move_to_end(handle.profile)
                self._idle_count += 1
            while self._idle_count > self._idle_limit:
                surplus.append(self._drop_oldest())
        for spent in surplus:
            spent.close()

    @property
    def idle_handles(self) -> int:
        """How many clean handles wait for a request."""
        return self._idle_count

    def kill(self, handle: Handle) -> None:
        """End the query that runs on this handle, if one does; its thread gets error 394."""
        statement = f"KILL QUERY WHERE Settings['log_comment'] = '{handle.tag}' ASYNC"
        with self._root_lock:
            self._root.run(statement.encode(), "TabSeparated", {})

    def close(self) -> None:
        """Close every handle that is not in use, and the engine with the last one."""
        with self._lock:
            idle, self._idle, self._idle_count = list(itertools.chain(*self._idle.values())), OrderedDict(), 0
        for handle in [*idle, self._root]:
            handle.close()

    def _drop_oldest(self) -> Handle:
        profile, waiting = next(iter(self._idle.items()))
        if not waiting:
            del self._idle[profile]
            return self._drop_oldest()
        self._idle_count -= 1
        return waiting.pop()


def can_stream(output_format: str) -> bool:
    """Whether blocks of this format, one behind the other, are one answer; others carry a head or a foot each."""
    return output_format.lower() in _STREAMABLE


def quote_name(name: str) -> str:
    """A name as an identifier of SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _literal(value: str | None) -> str:
    if value is None:
        return "DEFAULT"
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _pieces(blocks: StreamingResult) -> Generator[bytes, None, None]:
    try:
        while True:
            with _translated():
                block = blocks.fetch()  # type: ignore[no-untyped-call]
            if block is None:
                return
            yield block.bytes()
    finally:
        with _translated():
            blocks.close()  # type: ignore[no-untyped-call]


def _one_arrow_stream(pieces: Generator[bytes, None, None]) -> Generator[bytes]:
    """The engine ends an Arrow stream with each block; readers take the first end for the end of all."""
    sink = Sink()
    writer: Any = None
    with closing(pieces):
        for piece in pieces:
            with pa.ipc.open_stream(piece) as reader:
                writer = writer or pa.ipc.new_stream(pa.PythonFile(sink, "w"), reader.schema)
                for batch in reader:
                    writer.write_batch(batch)
            yield sink.take()
        if writer is not None:
            writer.close()
            yield sink.take()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # chDB's own error is one of these
        raise from_engine(str(error)) from error


def _refuse_if_open_elsewhere(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    status = folder / "status"
    if not status.exists():
        return
    with status.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = file.read(200).decode("utf-8", "replace").split("\n")[0]
            raise FolderInUse(
                f"the data folder {folder} is open in another process ({owner or 'unknown'})",
                hint="stop that gateway first, or give this one another folder",
            ) from None
