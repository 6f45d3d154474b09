"""Receipts and inbound messages: signed, kept row by row, told once however often they come."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import Inbound, Receipt
from service.facts import DeliveryReceipt, InboundMessage, OptOut
from service.keywords import keyword_of
from service.providers.base.references import reference_of
from service.stores.memory import MemoryStore
from tests.service.stores.facts import new_id
from tests.support.house import House, open_house
from tests.support.providers import a_number


async def push(
    house: House, rows: list[dict[str, str]], kind: str = "receipts", *, provider: str = "route"
) -> httpx.Response:
    body = msgspec.json.encode(rows)
    headers = house.providers[provider].sign(body)
    return await house.call("POST", f"/v1/{kind}/{provider}", body, key="", headers=headers)


def row(sent: httpx.Response, status: str, attempt: int = 1, **more: str) -> dict[str, str]:
    return {"reference": reference_of(UUID(sent.json()["id"]), attempt), "status": status, **more}


async def test_a_receipt_is_kept_told_and_shown(house: House):
    sent = await house.verify(a_number())
    answer = await push(house, [row(sent, "pending"), row(sent, "delivered")])
    read = await house.call("GET", f"/v1/verifications/{sent.json()['id']}")
    told = [event for event in await house.events() if isinstance(event, Receipt)]

    assert answer.status_code == 200
    assert {fact.stage for fact in house.facts(DeliveryReceipt)} == {"interim:pending", "final"}
    assert read.json()["attempts"][0]["receipt"] == "delivered"
    assert [(event.status, event.provider) for event in told] == [("pending", "route"), ("delivered", "route")]


async def test_bad_rows_cost_no_other_row_and_are_counted(house: House):
    sent = await house.verify(a_number())
    rows = [{"reference": "no-reference-of-ours", "status": "delivered"}, row(sent, "delivered"), {"reference": "x"}]
    answer = await push(house, rows)

    assert answer.status_code == 200
    assert answer.headers["Heliograph-Taken"] == "1"
    assert answer.headers["Heliograph-Unreadable"] == "2"
    assert len(house.facts(DeliveryReceipt)) == 1


@pytest.mark.parametrize("also_in_one_body", [False, True])
async def test_no_provider_is_believed_about_an_attempt_that_went_to_another_one(
    tmp_path: Path, also_in_one_body: bool
):
    async with open_house(tmp_path, providers={"route": {}, "reserve": {"weight": 0.0}}) as house:
        sent = await house.verify(a_number())
        unknown = {"reference": reference_of(new_id(), 1), "status": "delivered"}
        rows = [row(sent, "failed"), unknown] if also_in_one_body else [row(sent, "failed")]
        forged = await push(house, rows, provider="reserve")
        own = await push(house, [row(sent, "delivered")])
        finals = [fact for fact in house.facts(DeliveryReceipt) if fact.request_id == UUID(sent.json()["id"])]

    assert (forged.status_code, own.status_code) == (200, 200)
    assert forged.headers["Heliograph-Taken"] == str(len(rows) - 1)
    assert forged.headers["Heliograph-Unreadable"] == "1"
    assert [(fact.provider, fact.status) for fact in finals] == [("route", "delivered")]


async def test_without_a_store_a_receipt_of_what_this_instance_did_not_see_is_believed(tmp_path: Path):
    backup = MemoryStore(as_mirror=True)
    async with open_house(tmp_path, providers={"route": {}, "reserve": {"weight": 0.0}}, backup=backup) as house:
        house.store.available = backup.available = False
        answer = await push(house, [{"reference": reference_of(new_id(), 1), "status": "delivered"}])

    assert (answer.status_code, answer.headers["Heliograph-Taken"]) == (200, "1")


async def test_the_first_final_receipt_stands_whatever_comes_after(house: House):
    sent = await house.verify(a_number())
    for status in ("delivered", "failed", "pending", "delivered"):
        await push(house, [row(sent, status)])
        house.clock.advance(seconds=1)
    finals = [fact for fact in house.facts(DeliveryReceipt) if fact.stage == "final"]

    assert [fact.status for fact in finals] == ["delivered"]


async def test_two_finals_in_one_body_leave_the_first(house: House):
    sent = await house.verify(a_number())
    await push(house, [row(sent, "delivered"), row(sent, "failed")])

    assert [fact.status for fact in house.facts(DeliveryReceipt)] == ["delivered"]


@pytest.mark.parametrize("step_seconds", [5, -300])
@pytest.mark.parametrize("second", ["delivered", "failed"])
async def test_a_receipt_that_comes_again_or_is_contradicted_tells_the_first_once_more(
    house: House, second: str, step_seconds: float
):
    sent = await house.verify(a_number())
    for status in ("delivered", second):
        await push(house, [row(sent, status)])
        house.clock.advance(seconds=step_seconds)
    first, again = [event for event in await house.events() if isinstance(event, Receipt)]

    assert again == first


async def test_a_forged_body_changes_nothing(house: House):
    sent = await house.verify(a_number())
    body = msgspec.json.encode([row(sent, "delivered")])
    answer = await house.call("POST", "/v1/receipts/route", body, key="", headers={"X-Signature": "0" * 64})

    assert answer.status_code == 403
    assert not house.facts(DeliveryReceipt)


async def test_a_receipt_that_cannot_be_kept_is_asked_for_again(house: House):
    sent = await house.verify(a_number())
    house.store.available = False
    refused = await push(house, [row(sent, "delivered")])
    house.store.available = True
    taken = await push(house, [row(sent, "delivered")])

    assert (refused.status_code, taken.status_code) == (503, 200)
    assert len(house.facts(DeliveryReceipt)) == 1


async def test_stop_refuses_marketing_and_notifications_but_no_codes_until_start(house: House):
    number = a_number()

    async def send(category: str) -> int:
        body = {"to": number, "category": category, "text": "hello"}
        return (await house.call("POST", "/v1/messages", body)).status_code

    await push(house, [{"id": "1", "from": number, "text": "Stop!"}], "inbound")
    stopped = [await send(category) for category in ("marketing", "notification", "code")]
    house.clock.advance(seconds=1)
    await push(house, [{"id": "2", "from": number, "text": "START"}], "inbound")

    assert stopped == [403, 403, 201]
    assert await send("marketing") == 201


@pytest.mark.parametrize(("first", "then", "answered"), [("STOP", "START", 201), ("START", "STOP", 403)])
async def test_a_word_that_the_provider_pushes_again_does_not_undo_a_later_one(
    house: House, first: str, then: str, answered: int
):
    number = a_number()
    for message_id, text in (("1", first), ("2", then), ("1", first)):
        await push(house, [{"id": message_id, "from": number, "text": text}], "inbound")
        house.clock.advance(seconds=1)
    answer = await house.call("POST", "/v1/messages", {"to": number, "category": "marketing", "text": "hello"})

    assert answer.status_code == answered


async def test_an_inbound_message_leaves_neither_number_nor_text(house: House):
    number = a_number()
    await push(house, [{"id": number, "from": number.lstrip("+"), "text": "call me tomorrow"}], "inbound")
    told = [event for event in await house.events() if isinstance(event, Inbound)]
    kept = repr(house.facts(InboundMessage)) + repr(told)

    assert [event.keyword for event in told] == ["other"]
    assert number.lstrip("+") not in kept
    assert "tomorrow" not in kept


async def test_an_inbound_message_from_no_number_is_counted(house: House):
    answer = await push(house, [{"id": "1", "from": "INFO", "text": "STOP"}], "inbound")

    assert answer.headers["Heliograph-Unreadable"] == "1"
    assert not house.facts(OptOut)


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("STOP", "stop"),
        (" stop. ", "stop"),
        ("Stop it please", "stop"),
        ("Opt out", "stop"),
        ("退订", "stop"),
        ("ＴＤ", "stop"),
        ("Arrêt", "stop"),
        ("start", "start"),
        ("HELP?", "help"),
        ("please do not stop", "other"),
        ("the end is near", "other"),
        ("", "other"),
        ("!!!", "other"),
    ],
)
def test_a_keyword_is_read_from(text: str, keyword: str):
    assert keyword_of(text) == keyword


@given(st.text())
def test_no_text_breaks_the_reading_of_keywords(text: str):
    assert keyword_of(text) in ("stop", "start", "help", "other")
