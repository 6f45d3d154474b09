"""The quick proof and the schema agree about every line, and a line that is proved goes on as it came."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import Event, Inbound, Receipt, Send, Verify, decode_lines, encode_lines
from core.ids import uuid7_from
from ingest.sieve import Sieve, Sifted

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REQUEST = uuid7_from(AT, "one")
EVENTS: list[Event] = [
    Send(at=AT, request_id=REQUEST, attempt=1, category="code", cause="first", outcome="accepted", provider="alpha"),
    Receipt(at=AT, request_id=REQUEST, attempt=1, status="failed", error_class="route", raw_code="MK:0004"),
    Verify(at=AT, request_id=REQUEST, attempt=1, check=1, result="approved"),
    Inbound(at=AT, message_hash="a" * 32, phone_hash="b" * 32, keyword="stop", provider="alpha"),
]


def sifted(body: bytes) -> tuple[Sifted, list[str]]:
    into: Sifted = defaultdict(list)
    bad = Sieve().sift(body, into)
    return into, [line.reason for line in bad]


def test_a_line_that_is_proved_goes_on_as_it_came():
    lines = encode_lines(EVENTS).splitlines()
    odd = lines[0].replace(b'"attempt":1', b'"attempt" : 1, "told_twice":{}')
    into, bad = sifted(b"\n".join([odd, *lines[1:]]))

    assert not bad
    assert dict(into) == {"send": [odd], "receipt": [lines[1]], "verify": [lines[2]], "inbound": [lines[3]]}


def test_a_line_without_its_id_gets_one():
    line = b'{"kind":"verify","at":"2026-03-01T12:00:00Z","request_id":"%s","attempt":1,"check":1,"result":"approved"}'
    into, bad = sifted(line % str(REQUEST).encode())

    assert not bad
    assert EVENTS[2].event_id.encode() in into["verify"][0]


VALUES = st.sampled_from(
    [None, "", "alpha", "1234567", "a" * 65, "x\x00y", "+" + "4477009" + "00123", 0, 1, 255, 256, -1, 1.5, True, [], {},
     str(REQUEST), str(REQUEST).upper(), str(REQUEST).replace("-", ""), "0" * 32, "a" * 32, "A" * 32, EVENTS[0].event_id,
     "2026-03-01T12:00:00", "2026-03-01T14:00:00+02:00", "now", "code", "delivered", "accepted", "send", "receipt"]
)  # fmt: skip
CHANGES = st.dictionaries(
    st.sampled_from(sorted({name for event in EVENTS for name in ("kind", *event.__struct_fields__)})),
    VALUES,
    max_size=3,
)


@given(st.sampled_from(EVENTS), CHANGES)
def test_the_sieve_and_the_schema_agree_about_every_line(event: Event, changes: dict[str, object]):
    line = msgspec.json.encode(msgspec.to_builtins(event) | changes)
    good, refused = decode_lines(line)
    into, bad = sifted(line)

    assert bad == [one.reason for one in refused]
    assert {kind: len(lines) for kind, lines in into.items()} == {one.kind: 1 for one in good}
    assert [decode_lines(lines[0])[0] for lines in into.values()] == [[one] for one in good]


@pytest.mark.parametrize("line", [b"not json", b"[]", b"{}", b"\xff\xfe\x00", b'{"kind":"send"'])
def test_what_is_no_event_is_told_with_its_place(line: bytes):
    into: Sifted = defaultdict(list)
    body = b"\n".join([encode_lines(EVENTS).rstrip(), line, b"", encode_lines(EVENTS[:1]).rstrip()])
    (bad,) = Sieve().sift(body, into)

    assert (bad.index, bad.raw) == (4, line)
    assert sum(map(len, into.values())) == 5


def test_a_name_that_was_proved_once_does_not_let_another_pass():
    sieve, into = Sieve(), defaultdict(list)
    number = "+" + "4477009" + "00123"
    lines = [
        encode_lines(EVENTS[:1]).rstrip().replace(b"alpha", name) for name in (b"alpha", number.encode(), b"alpha")
    ]

    assert [len(sieve.sift(line, into)) for line in lines] == [0, 1, 0]


def test_another_zone_is_the_same_moment():
    east = EVENTS[0].at.astimezone(timezone(timedelta(hours=8)))
    line = encode_lines([msgspec.structs.replace(EVENTS[0], at=east)]).rstrip()

    assert sifted(line)[0]["send"] == [line]


def test_a_line_of_brackets_is_unreadable_and_costs_no_neighbour():
    lines = encode_lines(EVENTS).splitlines()
    into, bad = sifted(b"\n".join([b'{"kind":"send","x":' + b"[" * 100_000, *lines]))

    assert len(bad) == 1
    assert sum(map(len, into.values())) == len(lines)
