"""The SQL of writes that the primary store could not take: named statements with their parameters, durable before anyone is answered.

A record names a statement of this program, and its text stands beside it for a person to read; only the name is ever
run, so an edited journal cannot run other SQL.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from core.clock import Clock
from core.errors import BadInput, JournalWriteFailed
from core.events import UNREADABLE
from core.hooks import NO_HOOKS, Hooks
from core.journal import Journal
from core.lane import Lane
from core.redact import redact
from core.settings.servers import Journal as JournalSettings
from service.facts import AnyFact, Fact
from service.stores import schema

_BATCH_MAX = 500
_WAITING_MAX = 10_000
_SYNC_SECONDS_MAX = 5.0
"""A disk that takes longer hangs, and is answered for like one that fails."""


def _name(kind: type[Fact]) -> str:
    return f"insert_{kind.__struct_config__.tag}"


def _sql(kind: type[Fact]) -> str:
    names = [column.name for column in schema.TABLES[kind].columns]
    places = ", ".join(f":{name}" for name in names)
    return f"INSERT INTO {schema.TABLE_NAMES[kind]} ({', '.join(names)}) VALUES ({places})"


STATEMENTS: dict[str, type[Fact]] = {_name(kind): kind for kind in schema.TABLES}
"""Every statement that a journal may hold, by name, and the kind of fact that it inserts."""

_SQL: dict[type[Fact], tuple[str, str]] = {kind: (name, _sql(kind)) for name, kind in STATEMENTS.items()}


class RecordUnreadable(BadInput):
    """A record that is no write of this program."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One journaled write."""

    v: int = 1
    at: datetime
    statement: str
    sql: str
    parameters: dict[str, Any]


_encoder = msgspec.json.Encoder(uuid_format="canonical")
_decoder = msgspec.json.Decoder(Entry)


def encode(fact: AnyFact, at: datetime) -> bytes:
    """The record of a write that was asked for at `at`."""
    name, sql = _SQL[type(fact)]
    return _encoder.encode(Entry(at=at, statement=name, sql=sql, parameters=schema.row_of(fact)))


def decode(payload: bytes) -> AnyFact:
    """The fact of a record. Raises `RecordUnreadable`, without repeating a value, for whatever this program cannot run."""
    try:
        entry = _decoder.decode(payload)
    except UNREADABLE as error:
        raise RecordUnreadable(f"not a record of a write: {redact(str(error))}") from error
    kind = STATEMENTS.get(entry.statement)
    if kind is None or entry.v != 1:
        raise RecordUnreadable(f"no statement of this program is called {redact(entry.statement)[:64]!r}")
    if strange := sorted(set(entry.parameters) - set(kind.__struct_fields__)):  # a later version knows them
        raise RecordUnreadable(f"{entry.statement}: no parameter is called {redact(strange[0])[:64]!r}")
    try:
        tagged = {**entry.parameters, "fact": kind.__struct_config__.tag}
        fact: AnyFact = msgspec.convert(tagged, AnyFact)
    except UNREADABLE as error:
        raise RecordUnreadable(f"{entry.statement}: {redact(str(error))}") from error
    return fact


class Recorder:
    """The writing side of the journal: callers share a sync, and wait for it without holding up the event loop."""

    def __init__(
        self,
        settings: JournalSettings,
        folder: Path,
        *,
        clock: Clock,
        hooks: Hooks = NO_HOOKS,
        sync_seconds_max: float = _SYNC_SECONDS_MAX,
    ) -> None:
        self._clock = clock
        self._sync_seconds_max = sync_seconds_max
        self._folder = folder
        self._journal = Journal(
            folder,
            file_bytes_max=settings.file_bytes_max,
            total_bytes_max=settings.total_bytes_max,
            clock=clock,
            hooks=hooks.within("store-journal"),
        )
        self._lock = threading.Lock()
        self._lane: Lane[tuple[bytes, ...], None] = Lane(
            "store-journal", self._append, batch_max=_BATCH_MAX, waiting_max=_WAITING_MAX
        )

    async def record(self, facts: Sequence[AnyFact]) -> None:
        """Make the writes of `facts` durable. Raises `JournalWriteFailed`, `Overloaded`."""
        at = self._clock()
        try:
            await self._lane.do(tuple(encode(fact, at) for fact in facts), within_seconds=self._sync_seconds_max)
        except TimeoutError:
            hint = f"see what holds up the disk of {self._folder}"
            raise JournalWriteFailed("the journal could not be written in time", hint=hint) from None

    def rotate(self) -> None:
        """Close the open file, so that it can be replayed. Blocks while a batch is written."""
        with self._lock:
            self._journal.rotate()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._lane.close()
        self.rotate()

    def _append(self, batch: Sequence[tuple[bytes, ...]]) -> list[BaseException | None]:
        try:
            with self._lock:
                self._journal.append([payload for payloads in batch for payload in payloads])
        except JournalWriteFailed as failed:
            return [JournalWriteFailed(str(failed), hint=failed.hint) for _ in batch]
        return [None for _ in batch]
