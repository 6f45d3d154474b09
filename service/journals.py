"""The journals of the service, for a person to look at and to drain by hand: writes of the store, and events.

Files that a running service writes or drains are passed over; what is replayed twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import UUID

from prometheus_client import CollectorRegistry

from core.clock import utc_now
from core.errors import EventUnreadable, JournalDamaged
from core.events import decode, encode_lines
from core.journal import DAMAGED_SUFFIX, SUFFIX, Journal, JournalFile, closed_files
from core.queue.jetstream import JetStreamQueue
from core.settings import Settings
from service.aftermath import events_in_doubt
from service.failover import STORE_FOLDER, replay
from service.failover.replay import REJECTED_SUFFIX, FileReport, Replayed, Shown, Verified
from service.publisher import EVENTS_FOLDER, Publisher, kind_of
from service.sealed import decode_number
from service.stores.sql import SqlStore
from service.telemetry import Telemetry

FOLDERS = {"store": STORE_FOLDER, "events": EVENTS_FOLDER}


def show(settings: Settings, which: str) -> Iterator[Shown]:
    """The records of one journal, oldest file first. Raises `JournalDamaged` at the damage."""
    yield from replay.show(folder_of(settings, which))


def verify(settings: Settings, which: str) -> Verified:
    """Read everything and change nothing."""
    folder = folder_of(settings, which)
    if which == "store":
        return replay.verify(folder)
    return Verified(files=tuple(_verify_events(file) for file in closed_files(folder)))


def kept_aside(settings: Settings, which: str) -> list[Path]:
    """Files that no replay looks at any more: damaged ones, and records that can never be applied."""
    folder = folder_of(settings, which)
    return sorted([*folder.glob(f"*{DAMAGED_SUFFIX}"), *folder.glob(f"*{REJECTED_SUFFIX}")])


def in_use(settings: Settings, which: str) -> int:
    """How many files somebody else writes or drains now."""
    folder = folder_of(settings, which)
    return len(list(folder.glob(f"*{SUFFIX}"))) - len(list(closed_files(folder)))


def count(settings: Settings, which: str) -> int:
    """How many records there are, applied or not, in files that nobody else uses and as far as they can be read."""
    return sum(file.records for file in verify(settings, which).files)


async def replay_store(
    settings: Settings, progress: Callable[[str, int], None], *, skip_damaged: bool = False
) -> Replayed:
    """Write what was journaled into the primary store. Raises `Unavailable`; the next replay goes on from the mark.

    Events of checks that got another number than they were told of under wait in the journal of events afterwards.
    """
    store = SqlStore(settings.store)
    renumbered: set[UUID] = set()
    try:
        await store.prepare()
        return await replay.replay(
            folder_of(settings, "store"),
            store,
            progress,
            skip_damaged=skip_damaged,
            on_renumbered=renumbered.add,
        )
    finally:
        await _journal_renumbered(settings, store, renumbered)
        await store.close()


async def _journal_renumbered(settings: Settings, store: SqlStore, ids: Iterable[UUID]) -> None:
    events = events_in_doubt([await store.request(request_id) for request_id in ids])
    if not events:
        return
    limits = settings.journal
    journal = Journal(
        folder_of(settings, "events"), file_bytes_max=limits.file_bytes_max, total_bytes_max=limits.total_bytes_max
    )
    try:
        journal.append(encode_lines(events).splitlines())
    finally:
        journal.close()


async def publish_events(settings: Settings, progress: Callable[[str, int], None]) -> int:
    """Publish the events that wait, and return how many. Raises `QueueUnavailable`, and keeps the rest."""
    queue = JetStreamQueue(settings.queue, name="heliograph-journal")
    publisher = Publisher(
        queue,
        folder_of(settings, "events"),
        settings=settings.journal,
        clock=utc_now,
        telemetry=Telemetry(CollectorRegistry()),
        progress=progress,
    )
    try:
        return await publisher.publish_waiting()
    finally:
        await publisher.stop()
        await queue.close()


def folder_of(settings: Settings, which: str) -> Path:
    """Where the files of a journal lie."""
    return settings.journal.folder / FOLDERS[which]


def _verify_events(file: JournalFile) -> FileReport:
    records, problem = 0, ""
    try:
        for record in file.records():
            records += 1
            problem = problem or _fault_of(record.number, record.payload)
    except JournalDamaged as damage:
        problem = str(damage)
    except OSError as error:
        problem = f"it cannot be opened: {error.strerror}"
    return FileReport(file=file.path.name, records=records, applied=min(file.mark, records), problem=problem)


def _fault_of(number: int, payload: bytes) -> str:
    try:
        if kind_of(payload) == "number":
            decode_number(payload)
        else:
            decode(payload)
    except EventUnreadable as error:
        return f"record {number}: {error}"
    return ""
