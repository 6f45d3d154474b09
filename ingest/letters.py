"""Tries dead letters again: what can be read by now is stored and its letter goes, what cannot stays with its new reason.

Whoever stops in between, or does it twice, or beside another ingester, changes nothing that is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

import msgspec
import structlog

from core import wishes
from core.clock import Clock
from core.errors import EventUnreadable, Unavailable, WarehouseRefused
from core.events import decode, encode_lines
from core.layout import Layout
from core.redact import redact
from core.warehouse import Warehouse
from ingest.sink import REASON_CHARACTERS_MAX, DeadLetter, Sink

_log = structlog.get_logger(__name__)

LOOK_SECONDS = 3.0
ASKED_WITHIN = timedelta(days=1)
"""An older wish nobody waits for any more."""

_STREAM = "stream "
"""Letters of files hold a row in the file's own form: it is the file that has to be loaded again."""


@dataclass(frozen=True)
class Retried:
    """What became of the letters. Those that were masked lost what was masked and cannot be tried."""

    tried: int = 0
    stored: int = 0
    masked: int = 0
    is_whole: bool = True

    def told(self) -> str:
        """It in words."""
        lost = f"; {self.masked:,} were masked and cannot be tried" if self.masked else ""
        return f"{self.tried:,} tried, {self.stored:,} stored, {self.tried - self.stored:,} stay{lost}"


class Letters:
    """The dead letters of a warehouse. Raises `WarehouseUnavailable`, with every letter still there or its event stored."""

    def __init__(self, warehouse: Warehouse, sink: Sink, *, clock: Clock, page_letters: int = 2_000) -> None:
        self._warehouse = warehouse
        self._sink = sink
        self._clock = clock
        self._page_letters = page_letters

    def retry(
        self,
        *,
        reason: str = wishes.ALL,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        go_on: Callable[[], bool] = lambda: True,
    ) -> Retried:
        """Try those that were given up for `reason` until now, a page at a time as long as `go_on` says so."""
        until = self._clock()
        total, masked = self._count(reason, until)
        tried = stored = 0
        for page in self._pages(reason, until):
            if not go_on():
                return Retried(tried, stored, masked, is_whole=False)
            stored += self._try(page)
            tried += len(page)
            progress(tried, total)
        return Retried(tried, stored, masked)

    def _try(self, page: Sequence[DeadLetter]) -> int:
        waiting: dict[str, list[DeadLetter]] = {}
        lines: dict[str, list[bytes]] = {}
        kept: list[tuple[DeadLetter, str]] = []
        for letter in page:
            try:
                event = decode(letter.payload.encode())
            except EventUnreadable as error:
                kept.append((letter, str(error)))
                continue
            lines.setdefault(event.kind, []).append(encode_lines([event]).rstrip())
            waiting.setdefault(event.event_id, []).append(letter)
        for item in self._sink.insert(lines):
            kept += [(letter, item.reason) for letter in waiting.pop(item.place, [])]
        mended = list(chain.from_iterable(waiting.values()))
        self._forget(mended)
        self._sink.note([_with_reason(letter, reason) for letter, reason in kept if letter.source.startswith(_STREAM)])
        return len(mended)

    def _forget(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            self._warehouse.command(
                forget_statement(self._warehouse.layout), {"ids": [letter.id for letter in letters]}
            )

    def _count(self, reason: str, until: datetime) -> tuple[int, int]:
        sql = f"SELECT countIf(NOT masked), countIf(masked) FROM dead_letters FINAL WHERE {_CHOSEN}"
        ((whole, masked),) = self._warehouse.query_rows(sql, {"reason": reason, "until": _ms(until)})
        return int(whole), int(masked)

    def _pages(self, reason: str, until: datetime) -> Iterator[list[DeadLetter]]:
        sql = f"""
            SELECT toUnixTimestamp64Milli(at), toString(source), place, reason, payload, masked, toString(id) AS letter
            FROM dead_letters FINAL
            WHERE {_CHOSEN} AND NOT masked AND (source, toString(id)) > ({{source:String}}, {{after:String}})
            ORDER BY source, id LIMIT {self._page_letters}"""
        source = after = ""
        while rows := self._warehouse.query_rows(
            sql, {"reason": reason, "until": _ms(until), "source": source, "after": after}
        ):
            page = [
                DeadLetter(
                    at=datetime.fromtimestamp(at_ms / 1000, UTC),
                    source=source,
                    place=place,
                    reason=why,
                    payload=payload,
                    masked=bool(masked),
                    id=letter,
                )
                for at_ms, source, place, why, payload, masked, letter in rows
            ]
            yield page
            source, after = page[-1].source, page[-1].id


class Retrier:
    """Takes up what operators ask for in the dashboard. Several may run: each wish is fulfilled, by one or by more."""

    def __init__(self, warehouse: Warehouse, sink: Sink, *, clock: Clock) -> None:
        self._warehouse = warehouse
        self._letters = Letters(warehouse, sink, clock=clock)
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Look every few seconds until `stop`; a warehouse that is away is looked for again."""
        is_away = False
        while not stop.is_set():
            try:
                await asyncio.to_thread(self.step, lambda: not stop.is_set())
                is_away = False
            except (Unavailable, WarehouseRefused) as error:
                if not is_away:
                    _log.warning("dead letters wait", reason=str(error), hint=error.hint)
                is_away = True
            try:
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    def step(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Fulfil what was asked and not answered yet; what is left in the middle is asked still."""
        for wish in wishes.asked(self._warehouse, wishes.RETRY, since=self._clock() - ASKED_WITHIN):
            if wish.answer:
                continue
            done = self._letters.retry(reason=wish.about, go_on=go_on)
            if not done.is_whole:
                return
            wishes.answer(self._warehouse, wishes.RETRY, wish, done.told(), by="ingester", now=self._clock())
            _log.info("dead letters tried again", tried=done.tried, stored=done.stored, masked=done.masked)


_CHOSEN = "({reason:String} = '' OR reason = {reason:String}) AND at <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')"


def forget_statement(layout: Layout) -> str:
    """The statement by which letters go from where their rows lie."""
    return f"DELETE FROM {layout.stored('dead_letters')}{layout.on_cluster} WHERE id IN {{ids:Array(String)}}"


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _with_reason(letter: DeadLetter, reason: str) -> DeadLetter:
    return msgspec.structs.replace(letter, reason=redact(reason)[:REASON_CHARACTERS_MAX])
