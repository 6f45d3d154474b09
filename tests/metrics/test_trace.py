"""The story of one message, and the messages behind a figure."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from core.errors import BadInput
from core.events import Inbound, Keyword
from core.ids import uuid7_from
from core.warehouse import Warehouse
from metrics.trace import MESSAGE_COLUMNS, STORY_COLUMNS, MessagesQuestion, messages, requests_of, story
from tests.metrics.story import START, Request, all_of, at, tell

HASH = "ab" * 16
DAY = {"start": START, "end": START + timedelta(days=1)}
BEN = (
    Request("ben").sent("failed", error_class="provider", error_code="503", phone_hash=HASH)
    .sent(attempt=2, after=1, cause="failover", provider="beacon", phone_hash=HASH)
    .receipt("pending", 2, attempt=2).receipt("delivered", 6, attempt=2, raw_status="DELIVRD")
    .check("wrong", 20, attempt=0).check("approved", 30, attempt=2)
)  # fmt: skip
OTHERS = (
    Request("ana", seconds=60, carrier="south").sent().receipt("failed", 8, error_class="handset", raw_code="21"),
    Request("cem", seconds=120).sent(),
)


def said(keyword: Keyword, days: float, *, phone_hash: str = HASH) -> Inbound:
    """What a number said so many days into the story of `BEN`."""
    moment = at(days * 86_400)
    return Inbound(
        at=moment,
        provider="aurora",
        message_hash=f"{abs(int(days * 100)):032x}",
        phone_hash=phone_hash,
        keyword=keyword,
    )


@pytest.fixture(scope="module")
def told(shared_warehouse: Warehouse) -> Warehouse:
    tell(shared_warehouse, all_of(BEN, *OTHERS))
    tell(shared_warehouse, BEN.events)  # delivered by the queue a second time
    return shared_warehouse


def test_a_story_has_every_step_once_and_in_order(told: Warehouse):
    rows = story(told, BEN.id)

    assert tuple(rows.columns) == STORY_COLUMNS
    assert list(zip(rows["kind"], rows["attempt"], rows["what"], strict=True)) == [
        ("send", 1, "failed"),
        ("send", 2, "accepted"),
        ("receipt", 2, "pending"),
        ("receipt", 2, "delivered"),
        ("verify", 0, "wrong"),
        ("verify", 2, "approved"),
    ]
    assert rows["error_code"].iloc[0] == "503"
    assert rows["detail"].iloc[3] == "DELIVRD"
    assert list(rows["detail"].iloc[4:]) == ["check 1", "check 2"]
    assert rows["at"].iloc[3].to_pydatetime() == at(6)


def test_a_story_has_the_last_word_of_its_number_before_it_and_the_words_after(warehouse: Warehouse):
    dan, eve = Request("dan").sent(phone_hash="cd" * 16), Request("eve").sent(phone_hash="")
    ours = [said(word, days, phone_hash="cd" * 16) for word, days in (("start", -30.1), ("stop", -3.2), ("help", 0.3), ("start", 1.4), ("stop", 9.5))]  # fmt: skip
    tell(warehouse, [*all_of(dan, eve), *ours, said("stop", 0.6, phone_hash="ef" * 16)])

    rows = story(warehouse, dan.id)

    assert list(zip(rows["kind"], rows["what"], strict=True)) == [
        ("inbound", "stop"),
        ("send", "accepted"),
        ("inbound", "start"),
    ]
    assert rows["at"].iloc[0].to_pydatetime() == at(-3.2 * 86_400)
    assert rows["provider"].iloc[0] == "aurora"
    assert list(story(warehouse, eve.id)["kind"]) == ["send"]


@pytest.mark.parametrize("request_id", [uuid7_from(at(0), "nobody"), UUID("e677d21f-db18-7000-8000-000000000000")])
def test_an_id_nobody_knows_has_no_story(told: Warehouse, request_id: UUID):
    rows = story(told, request_id)

    assert rows.empty
    assert tuple(rows.columns) == STORY_COLUMNS


def test_a_number_is_found_by_its_hash(told: Warehouse):
    found = requests_of(told, HASH, **DAY)

    assert [UUID(one) for one in found["request_id"]] == [BEN.id, BEN.id]
    assert list(found["attempt"]) == [2, 1]
    assert requests_of(told, "cd" * 16, **DAY).empty


def test_the_messages_behind_a_figure_come_newest_first(told: Warehouse):
    found = messages(told, MessagesQuestion(**DAY))

    assert tuple(found.columns) == MESSAGE_COLUMNS
    assert list(found["state"]) == ["no receipt", "failed", "delivered", "failed"]
    assert list(found["error_code"]) == ["", "21", "", "503"]


def test_the_newest_are_the_same_however_many_are_wanted(warehouse: Warehouse):
    crowd = [Request(f"crowd {number}", seconds=number * 100).sent() for number in range(36)]
    tell(warehouse, all_of(*crowd))
    hour = {"start": START, "end": START + timedelta(hours=1)}
    every = messages(warehouse, MessagesQuestion(**hour))

    assert len(every) == 36
    assert every["submitted_at"].is_monotonic_decreasing
    for most in (1, 2, 3, 35):
        assert messages(warehouse, MessagesQuestion(**hour, most=most)).equals(every.head(most))


def test_those_in_trouble_are_those_that_did_not_arrive(told: Warehouse):
    troubled = messages(told, MessagesQuestion(**DAY, troubled=True, filters={"carrier": ["south"]}))
    newest = messages(told, MessagesQuestion(**DAY, troubled=True, most=1))

    assert list(troubled["error_class"]) == ["handset"]
    assert list(newest["state"]) == ["no receipt"]


@pytest.mark.parametrize("wrong", [{"most": 0}, {"filters": {"moon": ["x"]}}, {"start": START, "end": START}])
def test_a_question_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(BadInput):
        MessagesQuestion(**{**DAY, **wrong})
