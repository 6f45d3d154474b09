"""Dead letters tried again: what can be read by now is stored and its letter goes, what cannot stays with the new reason."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from click.testing import CliRunner

from core import wishes
from core.clock import utc_now
from core.errors import WarehouseRefused
from core.events import Verify, encode_lines
from core.ids import uuid7_from
from core.layout import Layout
from core.queue.memory import MemoryQueue
from core.warehouse import Warehouse
from ingest.cli import ingest
from ingest.letters import Letters, Retried, Retrier, forget_statement
from ingest.sink import Sink, Unreadable
from ingest.stream import StreamIngester
from tests.app.conftest import environment
from tests.ingest.test_stream import AT, FAST, publish, sends
from tests.support.until import until

STREAM = "stream EVENTS"
OLD_REASON = "an older version could not read it"


def sink(warehouse: Warehouse) -> Sink:
    return Sink(warehouse, clock=utc_now)


def bury(warehouse: Warehouse, *raw: bytes, source: str = STREAM, reason: str = OLD_REASON) -> None:
    sink(warehouse).bury(source, [Unreadable(str(place), reason, line) for place, line in enumerate(raw)])


def reasons(warehouse: Warehouse) -> list[tuple[str, int]]:
    sql = "SELECT reason, count() FROM dead_letters FINAL GROUP BY reason ORDER BY reason"
    return [(reason, int(count)) for reason, count in warehouse.query_rows(sql)]


def attempts(warehouse: Warehouse) -> int:
    ((count,),) = warehouse.query_rows("SELECT count() FROM attempts FINAL")
    return int(count)


def retry(warehouse: Warehouse, **options) -> Retried:
    return Letters(warehouse, sink(warehouse), clock=utc_now, page_letters=2).retry(**options)


async def test_a_row_that_the_warehouse_refused_is_stored_when_the_cause_was_mended(warehouse):
    class Broken:
        def insert_json(self, table, lines):
            if table == "send_events":
                raise WarehouseRefused("cannot parse", code=27)
            warehouse.insert_json(table, lines)

    queue = MemoryQueue()
    await publish(queue, encode_lines(sends(3)) + b"not json\n")
    await StreamIngester(queue, Sink(Broken(), clock=utc_now), FAST).step()
    assert sum(count for _, count in reasons(warehouse)) == 4

    asked = wishes.ask(warehouse, wishes.RETRY, about=wishes.ALL, by="ada@example.org", now=utc_now())
    Retrier(warehouse, sink(warehouse), clock=utc_now).step()

    assert attempts(warehouse) == 3
    assert [count for _, count in reasons(warehouse)] == [1]
    (told,) = wishes.asked(warehouse, wishes.RETRY, since=AT)
    assert (told.id, told.asked_by) == (asked.id, "ada@example.org")
    assert told.answer == "4 tried, 3 stored, 1 stay"


def test_what_still_cannot_be_read_stays_with_the_new_reason(warehouse):
    bury(warehouse, b"not json", encode_lines(sends(1)).rstrip())
    (before,) = warehouse.query_rows("SELECT at, place, id FROM dead_letters FINAL WHERE payload = 'not json'")

    assert retry(warehouse) == Retried(tried=2, stored=1)
    ((reason, *after),) = warehouse.query_rows("SELECT reason, at, place, id FROM dead_letters FINAL")
    assert "JSON is malformed" in reason
    assert tuple(after) == before


def test_doing_it_again_changes_nothing(warehouse):
    check = Verify(at=AT, request_id=uuid7_from(AT, "0"), attempt=1, check=1, result="approved")
    bury(warehouse, *encode_lines([*sends(5), check]).splitlines(), b"{}")
    first = retry(warehouse)
    bury(warehouse, *encode_lines(sends(5)).splitlines())  # the queue brought them to an old ingester once more

    assert first == Retried(tried=7, stored=6)
    assert retry(warehouse) == Retried(tried=6, stored=5)
    assert retry(warehouse) == Retried(tried=1, stored=0)
    assert attempts(warehouse) == 5


def test_only_the_letters_of_the_reason_are_tried(warehouse):
    one, other = encode_lines(sends(2)).splitlines()
    bury(warehouse, one)
    bury(warehouse, other, reason="something else")

    assert retry(warehouse, reason="something else").stored == 1
    assert reasons(warehouse) == [(OLD_REASON, 1)]


def test_what_was_masked_and_what_came_from_a_file_keeps_its_reason(warehouse):
    number = "+" + "4477009" + "00123"
    bury(warehouse, b'{"kind":"send","to":"%s"}' % number.encode())
    bury(warehouse, b"a,row,of,an,export", source="file march.csv")

    assert retry(warehouse) == Retried(tried=1, stored=0, masked=1)
    assert reasons(warehouse) == [(OLD_REASON, 2)]


def test_what_was_stopped_in_the_middle_is_asked_still(warehouse):
    bury(warehouse, encode_lines(sends(1)).rstrip())
    wishes.ask(warehouse, wishes.RETRY, about=wishes.ALL, by="ada@example.org", now=utc_now())
    retrier = Retrier(warehouse, sink(warehouse), clock=utc_now)
    retrier.step(lambda: False)
    (waiting,) = wishes.asked(warehouse, wishes.RETRY, since=AT)

    assert waiting.answer == ""
    retrier.step()
    assert wishes.asked(warehouse, wishes.RETRY, since=AT)[0].answer == "1 tried, 1 stored, 0 stay"


def test_the_letters_go_on_every_server_of_a_cluster(warehouse):
    layout = Layout("fleet")
    statement = forget_statement(layout)
    ((formatted,),) = warehouse.query_rows("SELECT formatQuery({sql:String})", {"sql": statement})

    assert "DELETE FROM dead_letters_local ON CLUSTER fleet" in " ".join(formatted.split()).replace("'", "")


def test_a_wish_of_another_day_is_not_fulfilled_any_more(warehouse):
    bury(warehouse, encode_lines(sends(1)).rstrip())
    wishes.ask(
        warehouse, wishes.RETRY, about=wishes.ALL, by="ada@example.org", now=datetime.now(UTC) - timedelta(days=2)
    )
    Retrier(warehouse, sink(warehouse), clock=utc_now).step()

    assert attempts(warehouse) == 0


async def test_the_running_program_takes_a_wish_up_and_stops_when_told(warehouse):
    bury(warehouse, encode_lines(sends(1)).rstrip())
    wishes.ask(warehouse, wishes.RETRY, about=wishes.ALL, by="ada@example.org", now=utc_now())
    stop = asyncio.Event()
    running = asyncio.create_task(Retrier(warehouse, sink(warehouse), clock=utc_now).run(stop))
    await until(lambda: bool(wishes.asked(warehouse, wishes.RETRY, since=AT)[0].answer), seconds=60)
    stop.set()
    await running

    assert attempts(warehouse) == 1


def test_the_command_tries_them_again_and_says_what_became_of_them(warehouse, warehouse_settings):
    bury(warehouse, encode_lines(sends(1)).rstrip(), b"not json")
    told = CliRunner().invoke(ingest, ["--retry"], env=environment(warehouse_settings), catch_exceptions=False)

    assert told.exit_code == 0
    assert "2 tried, 1 stored, 1 stay" in told.output
    assert CliRunner().invoke(ingest, ["--retry", __file__]).exit_code == 2
