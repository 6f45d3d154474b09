"""The Messages page: the list, one story, a number that is hashed and forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from app.stories import step
from core.events import Inbound, Receipt, Send, encode_lines
from core.ids import uuid7_from
from core.numbers import NumberHash
from core.warehouse import Warehouse
from tests.app.conftest import HASH_KEY
from tests.app.looking import Pages, run, text
from tests.app.traffic import load
from tests.support.providers import a_number

NOW = datetime.now(UTC)


@pytest.fixture
def page(pages: Pages) -> AppTest:
    return pages.view("messages", numbers_hash_key=HASH_KEY)


def find(page: AppTest, asked: str) -> AppTest:
    page.text_input[0].set_value(asked)
    page.button[0].click()
    page.run()
    assert not page.exception
    return page


def send_to(warehouse: Warehouse, number: str) -> str:
    at = NOW - timedelta(minutes=5)
    request = uuid7_from(at, number)
    sent = Send(
        at=at,
        request_id=request,
        attempt=1,
        category="code",
        cause="first",
        outcome="accepted",
        provider="aurora",
        phone_hash=NumberHash(HASH_KEY)(number),
    )
    receipt = Receipt(
        at=at + timedelta(seconds=3), request_id=request, attempt=1, status="failed", error_class="handset"
    )
    warehouse.insert_json("send_events", encode_lines([sent]))
    warehouse.insert_json("receipt_events", encode_lines([receipt]))
    return str(request)


def test_the_list_has_the_messages_of_the_range(warehouse: Warehouse, page: AppTest) -> None:
    attempts = load(warehouse, until=NOW, hours=1)

    every = run(page).dataframe[0].value
    troubled = run(page, show="troubled").dataframe[0].value

    assert len(every) == attempts
    assert set(troubled["state"]) == {"failed"}


def test_a_request_by_its_link_has_its_story(warehouse: Warehouse, page: AppTest) -> None:
    request = send_to(warehouse, a_number())

    story = text(run(page, request=request))

    assert story.index(">0.0 s<") < story.index(">3.0 s<") < story.index("handset off")


@pytest.mark.parametrize(
    ("request_id", "words"),
    [("nonsense", "is none"), ("019caa00-0000-7000-8000-000000000000", "Nothing is known of this request")],
)
def test_a_request_that_is_not_there_is_told(warehouse: Warehouse, page: AppTest, request_id: str, words: str) -> None:
    assert words in text(run(page, request=request_id))


def test_a_number_is_found_and_stays_in_no_link_and_no_state(warehouse: Warehouse, page: AppTest) -> None:
    number = a_number()
    request = send_to(warehouse, number)
    send_to(warehouse, a_number())

    shown = find(run(page), number)

    assert list(shown.dataframe[0].value["request_id"]) == [request]
    assert shown.text_input[0].value == ""
    assert shown.session_state["messages-asked"] == ""
    assert number not in str(shown.query_params)


def test_what_is_neither_is_told_without_being_repeated(warehouse: Warehouse, page: AppTest) -> None:
    shown = text(find(run(page), "12 monkeys"))

    assert "neither a request id nor a number" in shown
    assert "monkeys" not in shown


def test_without_data_it_says_how_to_get_some(warehouse: Warehouse, page: AppTest) -> None:
    assert "There is no data yet" in text(run(page))


def test_what_a_number_said_before_is_in_the_story(warehouse: Warehouse, page: AppTest) -> None:
    number = a_number()
    request = send_to(warehouse, number)
    stop = Inbound(
        at=NOW - timedelta(days=9), provider="beacon", message_hash="b" * 32, phone_hash=NumberHash(HASH_KEY)(number), keyword="stop"
    )  # fmt: skip
    warehouse.insert_json("inbound_events", encode_lines([stop]))

    story = text(run(page, request=request))

    assert story.index(">before<") < story.index("said STOP through beacon") < story.index(">0.0 s<")


def test_every_step_is_a_sentence() -> None:
    row = {"kind": "send", "attempt": 2, "provider": "beacon", "carrier": "O2", "what": "failed", "error_class": "provider",
           "error_code": "503", "detail": "failover, 80 ms"}  # fmt: skip

    assert step(row) == "Attempt 2 to beacon for O2: failed, the provider's own fault, code 503 (failover, 80 ms)"
    row |= {"error_class": "", "error_code": ""}
    check = row | {"kind": "verify", "attempt": 0, "what": "wrong", "detail": "check 1"}
    assert step(check) == "Entered a code that is nobody's: wrong code (check 1)"
    assert (
        step(row | {"kind": "receipt", "what": "delivered", "detail": "DELIVRD"})
        == "Receipt of attempt 2: delivered (“DELIVRD”)"
    )


def test_what_the_outcome_says_already_is_not_said_as_its_reason() -> None:
    row = {"kind": "send", "attempt": 1, "provider": "beacon", "carrier": "", "what": "unknown", "error_class": "timeout",
           "error_code": "no_answer", "detail": "first, 3000 ms"}  # fmt: skip

    assert step(row) == "Attempt 1 to beacon: no answer in time, it may still arrive, code no_answer (first, 3000 ms)"
