"""Puts events into the warehouse, and what is not an event into the dead letters with its reason.

Good rows never suffer for a bad one: lines are read one by one, and a batch that the warehouse refuses is halved until
the row it refuses stands alone. Inserting the same events again changes nothing that is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import msgspec

from core.clock import Clock
from core.errors import WarehouseRefused
from core.events import KINDS, AnyEvent, decode, encode_lines
from core.redact import redact
from core.warehouse import Warehouse

PAYLOAD_CHARACTERS_MAX = 4_000
REASON_CHARACTERS_MAX = 500


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One message or line that could not be read: where it came from, why, and what it said, masked."""

    at: datetime
    source: str
    place: str
    reason: str
    payload: str
    masked: bool
    id: str


@dataclass(frozen=True)
class Unreadable:
    """What a reader hands over when a line is no event."""

    place: str
    reason: str
    raw: bytes


@dataclass(frozen=True)
class Stored:
    """What became of a batch."""

    events: int
    dead_letters: int


class Sink:
    """Events in, rows out. Raises `WarehouseUnavailable` when nothing can be stored; then the batch may be given again."""

    def __init__(self, warehouse: Warehouse, *, clock: Clock) -> None:
        self._warehouse = warehouse
        self._clock = clock
        self._pool = ThreadPoolExecutor(len(KINDS), thread_name_prefix="insert")

    def store(self, source: str, events: Sequence[AnyEvent], unreadable: Sequence[Unreadable]) -> Stored:
        """Insert all `events`, each kind into its table, and note all `unreadable`. When this returns they are there."""
        by_kind: dict[str, list[AnyEvent]] = {}
        for event in events:
            by_kind.setdefault(event.kind, []).append(event)
        lines = {kind: encode_lines(rows).splitlines() for kind, rows in by_kind.items()}
        return self.store_lines(source, lines, unreadable)

    def store_lines(
        self, source: str, lines: Mapping[str, Sequence[bytes]], unreadable: Sequence[Unreadable]
    ) -> Stored:
        """The same for events that are lines already, by kind."""
        refused = self.insert(lines)
        dead = [*unreadable, *refused]
        if dead:
            self.bury(source, dead)
        return Stored(sum(map(len, lines.values())) - len(refused), len(dead))

    def insert(self, lines: Mapping[str, Sequence[bytes]]) -> Sequence[Unreadable]:
        """Insert lines that are events, by kind, side by side. Returns what the warehouse refuses; its place is the event's id."""
        refused: list[Unreadable] = []
        work = [
            self._pool.submit(self._insert, KINDS[kind].table, rows, refused.append) for kind, rows in lines.items()
        ]
        wait(work)
        for one in work:
            one.result()
        return refused

    def bury(self, source: str, dead: Iterable[Unreadable]) -> None:
        """Note dead letters."""
        self.note([_letter(self._clock(), source, item) for item in dead])

    def note(self, letters: Sequence[DeadLetter]) -> None:
        """Insert dead letters; one of an id that is there already replaces it."""
        if letters:
            self._warehouse.insert_json("dead_letters", msgspec.json.Encoder().encode_lines(letters))

    def _insert(self, table: str, rows: Sequence[bytes], refuse: Callable[[Unreadable], None]) -> None:
        try:
            self._warehouse.insert_json(table, b"\n".join(rows))
        except WarehouseRefused as error:
            if not _is_about_rows(error):
                raise
            if len(rows) == 1:
                refuse(Unreadable(decode(rows[0]).event_id, f"the warehouse refused it: {error}", rows[0]))
                return
            middle = len(rows) // 2
            self._insert(table, rows[:middle], refuse)
            self._insert(table, rows[middle:], refuse)


_ROW_CODES = {6, 26, 27, 38, 41, 53, 69, 70, 72, 117, 130, 131, 349, 376, 407, 691}
"""ClickHouse's codes for values it cannot read or hold: parsing, types, ranges, NULL, UUID, enum."""


def _is_about_rows(error: WarehouseRefused) -> bool:
    return error.code in _ROW_CODES


def _letter(at: datetime, source: str, item: Unreadable) -> DeadLetter:
    text = item.raw.decode("utf-8", errors="replace")
    shown = redact(text)
    digest = blake2b(b"\0".join((source.encode(), item.place.encode(), item.raw)), digest_size=16).hexdigest()
    return DeadLetter(
        at=at,
        source=source,
        place=item.place,
        reason=redact(item.reason)[:REASON_CHARACTERS_MAX],
        payload=shown[:PAYLOAD_CHARACTERS_MAX],
        masked=shown != text or len(shown) > PAYLOAD_CHARACTERS_MAX,
        id=digest,
    )
