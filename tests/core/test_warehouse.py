"""The door to ClickHouse: migrations once, errors in our words, the same events again change nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from clickhouse_connect.driver.exceptions import StreamFailureError
from pydantic import SecretStr

from core import warehouse as door
from core.errors import WarehouseRefused, WarehouseUnavailable
from core.events import Receipt, Send, Verify, encode_lines
from core.ids import uuid7_from
from core.migrating import migrations
from sandbox.ports import free_port

AT = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
REQUEST = uuid7_from(AT, "a request")
FIRST = Send(
    at=AT,
    request_id=REQUEST,
    attempt=1,
    category="code",
    cause="first",
    outcome="accepted",
    provider="alpha",
    carrier="Three",
)
AGAIN = Send(
    at=AT + timedelta(seconds=90),
    request_id=REQUEST,
    attempt=2,
    category="code",
    cause="resend",
    outcome="accepted",
    provider="beta",
)


def test_migrations_are_applied_once(warehouse):
    assert warehouse.migrate() == []


def test_two_programs_may_migrate_at_once(warehouse):
    warehouse.command("TRUNCATE TABLE schema_migrations")

    assert warehouse.migrate() == [name for _, name, _ in migrations("core")]


def test_an_attempt_is_one_row_whatever_came_first_and_however_often(warehouse):
    receipts = [
        Receipt(
            at=AT + timedelta(seconds=9),
            request_id=REQUEST,
            attempt=1,
            status="failed",
            error_class="handset",
            raw_code="27",
        ),
        Receipt(at=AT + timedelta(seconds=5), request_id=REQUEST, attempt=1, status="delivered", carrier="EE"),
    ]
    fill = Verify(at=AT + timedelta(seconds=99), request_id=REQUEST, attempt=2, check=1, result="approved")
    for _ in range(2):
        warehouse.insert_json("receipt_events", encode_lines(receipts))
        warehouse.insert_json("verify_events", encode_lines([fill]))
        warehouse.insert_json("send_events", encode_lines([AGAIN, FIRST]))
    columns = "attempt, provider, carrier, carrier_source, delivered, failed, pending, delivery_seconds, filled_at IS NOT NULL, approved_at IS NOT NULL, resent_at IS NOT NULL"
    rows = warehouse.query_rows(f"SELECT {columns} FROM attempts FINAL ORDER BY attempt")

    assert rows == [
        (1, "alpha", "EE", "receipt", True, False, False, 5.0, False, True, True),
        (2, "beta", "", "prefix", False, False, True, None, True, False, False),
    ]


def test_what_a_failed_receipt_said_is_kept(warehouse):
    failed = Receipt(at=AT, request_id=REQUEST, attempt=1, status="failed", error_class="handset", raw_code="MK:0004")
    warehouse.insert_json("send_events", encode_lines([FIRST]))
    warehouse.insert_json("receipt_events", encode_lines([failed]))

    assert warehouse.query_rows("SELECT failure_class, failure_code FROM attempts FINAL") == [("handset", "MK:0004")]


def test_a_receipt_told_under_another_providers_name_does_not_move_the_attempt(warehouse):
    foreign = Receipt(at=AT, request_id=REQUEST, attempt=1, status="delivered", provider="zulu")
    warehouse.insert_json("receipt_events", encode_lines([foreign]))
    warehouse.insert_json("send_events", encode_lines([FIRST]))

    assert warehouse.query_rows("SELECT provider FROM attempts FINAL") == [("alpha",)]


def test_a_wrong_statement_is_refused_with_its_code(warehouse):
    with pytest.raises(WarehouseRefused) as refused:
        warehouse.query_rows("SELECT nothing FROM nowhere")

    assert refused.value.code == 60


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (242, WarehouseUnavailable),
        (243, WarehouseUnavailable),
        (999, WarehouseUnavailable),
        (164, WarehouseRefused),
    ],
)
def test_a_server_that_may_take_it_later_is_told_from_one_that_never_will(warehouse, code, expected):
    with pytest.raises(expected):
        warehouse.query_rows(
            f"SELECT throwIf(1, 'as told', {code}::Int16) SETTINGS allow_custom_error_code_in_throwif = 1"
        )


def test_a_reader_cannot_write(warehouse, warehouse_settings):
    reader = door.connect(warehouse_settings, readonly=True)

    assert reader.query_rows("SELECT count() FROM attempts") == [(0,)]
    for statement in (
        "INSERT INTO schema_migrations (number, name) VALUES (9, 'x')",
        "DROP TABLE attempts",
        "TRUNCATE TABLE attempts",
    ):
        with pytest.raises(WarehouseRefused):
            reader.command(statement)
    reader.close()


def test_a_wrong_password_is_refused_without_repeating_it(warehouse_settings):
    wrong = warehouse_settings.model_copy(update={"password": SecretStr("hunter2")})
    with pytest.raises(WarehouseRefused) as refused:
        door.connect(wrong)

    assert "hunter2" not in str(refused.value)


def test_nobody_there_says_where_and_what_to_do(warehouse_settings):
    port = free_port()
    with pytest.raises(WarehouseUnavailable, match=f":{port}") as refused:
        door.connect(warehouse_settings.model_copy(update={"port": port}))

    assert "[warehouse]" in refused.value.hint
    assert str(refused.value) == f"ClickHouse at 127.0.0.1:{port} does not answer: Connection refused"


def test_an_answer_that_breaks_off_is_told_without_what_came_of_it():
    with pytest.raises(WarehouseUnavailable) as told, door.translated("here:8123"):
        raise StreamFailureError("unrecognized data found in stream: `0761747465`")

    assert str(told.value) == "ClickHouse at here:8123 does not answer: the answer broke off"


def test_what_the_server_says_in_the_middle_of_an_answer_is_told():
    with pytest.raises(WarehouseRefused, match="asked for too much"), door.translated("here:8123"):
        raise StreamFailureError("Code: 307. DB::Exception: asked for too much")
