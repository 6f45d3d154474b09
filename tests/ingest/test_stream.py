"""From the queue into the warehouse: insert, then acknowledge; a bad event costs none of its neighbours."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from core.clock import ManualClock, utc_now
from core.errors import WarehouseRefused, WarehouseUnavailable
from core.events import Send, Verify, encode_lines
from core.ids import uuid7_from
from core.queue import DEDUPLICATION_SECONDS, EVENTS, events_subject
from core.queue.memory import ACK_WAIT_SECONDS, MemoryQueue
from core.settings.watching import Ingest
from ingest.sink import Sink
from ingest.stream import CONSUMER, PAUSE_SECONDS_MAX, StreamIngester

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FAST = Ingest(wait_seconds=0.01)


def sends(count: int) -> list[Send]:
    return [
        Send(
            at=AT,
            request_id=uuid7_from(AT, str(n)),
            attempt=1,
            category="code",
            cause="first",
            outcome="accepted",
            provider="alpha",
        )
        for n in range(count)
    ]


async def publish(queue, *bodies):
    for number, body in enumerate(bodies):
        await queue.publish(events_subject("send"), body, message_id=f"{number}{hash(body)}")


class Unsteady:
    """A warehouse that fails as told before it works."""

    def __init__(self, warehouse, failures):
        self.warehouse = warehouse
        self.failures = list(failures)

    def insert_json(self, table, lines):
        if self.failures:
            raise self.failures.pop(0)
        self.warehouse.insert_json(table, lines)


async def test_events_of_every_kind_reach_their_tables(warehouse):
    queue = MemoryQueue()
    check = Verify(at=AT, request_id=uuid7_from(AT, "0"), attempt=1, check=1, result="approved")
    await publish(queue, encode_lines([*sends(10), check]))
    ingester = StreamIngester(queue, Sink(warehouse, clock=utc_now), FAST)
    stored = await ingester.step()

    assert (stored.events, stored.dead_letters) == (11, 0)
    assert warehouse.query_rows("SELECT count(), countIf(approved_at IS NOT NULL) FROM attempts FINAL") == [(10, 1)]
    assert (await queue.state(EVENTS, CONSUMER)).pending == 0


async def test_what_cannot_be_read_is_a_dead_letter_with_its_reason(warehouse):
    queue = MemoryQueue()
    number = "+" + "4477009" + "00123"
    await publish(
        queue, b"\n".join([b"not json", encode_lines(sends(3)).strip(), b'{"kind":"send","to":"%s"}' % number.encode()])
    )
    stored = await StreamIngester(queue, Sink(warehouse, clock=utc_now), FAST).step()
    letters = warehouse.query_rows("SELECT place, reason, payload, masked FROM dead_letters FINAL ORDER BY place")

    assert (stored.events, stored.dead_letters) == (3, 2)
    assert [(place, payload, masked) for place, _, payload, masked in letters] == [
        ("1:0", "not json", False),
        ("1:4", '{"kind":"send","to":"[masked]"}', True),
    ]
    assert "at" in letters[1][1]


async def test_a_warehouse_that_is_away_is_waited_for_and_nothing_is_acknowledged(warehouse):
    clock = ManualClock(AT)
    queue = MemoryQueue(clock)
    await publish(queue, encode_lines(sends(5)))
    away = Unsteady(warehouse, [WarehouseUnavailable("away"), WarehouseUnavailable("away")])
    ingester = StreamIngester(queue, Sink(away, clock=clock), FAST)
    with pytest.raises(WarehouseUnavailable):
        await ingester.step()

    assert (await queue.state(EVENTS, CONSUMER)).pending == 1

    stop, pauses = asyncio.Event(), []

    async def sleep(seconds):
        pauses.append(seconds)
        clock.advance(seconds=ACK_WAIT_SECONDS)

    async def stop_when_done():
        while ingester.totals.events < 5:
            await asyncio.sleep(0.01)
            clock.advance(seconds=ACK_WAIT_SECONDS)
        stop.set()

    ingester._sleep = sleep
    await asyncio.gather(ingester.run(stop), stop_when_done())

    assert pauses == [0.5]
    assert warehouse.query_rows("SELECT count() FROM attempts FINAL") == [(5,)]


async def test_a_warehouse_that_says_no_is_waited_for_until_somebody_mends_it(warehouse):
    clock = ManualClock(AT)
    queue = MemoryQueue(clock)
    await publish(queue, encode_lines(sends(5)))
    warehouse.command("RENAME TABLE send_events TO send_events_lost")
    stop, pauses = asyncio.Event(), []

    async def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            warehouse.command("RENAME TABLE send_events_lost TO send_events")
            stop.set()

    ingester = StreamIngester(queue, Sink(warehouse, clock=clock), FAST, sleep=sleep)
    await ingester.run(stop)
    await ingester.step()

    assert len(pauses) >= 2
    assert (await queue.state(EVENTS, CONSUMER)).pending == 0
    assert warehouse.query_rows("SELECT count() FROM send_events FINAL") == [(5,)]
    assert warehouse.query_rows("SELECT count() FROM dead_letters") == [(0,)]


async def test_a_warehouse_may_be_away_for_hours():
    queue = MemoryQueue()
    stop, pauses = asyncio.Event(), []

    async def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 1_100:
            stop.set()

    class Gone:
        def insert_json(self, table, lines):
            raise WarehouseUnavailable("away")

    await publish(queue, encode_lines(sends(1)))
    await StreamIngester(queue, Sink(Gone(), clock=utc_now), FAST, sleep=sleep).run(stop)

    assert pauses[-1] == PAUSE_SECONDS_MAX


async def test_redelivery_after_a_crash_changes_nothing(warehouse):
    queue = MemoryQueue()
    body = encode_lines(sends(20))
    await publish(queue, body)
    sink = Sink(warehouse, clock=utc_now)
    sink.store("stream EVENTS", sends(20), [])
    await StreamIngester(queue, sink, FAST).step()

    assert warehouse.query_rows("SELECT count() FROM send_events FINAL") == [(20,)]
    assert warehouse.query_rows("SELECT count() FROM attempts FINAL") == [(20,)]


async def test_a_row_that_the_warehouse_refuses_is_found_and_its_neighbours_stored(warehouse):
    poison = sends(9)[6].event_id.encode()

    class Picky:
        inserts = 0

        def insert_json(self, table, lines):
            Picky.inserts += 1
            if table == "send_events" and poison in lines:
                raise WarehouseRefused("cannot parse", code=27)
            warehouse.insert_json(table, lines)

    stored = Sink(Picky(), clock=utc_now).store("file x", sends(9), [])

    assert (stored.events, stored.dead_letters) == (8, 1)
    assert warehouse.query_rows("SELECT count() FROM attempts FINAL") == [(8,)]
    assert warehouse.query_rows("SELECT source, reason FROM dead_letters FINAL") == [
        ("file x", "the warehouse refused it: cannot parse")
    ]


async def test_a_warehouse_without_its_tables_buries_nothing(warehouse):
    refusal = WarehouseRefused("Table does not exist", code=60)

    with pytest.raises(WarehouseRefused):
        Sink(Unsteady(warehouse, [refusal]), clock=utc_now).store("stream EVENTS", sends(3), [])
    assert warehouse.query_rows("SELECT count() FROM dead_letters") == [(0,)]


async def test_events_of_many_days_are_stored_at_once(warehouse):
    spread = [
        Send(
            at=AT + timedelta(days=n),
            request_id=uuid7_from(AT + timedelta(days=n), "x"),
            attempt=1,
            category="code",
            cause="first",
            outcome="accepted",
        )
        for n in range(150)
    ]
    Sink(warehouse, clock=utc_now).store("file x", spread, [])

    assert warehouse.query_rows("SELECT count() FROM attempts FINAL") == [(150,)]


async def test_what_could_not_be_stored_comes_again_at_once_when_the_warehouse_is_back(warehouse):
    queue = MemoryQueue(ManualClock(AT))  # nobody waits for an acknowledgement to be overdue
    await publish(queue, encode_lines(sends(3)))
    away = Unsteady(warehouse, [WarehouseUnavailable("away")])
    ingester = StreamIngester(queue, Sink(away, clock=utc_now), FAST)
    with pytest.raises(WarehouseUnavailable):
        await ingester.step()

    assert (await ingester.step()).events == 3


async def test_what_is_published_again_after_the_queue_forgot_its_id_is_counted_once(warehouse):
    clock = ManualClock(AT)
    queue = MemoryQueue(clock)
    ingester = StreamIngester(queue, Sink(warehouse, clock=clock), FAST)
    for _ in range(2):
        await publish(queue, encode_lines(sends(5)))
        await ingester.step()
        clock.advance(seconds=DEDUPLICATION_SECONDS + 1)

    assert ingester.totals.events == 10
    assert warehouse.query_rows("SELECT count() FROM send_events FINAL") == [(5,)]
    assert warehouse.query_rows("SELECT count() FROM attempts FINAL") == [(5,)]
