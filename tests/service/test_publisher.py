"""What was told is on disk before the answer, reaches the queue in order, and survives the queue and the process."""

from __future__ import annotations

import errno
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from core.clock import Clock, ManualClock
from core.errors import JournalWriteFailed, QueueUnavailable
from core.events import Inbound, Verify, decode_lines, encode_lines
from core.hooks import NO_HOOKS, Hooks
from core.ids import RequestIds
from core.journal import JournalFile, backlog_bytes
from core.queue import EVENTS, NUMBERS
from core.queue.memory import MemoryQueue
from core.settings.servers import Journal as JournalSettings
from service.publisher import SYNC_SECONDS_MAX, Publisher
from service.sealed import SealedNumber, decode_number
from service.telemetry import Telemetry
from tests.support.until import until

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_ids = RequestIds(lambda: NOW)


def make(
    folder: Path,
    queue: MemoryQueue,
    *,
    clock: Clock | None = None,
    hooks: Hooks = NO_HOOKS,
    sync_seconds_max: float = SYNC_SECONDS_MAX,
    **limits: int,
) -> Publisher:
    return Publisher(
        queue,
        folder,
        settings=JournalSettings(folder=folder, **limits),
        clock=clock or ManualClock(NOW),
        telemetry=Telemetry(CollectorRegistry()),
        hooks=hooks,
        sync_seconds_max=sync_seconds_max,
    )


def an_event(check: int = 1) -> Verify:
    return Verify(at=NOW, request_id=_ids(), attempt=1, check=check, result="approved")


async def told(queue: MemoryQueue, stream: str = EVENTS) -> list[bytes]:
    return [row.body for row in await queue.pull(stream, "test", batch_max=10_000, wait_seconds=0.01)]


async def events_of(queue: MemoryQueue) -> list[object]:
    return [event for body in await told(queue) for event in decode_lines(body)[0]]


async def test_events_reach_the_queue_in_order_a_batch_a_message(tmp_path):
    queue = MemoryQueue()
    publisher = make(tmp_path, queue)
    events = [an_event(number) for number in range(1, 101)]
    for event in events:
        await publisher.tell([event])
    count = await publisher.publish_waiting()
    bodies = await told(queue)
    await publisher.stop()

    assert count == 100
    assert len(bodies) == 1
    assert decode_lines(bodies[0])[0] == events


async def test_kinds_go_to_subjects_of_their_own_and_numbers_to_their_stream(tmp_path):
    queue = MemoryQueue()
    publisher = make(tmp_path, queue)
    number = SealedNumber(request_id=_ids(), at=NOW, sealed=b"sealed")
    inbound = Inbound(at=NOW, message_hash="a" * 32, phone_hash="b" * 32, keyword="stop")
    await publisher.tell([an_event(), inbound], [number])
    await publisher.publish_waiting()
    subjects = [row.subject for row in await queue.pull(EVENTS, "test", batch_max=10, wait_seconds=0.01)]
    [body] = await told(queue, NUMBERS)
    await publisher.stop()

    assert sorted(subjects) == ["events.inbound", "events.verify"]
    assert decode_number(body.strip()) == number


async def test_a_process_that_died_loses_nothing_that_was_told(tmp_path):
    queue, event = MemoryQueue(), an_event()
    dead = make(tmp_path, queue)
    await dead.tell([event])
    dead._journal.close()  # what the kernel does for a process that was killed: the lock is gone, the file is there
    successor = make(tmp_path, queue)
    await successor.publish_waiting()
    await successor.stop()

    assert await events_of(queue) == [event]
    assert backlog_bytes(tmp_path) == 0


async def test_while_the_queue_is_down_events_wait_on_disk_and_come_in_order_once(tmp_path):
    queue, clock = MemoryQueue(), ManualClock(NOW)
    publisher = make(tmp_path, queue, clock=clock)
    queue.available = False
    events = [an_event(number) for number in range(1, 31)]
    for event in events:
        await publisher.tell([event])
        clock.advance(seconds=1)
        with pytest.raises(QueueUnavailable):
            await publisher.publish_waiting()
    queue.available = True
    counts = [await publisher.publish_waiting() for _ in range(2)]
    await publisher.stop()

    assert counts == [30, 0]
    assert await events_of(queue) == events
    assert backlog_bytes(tmp_path) == 0


async def test_however_long_the_queue_is_down_the_journal_is_not_cut_into_a_file_a_try(tmp_path):
    queue = MemoryQueue()
    publisher = make(tmp_path, queue)
    queue.available = False
    for number in range(1, 31):
        await publisher.tell([an_event(number)])
        with pytest.raises(QueueUnavailable):
            await publisher.publish_waiting()
    files = list(tmp_path.glob("*.journal"))
    await publisher.stop()

    assert len(files) <= 2


async def test_a_disk_that_is_full_refuses_the_events_and_still_lets_the_journal_be_published(tmp_path):
    queue = MemoryQueue()
    publisher = make(tmp_path, queue, total_bytes_max=4096, file_bytes_max=4096)
    await publisher.tell([an_event()])
    too_much = tuple(encode_lines([an_event(number) for number in range(1, 101)]).splitlines())
    told_of, rotated = publisher._append([too_much, ()])  # one batch of the lane: an event too many, and the publisher
    count = await publisher.publish_waiting()
    await publisher.stop()

    assert isinstance(told_of, JournalWriteFailed)
    assert rotated is None
    assert count == 1


async def test_what_was_published_twice_is_dropped_by_the_queue(tmp_path):
    queue, event = MemoryQueue(), an_event()
    for _ in range(2):  # two processes that drain the same file publish the same bytes
        publisher = make(tmp_path, queue)
        await publisher._publish(encode_lines([event]).splitlines())
        await publisher.stop()

    assert await events_of(queue) == [event]


async def test_a_disk_that_is_full_sends_events_to_the_queue_directly(tmp_path):
    queue, event = MemoryQueue(), an_event()
    publisher = make(tmp_path, queue, total_bytes_max=4096, file_bytes_max=4096)
    for _ in range(20):
        await publisher.tell([an_event()])  # more than the journal takes
    await publisher.tell([event])
    directly = await events_of(queue)
    await publisher.stop()

    assert event in directly


async def test_what_neither_takes_is_counted_as_lost(tmp_path):
    queue, registry = MemoryQueue(), CollectorRegistry()
    settings = JournalSettings(folder=tmp_path, total_bytes_max=4096, file_bytes_max=4096)
    publisher = Publisher(queue, tmp_path, settings=settings, clock=ManualClock(NOW), telemetry=Telemetry(registry))
    queue.available = False
    for _ in range(100):
        await publisher.tell_if_possible([an_event()])
    kept = registry.get_sample_value("heliograph_events_told_total", {"kind": "verify"})
    lost = registry.get_sample_value("heliograph_events_lost_total", {"kind": "verify"})
    await publisher.stop()

    assert kept
    assert lost
    assert kept + lost == 100


async def test_a_damaged_file_is_set_aside_once_all_that_is_intact_in_it_is_published(tmp_path):
    queue = MemoryQueue()
    publisher = make(tmp_path, queue)
    first, second, third = an_event(1), an_event(2), an_event(3)
    for event in (first, second, third):
        await publisher.tell([event])
    publisher._journal.close()
    [path] = tmp_path.glob("*.journal")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1] + b"damage" + lines[2][:20] + lines[2][21:] + lines[3])
    good = an_event()
    await publisher.tell([good])
    await publisher.publish_waiting()
    await publisher.stop()

    assert await events_of(queue) == [first, third, good]
    assert list(tmp_path.glob("*.damaged"))


async def test_the_task_publishes_by_itself_and_the_rest_at_the_end(tmp_path):
    queue = MemoryQueue()
    publisher = make(tmp_path, queue)
    await publisher.start()
    first, second = an_event(), an_event()
    await publisher.tell([first])
    await until(lambda: backlog_bytes(tmp_path) == 0)
    await publisher.tell([second])
    await publisher.stop()

    assert await events_of(queue) == [first, second]
    assert backlog_bytes(tmp_path) == 0


async def test_a_disk_that_does_not_confirm_acknowledges_nothing_unless_the_queue_does(tmp_path):
    broken = True

    def sync(_descriptor: int) -> None:
        if broken:
            raise OSError(errno.EIO, "Input/output error")

    queue, event, later = MemoryQueue(), an_event(), an_event()
    publisher = make(tmp_path, queue, hooks=Hooks(sync=sync))
    await publisher.tell([event])
    directly = await events_of(queue)
    queue.available = False
    with pytest.raises(QueueUnavailable):
        await publisher.tell([an_event()])
    broken = False
    await publisher.tell([later])
    queue.available = True
    await publisher.publish_waiting()
    await publisher.stop()

    assert directly == [event]
    assert later in await events_of(queue)


async def test_a_disk_that_hangs_is_not_waited_for_and_what_comes_both_ways_has_one_key(tmp_path):
    well = threading.Event()
    queue, event, next_event = MemoryQueue(), an_event(1), an_event(2)
    publisher = make(tmp_path, queue, hooks=Hooks(sync=lambda _descriptor: well.wait() and None), sync_seconds_max=0.2)
    try:
        await publisher.tell([event])
        await publisher.tell([next_event])
        directly = await events_of(queue)
    finally:
        well.set()
    await publisher.publish_waiting()
    await publisher.stop()

    assert directly == [event, next_event]
    assert {row.event_id for row in await events_of(queue)} <= {event.event_id, next_event.event_id}


class BrokenQueue(MemoryQueue):
    """Its client has a fault while `broken`: what it raises is nobody's error."""

    broken = True

    async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
        if self.broken:
            raise AttributeError("'NoneType' object has no attribute 'is_closed'")
        await super().publish(subject, body, message_id=message_id)


async def test_whatever_the_client_of_the_queue_raises_it_is_tried_again(tmp_path):
    queue, event = BrokenQueue(), an_event()
    publisher = make(tmp_path, queue)
    await publisher.start()
    await publisher.tell([event])
    await until(lambda: not publisher.is_up)
    queue.broken = False
    await until(lambda: publisher.is_up)
    await publisher.stop()

    assert await events_of(queue) == [event]


async def test_a_file_that_another_process_publishes_is_left_to_it(tmp_path):
    queue, event = MemoryQueue(), an_event()
    dead = make(tmp_path, queue)
    await dead.tell([event])
    dead._journal.close()
    [path] = tmp_path.glob("*.journal")
    publisher = make(tmp_path, queue)
    with JournalFile(path).held():
        beside = await publisher.publish_waiting()
    after = await publisher.publish_waiting()
    await publisher.stop()

    assert (beside, after) == (0, 1)


async def test_a_backlog_that_is_nearly_full_is_told_once_until_there_is_room_again(tmp_path):
    publisher = make(tmp_path, MemoryQueue(), total_bytes_max=10_000)
    with structlog.testing.capture_logs() as logs:
        for size in (7_999, 8_001, 9_000, 100, 8_500):
            publisher._watch_backlog(size)
    await publisher.stop()

    assert [line["bytes"] for line in logs] == [8_001, 8_500]


async def test_each_reason_why_the_queue_takes_nothing_is_told_once_until_it_is_back(tmp_path):
    class RefusingQueue(MemoryQueue):
        reason = ""

        async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
            if self.reason:
                raise QueueUnavailable(self.reason)
            await super().publish(subject, body, message_id=message_id)

    queue = RefusingQueue()
    publisher = make(tmp_path, queue)
    with structlog.testing.capture_logs() as logs:
        for reason in ("cut off", "no room", "cut off", "", "cut off"):
            queue.reason = reason
            await publisher.tell([an_event()])
            await publisher._try_to_publish()
    await publisher.stop()

    assert [line.get("reason", "back") for line in logs] == ["cut off", "no room", "back", "cut off"]
