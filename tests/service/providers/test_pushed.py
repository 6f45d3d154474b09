"""What providers push: receipts and inbound messages, written by the simulated vendor and read by its adapter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args
from urllib.parse import urlencode
from uuid import UUID, uuid4

import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from core.clock import ManualClock, utc_now
from core.errors import BadInput
from core.events import Receipt, ReceiptStatus, decode, encode_lines
from core.ids import RequestIds, uuid7_from
from core.numbers import read
from sandbox.providers import VENDORS
from sandbox.providers.vendor import Order
from sandbox.world import PlannedReceipt
from sandbox.world.channels import FAILURES
from service.errors import ForgedReceipt, ReceiptUnreadable
from service.providers import build
from service.providers.base.fields import RowUnreadable, told
from service.providers.base.pushed import BODY_BYTES_MAX, BadRow, InboundRow
from service.providers.base.references import parse_reference, reference_of
from service.providers.base.telemetry import ProviderTelemetry
from tests.support.providers import KINDS, SECRET, a_number, settings_of

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PATH = "/v1/receipts/route-1"
BATCHING = ("beacon", "cumulus")
each_kind = pytest.mark.parametrize("kind", KINDS)


class Sides:
    """An adapter and the vendor that writes to it, under one clock."""

    def __init__(self, kind):
        self.clock = ManualClock(NOW)
        self.registry = CollectorRegistry()
        self.vendor = VENDORS[kind](account="acme", secret=SECRET, clock=self.clock, rng=np.random.default_rng(3))
        # Reading what was pushed needs no connection.
        self.adapter = build(
            settings_of(kind, url="http://127.0.0.1"),
            session=None,
            clock=self.clock,
            telemetry=ProviderTelemetry(self.registry),
        )

    def receipts(self, *rows, path=PATH):
        return self.signed(self.vendor.body(rows), path=path)

    def signed(self, body, *, path=PATH):
        return self.adapter.receipts(self.vendor.sign(path, body), body)


@pytest.fixture
def sides(kind):
    return Sides(kind)


def an_order(attempt=1):
    request_id = RequestIds(utc_now)()
    return request_id, Order(reference_of(request_id, attempt), a_number(), "hello")


@each_kind
@pytest.mark.parametrize("status", get_args(ReceiptStatus))
def test_a_receipt_comes_back_as_it_was_written(sides, status):
    request_id, order = an_order(attempt=17)
    error_class = "handset" if status == "failed" else ""
    at = NOW - timedelta(hours=3)
    rows, bad = sides.receipts(sides.vendor.receipt(order, PlannedReceipt(1.0, status, error_class), at))

    assert bad == []
    assert [(request_id, 17, status, error_class, at)] == [
        (row.request_id, row.attempt, row.status, row.error_class, row.provider_at) for row in rows
    ]
    assert rows[0].raw_status


@each_kind
@pytest.mark.parametrize("error_class", [*FAILURES, "provider"])
def test_every_class_of_failure_survives_the_vendors_codes(sides, error_class):
    _, order = an_order()
    for _ in range(8):  # a class has several codes, drawn at random
        rows, _ = sides.receipts(sides.vendor.receipt(order, PlannedReceipt(1.0, "failed", error_class), NOW))

        assert [("failed", error_class)] == [(row.status, row.error_class) for row in rows]


@pytest.mark.parametrize("kind", ["aurora", "delta"])
def test_a_carrier_is_taken_from_the_receipt_that_names_it(sides):
    _, order = an_order()
    named = PlannedReceipt(1.0, "delivered", "", names_carrier="China Unicom")
    rows, _ = sides.receipts(sides.vendor.receipt(order, named, NOW))

    assert [row.carrier for row in rows] == ["China Unicom"]


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("aurora", lambda reference: urlencode({"ClientReference": reference, "MessageStatus": "pondering"}).encode()),
        ("beacon", lambda reference: f'{{"session":"{reference}","report_status":"PONDERD"}}'.encode()),
        ("cumulus", lambda reference: f"{reference},8,0,0".encode()),
        (
            "delta",
            lambda reference: (
                f'{{"event":"message.state","message":{{"reference":"{reference}"}},"state":{{"name":"pondering"}}}}'
            ).encode(),
        ),
    ],
)
def test_a_status_without_a_row_ends_no_attempt(sides, row):
    rows, bad = sides.receipts(row(an_order()[1].reference))

    assert bad == []
    assert [(row.status, row.error_class) for row in rows] == [("pending", "unknown")]


@each_kind
def test_every_receipt_makes_an_event_that_can_be_read_again(sides):
    for plan in (PlannedReceipt(1.0, "failed", "unknown"), PlannedReceipt(1.0, "delivered", "")):
        (row,), _ = sides.receipts(sides.vendor.receipt(an_order()[1], plan, NOW))
        event = Receipt(
            at=NOW,
            provider="route-1",
            request_id=row.request_id,
            attempt=row.attempt,
            status=row.status,
            error_class=row.error_class,
            raw_status=row.raw_status,
            raw_code=row.raw_code,
            provider_at=row.provider_at,
        )

        assert event == decode(encode_lines([event]))


@each_kind
@pytest.mark.parametrize("text", ["STOP", "no, thanks\nreally", "退订 😀 100% & =", '\'; -- "<x>"'])
def test_an_inbound_message_comes_back_as_it_was_written(sides, text):
    number = read(a_number("BR", "Claro"))
    body = sides.vendor.body([sides.vendor.inbound(number, text)])
    rows, bad = sides.adapter.inbound(sides.vendor.sign("/v1/inbound/route-1", body), body)

    assert bad == []
    assert [InboundRow(rows[0].message_id, number.e164, text)] == rows
    assert number.e164[1:] not in repr(rows)


@each_kind
def test_a_signature_of_another_secret_body_path_or_nobody_is_refused(sides):
    body = sides.vendor.body([sides.vendor.receipt(an_order()[1], PlannedReceipt(1.0, "delivered", ""), NOW)])
    good = sides.vendor.sign(PATH, body)
    forger = type(sides.vendor)(account="acme", secret="x" * 32, clock=sides.clock, rng=np.random.default_rng())
    for headers, pushed in [
        ({}, body),
        (forger.sign(PATH, body), body),
        (good, body.replace(b"0", b"1")),
        (sides.vendor.sign("/v1/receipts/route-2", body), body),
        (sides.vendor.sign("/v1/inbound/route-1", body), body),
        (dict.fromkeys(good, "é"), body),
    ]:
        with pytest.raises(ForgedReceipt):
            sides.adapter.receipts(headers, pushed)

    labels = {"provider": "route-1", "kind": "receipts", "reason": "forged"}
    assert sides.registry.get_sample_value("heliograph_provider_bodies_refused_total", labels) == 6.0


@each_kind
def test_header_names_are_read_in_any_case(sides):
    body = sides.vendor.body([sides.vendor.receipt(an_order()[1], PlannedReceipt(1.0, "delivered", ""), NOW)])
    shouted = {name.upper(): value for name, value in sides.vendor.sign(PATH, body).items()}

    assert len(sides.adapter.receipts(shouted, body)[0]) == 1


@pytest.mark.parametrize("kind", ["aurora", "beacon", "delta"])
@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_five_minutes_off_is_refused(sides, seconds):
    body = sides.vendor.body([sides.vendor.receipt(an_order()[1], PlannedReceipt(1.0, "delivered", ""), NOW)])
    headers = sides.vendor.sign(PATH, body)
    sides.clock.advance(seconds=seconds)
    with pytest.raises(ForgedReceipt):
        sides.adapter.receipts(headers, body)


@pytest.mark.parametrize("kind", BATCHING)
def test_a_bad_row_costs_none_of_its_neighbours(sides):
    plan = PlannedReceipt(1.0, "delivered", "")
    good = [sides.vendor.receipt(an_order(attempt)[1], plan, NOW) for attempt in (1, 2)]
    nobodys = sides.vendor.receipt(Order("0" * 32 + "-1", a_number(), ""), plan, NOW)
    shapeless = b"{}" if sides.adapter.settings.kind == "beacon" else b"one,two"
    rows, bad = sides.receipts(good[0], nobodys, shapeless, good[1])

    assert [row.attempt for row in rows] == [1, 2]
    assert [row.index for row in bad] == [1, 2]
    assert BadRow(1, "the reference is not one of ours") == bad[0]


@pytest.mark.parametrize("kind", BATCHING)
def test_a_row_that_is_not_utf_8_costs_the_whole_body_because_its_end_cannot_be_trusted(sides):
    with pytest.raises(ReceiptUnreadable):
        sides.receipts(sides.vendor.receipt(an_order()[1], PlannedReceipt(1.0, "delivered", ""), NOW), b'"\xff"')


@each_kind
def test_a_signed_receipt_of_nobody_is_a_bad_row(sides):
    order = Order(str(uuid4()) + "-1", a_number(), "")

    assert ([], [BadRow(0, "the reference is not one of ours")]) == sides.receipts(
        sides.vendor.receipt(order, PlannedReceipt(1.0, "delivered", ""), NOW)
    )


@each_kind
@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b" " * (BODY_BYTES_MAX + 1)])
def test_a_body_without_rows_is_unreadable_as_a_whole(sides, body):
    with pytest.raises(ReceiptUnreadable) as raised:
        sides.signed(body) if body.isascii() else sides.adapter.receipts(_signed_bytes(sides, body), body)

    assert len(str(raised.value)) < 100


@pytest.mark.parametrize("kind", ["beacon", "delta"])
@pytest.mark.parametrize("body", [b"not json", b'"text"', b"[" * 5000, b'{"a":' * 5000, b"[1", b"{}{}", b"[]"])
def test_json_of_another_shape_is_unreadable_as_a_whole(sides, body):
    with pytest.raises(ReceiptUnreadable):
        sides.signed(body)


@pytest.mark.parametrize("kind", ["aurora"])
def test_a_form_with_too_many_fields_is_unreadable(sides):
    with pytest.raises(ReceiptUnreadable):
        sides.signed(b"&".join(b"f%d=1" % number for number in range(65)))


@given(body=st.binary(max_size=200), kind=st.sampled_from(["beacon", "cumulus", "delta"]), inbound=st.booleans())
def test_whatever_is_signed_either_gives_rows_or_is_bad_input(body, kind, inbound):
    sides = Sides(kind)
    pushed = "inbound" if inbound else "receipts"
    try:
        rows, bad = getattr(sides.adapter, pushed)(sides.vendor.sign(f"/v1/{pushed}/route-1", body), body)
    except BadInput:
        return

    assert rows or bad


@each_kind
def test_no_number_of_a_bad_body_reaches_a_log_line(sides):
    number = a_number()
    with structlog.testing.capture_logs() as lines:
        rows, bad = sides.receipts(
            sides.vendor.receipt(Order(number, number, number), PlannedReceipt(1, "delivered", ""), NOW)
        )
        with pytest.raises(BadInput):
            sides.adapter.receipts({}, number.encode())

    assert (len(rows), len(bad), len(lines)) == (0, 1, 2)
    assert number[1:] not in repr(lines) + repr(bad)


@given(seconds=st.integers(0, 2**32), attempt=st.integers(1, 255))
def test_a_reference_says_which_attempt_it_was(seconds, attempt):
    request_id = uuid7_from(datetime.fromtimestamp(seconds, UTC), "anything")

    assert (request_id, attempt) == parse_reference(reference_of(request_id, attempt))


@given(st.one_of(st.text(), st.from_regex(r"[0-9a-fA-F]{31,33}-[0-9]{1,4}", fullmatch=True), st.uuids().map(str)))
def test_what_we_have_not_made_is_no_reference(text):
    try:
        request_id, attempt = parse_reference(text)
    except RowUnreadable:
        return

    assert request_id.version == 7
    assert text == reference_of(request_id, attempt)


@pytest.mark.parametrize("attempt", ["0", "256", "01", "-1", "1 ", "１"])
def test_an_attempt_out_of_range_is_no_reference(attempt):
    with pytest.raises(RowUnreadable):
        parse_reference(f"{uuid7_from(NOW, 'x').hex}-{attempt}")


@pytest.mark.parametrize("version", [1, 4])
def test_an_id_that_is_not_time_ordered_is_no_reference(version):
    with pytest.raises(RowUnreadable):
        parse_reference(f"{UUID(int=uuid4().int, version=version).hex}-1")


@given(st.text(max_size=200))
def test_a_vendors_words_fit_into_an_event(text):
    event = Receipt(at=NOW, request_id=uuid7_from(NOW, "x"), attempt=1, status="failed", raw_code=told(text))

    assert event == decode(encode_lines([event]))


def _signed_bytes(sides, body):
    """A form that is not UTF-8 cannot even be signed by a vendor that signs its fields."""
    return {} if sides.adapter.settings.kind == "aurora" else sides.vendor.sign(PATH, body)
