"""Events: one schema, deterministic ids, nothing personal, one bad line costs none of its neighbours."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import EventUnreadable
from core.events import (
    KINDS,
    Availability,
    Inbound,
    Receipt,
    Send,
    StatusChange,
    Verify,
    decode,
    decode_lines,
    encode_lines,
    from_row,
)
from core.ids import uuid7_from
from core.migrating import migrations, split_statements

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REQUEST = uuid7_from(AT, "a request")


def send(**changes) -> Send:
    return Send(
        **(
            {"at": AT, "request_id": REQUEST, "attempt": 1, "category": "code", "cause": "first", "outcome": "accepted"}
            | changes
        )
    )


ONE_OF_EACH = [
    send(provider="alpha", carrier="中国移动", region="Île-de-France"),
    Receipt(at=AT, request_id=REQUEST, attempt=1, status="delivered", raw_status="DELIVRD", provider_at=AT),
    Verify(at=AT, request_id=REQUEST, attempt=1, check=1, result="approved"),
    Inbound(at=AT, provider="alpha", message_hash="0" * 32, phone_hash="1" * 32, keyword="stop"),
    StatusChange(at=AT, instance="a" * 32, component="store", old="healthy", new="mysql_fatal", reason="no answer"),
    Availability(at=AT, instance="a" * 32, calls=120, failed=1, shed=0),
]


def test_what_is_encoded_is_decoded():
    assert decode_lines(encode_lines(ONE_OF_EACH)) == (ONE_OF_EACH, [])


def test_the_same_fact_told_again_is_the_same_event():
    later = AT + timedelta(seconds=5)

    assert send(at=later, provider="beta").event_id == send().event_id
    assert send(attempt=2).event_id != send().event_id


def test_an_id_that_belongs_to_another_fact_is_refused():
    line = encode_lines([send()]).replace(b'"attempt":1', b'"attempt":2')

    with pytest.raises(EventUnreadable, match="event_id"):
        decode(line)


def test_bad_lines_are_told_with_their_place_and_cost_nobody_else():
    good = encode_lines([send()]).strip()
    body = b"\n".join([good, b"not json", b'{"kind":"send"}', b"", good, b'{"kind":"telepathy"}'])
    events, bad = decode_lines(body)

    assert events == [send(), send()]
    assert [line.index for line in bad] == [1, 2, 5]


@pytest.mark.parametrize("field", ["provider", "carrier", "region", "app", "purpose", "template", "error_code"])
def test_no_text_field_takes_a_number(field):
    number = "+" + "4477009" + "00123"
    line = encode_lines([send(**{field: number})])

    with pytest.raises(EventUnreadable) as refused:
        decode(line)
    assert number not in str(refused.value)


@pytest.mark.parametrize("field", ["carrier", "phone_hash"])
def test_no_text_field_takes_a_line_break_not_even_at_its_end(field):
    with pytest.raises(EventUnreadable):
        decode(encode_lines([send(**{field: "0" * 5 + "a" * 27 + "\n"})]))


@pytest.mark.parametrize(
    "change",
    [b'"attempt":0', b'"attempt":256', b'"attempt":"one"', b'"attempt":null'],
    ids=["zero", "too many", "text", "null"],
)
def test_values_out_of_range_are_refused(change):
    with pytest.raises(EventUnreadable):
        decode(encode_lines([send()]).replace(b'"attempt":1', change))


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(EventUnreadable, match="timezone"):
        decode(encode_lines([send()]).replace(b"12:00:00Z", b"12:00:00"))


def test_a_request_id_without_a_time_in_it_is_refused():
    line = encode_lines([send()]).replace(str(REQUEST).encode(), b"6f1d9a0e-6a4c-4f0e-9d6a-0c2f5f0a7b11")

    with pytest.raises(EventUnreadable, match="UUIDv7"):
        decode(line)


def test_a_version_from_the_future_is_refused():
    with pytest.raises(EventUnreadable):
        decode(encode_lines([send()]).replace(b'"v":1', b'"v":2'))


def test_a_row_of_a_table_is_the_same_event():
    row = {"kind": "send", "at": "2026-03-01T12:00:00Z", "request_id": str(REQUEST), "attempt": "1", "category": "code"}
    row |= {"cause": "first", "outcome": "accepted", "latency_ms": "", "carrier": None}

    assert from_row(row) == send()


@given(st.binary(max_size=300))
def test_no_bytes_at_all_can_do_more_than_be_unreadable(body):
    events, bad = decode_lines(body)

    assert events == []
    assert len(bad) <= len(body.splitlines())


def test_every_field_has_its_column_and_every_column_its_field():
    statements = "\n".join(text for _, _, text in migrations("core"))
    for struct in KINDS.values():
        (table,) = [text for text in split_statements(statements) if f"NOT EXISTS {struct.table}\n" in text]
        columns = {line.split()[0] for line in table.split("(", 1)[1].splitlines() if line.startswith("    ")}
        columns |= set(re.findall(rf"ALTER TABLE {struct.table} ADD COLUMN IF NOT EXISTS (\w+)", statements))

        assert columns == set(struct.__struct_fields__) - {"v"}


def test_ids_of_the_same_export_row_are_the_same_and_carry_its_time():
    assert uuid7_from(AT, "x") == uuid7_from(AT, "x") != uuid7_from(AT, "y")
    assert isinstance(REQUEST, UUID)
    assert REQUEST.version == 7


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b'{"kind":"send","x":' + b"[" * 100_000], ids=["alone", "in an event"]
)
def test_a_line_of_brackets_is_unreadable_and_costs_no_neighbour(line: bytes):
    good, bad = decode_lines(encode_lines([send()]) + line + b"\n" + encode_lines([send(attempt=2)]))

    assert [event.attempt for event in good] == [1, 2]
    assert [one.index for one in bad] == [1]
