"""What an older version left in a journal or on the queue is read by this one; what it cannot read is kept, and costs no neighbour.

The files in sandbox/versions are never made anew: they are what is out there.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import msgspec
from prometheus_client import CollectorRegistry

from core.clock import ManualClock
from core.events import decode_lines
from core.journal import Journal, JournalFile, backlog_bytes
from core.queue import EVENTS, NUMBERS
from core.queue.memory import MemoryQueue
from core.settings.servers import Journal as JournalSettings
from core.settings.servers import Store as StoreSettings
from sandbox.versions import VERSION_1
from service.facts import AnyFact, AttemptOutcome, Check, DeliveryReceipt
from service.failover.journaling import encode
from service.failover.replay import REJECTED_SUFFIX, replay, verify
from service.publisher import Publisher
from service.sealed import decode_number
from service.stores.memory import MemoryStore
from service.stores.sql import SqlStore
from service.telemetry import Telemetry
from tests.service.stores import facts

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def a_copy(name: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(VERSION_1 / name, folder))


async def published(folder: Path) -> MemoryQueue:
    queue = MemoryQueue()
    settings, telemetry = JournalSettings(folder=folder), Telemetry(CollectorRegistry())
    publisher = Publisher(queue, folder, settings=settings, clock=ManualClock(NOW), telemetry=telemetry)
    await publisher.publish_waiting()
    await publisher.stop()
    return queue


async def bodies(queue: MemoryQueue, stream: str) -> list[bytes]:
    return [row.body for row in await queue.pull(stream, "test", batch_max=100, wait_seconds=0.01)]


async def test_a_journal_of_the_store_is_replayed_whole_with_a_fact_of_every_kind(tmp_path: Path):
    a_copy("store.journal", tmp_path)
    sound = verify(tmp_path).is_sound
    twin, store = MemoryStore(), SqlStore(StoreSettings(url=f"sqlite:///{tmp_path / 'store.sqlite3'}"))
    kept = a_copy("store.journal", tmp_path / "again")
    done = [await replay(tmp_path, twin), await replay(kept.parent, store)]
    await store.close()

    assert sound
    assert [(row.records, row.rejected) for row in done] == [(15, 0), (15, 0)]
    assert {type(fact) for fact in twin.facts()} == set(get_args(AnyFact))


async def test_fields_that_came_later_get_their_defaults_and_what_can_no_longer_run_is_kept(tmp_path: Path):
    path = a_copy("store-before-optional-fields.journal", tmp_path)
    store = MemoryStore()
    done = await replay(tmp_path, store)
    found = {type(fact): fact for fact in store.facts()}

    assert (done.records, done.rejected) == (9, 1)  # an opt-out before it was kept by the message that said it
    assert b"message_hash" in path.with_suffix(REJECTED_SUFFIX).read_bytes()
    assert len(store.facts()) == 8
    assert found[AttemptOutcome].segments == 1
    assert found[DeliveryReceipt].carrier == ""
    assert found[Check].source == "check"


async def test_a_field_of_a_later_version_is_not_dropped_silently(tmp_path: Path):
    record = msgspec.json.decode(encode(facts.request(), NOW))
    record["parameters"]["from_the_future"] = 1
    journal = Journal(tmp_path, file_bytes_max=1 << 20, total_bytes_max=1 << 30)
    journal.append([msgspec.json.encode(record)])
    journal.close()
    [file] = verify(tmp_path).files
    done = await replay(tmp_path, MemoryStore())

    assert "no parameter is called 'from_the_future'" in file.problem
    assert done.rejected == 1


async def test_a_journal_of_events_and_numbers_is_published_and_can_be_read_by_ingest_and_the_encryptor(tmp_path: Path):
    a_copy("events.journal", tmp_path)
    queue = await published(tmp_path)
    read = [decode_lines(body) for body in await bodies(queue, EVENTS)]
    numbers = [decode_number(line) for body in await bodies(queue, NUMBERS) for line in body.splitlines()]

    assert [bad for _, rows in read for bad in rows] == []
    assert {event.kind for events, _ in read for event in events} == {"send", "receipt", "verify", "inbound"}
    assert len(numbers) == 1


def test_a_message_on_the_queue_can_be_read():
    events, bad = decode_lines((VERSION_1 / "events.jsonl").read_bytes())
    numbers = [decode_number(line) for line in (VERSION_1 / "numbers.jsonl").read_bytes().splitlines()]

    assert (len(events), bad, len(numbers)) == (5, [], 1)


async def test_a_record_of_a_kind_that_nobody_knows_leaves_the_journal_and_costs_no_other(tmp_path: Path):
    path = a_copy("events.journal", tmp_path)
    known = [record.payload for record in JournalFile(path).records()]
    path.unlink()
    journal = Journal(tmp_path, file_bytes_max=1 << 20, total_bytes_max=1 << 30)
    journal.append([b'{"kind":"of another time","v":7}', b"no json", *known])
    journal.close()
    queue = await published(tmp_path)
    messages = await queue.pull(EVENTS, "test", batch_max=100, wait_seconds=0.01)

    assert "events.unreadable" in {message.subject for message in messages}
    assert sum(len(decode_lines(message.body)[0]) for message in messages) == 5
    assert backlog_bytes(tmp_path) == 0
