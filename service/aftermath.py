"""After a crash: outcomes of attempts that a killed process told the queue's journal and could not write into the store any more.

Both are written side by side before anyone is answered, so a kill can leave an event without its fact; the event says
all that the outcome does, but for the provider's own reference. The other way round, an attempt without outcome stays one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

import structlog

from core.errors import EventUnreadable, HeliographError
from core.events import Send, decode
from core.journal import closed_files
from service.facts import AttemptOutcome
from service.publisher import kind_of
from service.stores import Store

_log = structlog.get_logger(__name__)

_LAST_MAX = 1_000
"""Sends that are looked at, newest first: more were never under way when the process ended."""


async def keep_outcomes(folder: Path, store: Store) -> int:
    """Write the outcomes that are missing, and return how many; a store that does not answer leaves them missing."""
    try:
        sends = await asyncio.to_thread(lambda: list(islice(_last_sends(folder), _LAST_MAX)))
        are_missing = await asyncio.gather(*(_is_missing(store, send) for send in sends))
        missing = [send for send, is_missing in zip(sends, are_missing, strict=True) if is_missing]
        await store.write([outcome_of(send) for send in missing])
    except (HeliographError, FileNotFoundError) as error:  # or another process was quicker to publish the file
        _log.warning("outcomes of the process before this one could not be looked after", reason=str(error))
        return 0
    if missing:
        _log.info("outcomes of the process before this one were written", outcomes=len(missing))
    return len(missing)


def outcome_of(send: Send) -> AttemptOutcome:
    """The outcome that an event tells of."""
    return AttemptOutcome(
        request_id=send.request_id,
        attempt=send.attempt,
        at=send.at + timedelta(milliseconds=send.latency_ms),
        outcome=send.outcome,
        error_class=send.error_class,
        error_code=send.error_code,
        latency_ms=send.latency_ms,
        segments=send.segments,
    )


async def _is_missing(store: Store, send: Send) -> bool:
    state = await store.request(send.request_id)
    return (
        state is not None
        and any(row.attempt == send.attempt for row in state.attempts)
        and all(row.attempt != send.attempt for row in state.outcomes)
    )


def _last_sends(folder: Path) -> Iterator[Send]:
    for file in reversed(list(closed_files(folder))):
        for record in reversed(list(file.records(skip_damaged=True))):
            if kind_of(record.payload) == "send":
                try:
                    event = decode(record.payload)
                except EventUnreadable:
                    continue
                if isinstance(event, Send):
                    yield event
