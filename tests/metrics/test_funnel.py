"""The funnel against a few requests told by hand: every code attempt is lost once, or arrives."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import BadInput
from core.warehouse import Warehouse
from metrics.funnel import LOST_STEPS, STEPS, FunnelQuestion, causes, steps
from tests.metrics.story import START, Request, all_of, at, tell

NOW = at(2 * 3600)
DAY = FunnelQuestion(start=START, end=START + timedelta(days=1))


def people() -> list[Request]:
    return [
        Request("ana").sent().receipt("delivered", 5).check("approved", 30),
        # The second message was read: the first is lost to it.
        Request("ben").sent().receipt("delivered", 90)
        .sent(attempt=2, after=60, provider="beacon").receipt("delivered", 64, attempt=2).check("approved", 80, attempt=2),
        Request("cem").sent().receipt("failed", 8, error_class="handset", raw_code="21"),
        Request("dia").sent("rejected", error_class="throttled", error_code="429"),
        Request("eva").sent(),  # silent for two hours
        Request("gus").sent("unknown", error_class="timeout").check("approved", 50),  # arrived all the same
        Request("hal").sent("refused"),  # never submitted
        Request("ida", template="parcel").sent(category="notification").receipt("delivered", 10),
        Request("jon", seconds=7000).sent(),  # four minutes ago
        Request("kim").sent().receipt("delivered", 2).check("wrong", 40, attempt=0),
        Request("lea").sent().receipt("delivered", 2).check("expired", 900),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def told(shared_warehouse: Warehouse) -> Warehouse:
    tell(shared_warehouse, all_of(*people()))
    return shared_warehouse


def test_every_step_counts_who_came_that_far(told: Warehouse):
    (row,) = steps(told, DAY).to_dict("records")

    assert row == {"submitted": 10, "accepted": 9, "received": 7, "delivered": 6, "filled": 4, "approved": 3}


def test_by_a_dimension_the_steps_add_up_and_the_largest_comes_first(told: Warehouse):
    frame = steps(told, FunnelQuestion(start=DAY.start, end=DAY.end, dimension="provider"))

    assert list(frame["provider"]) == ["aurora", "beacon"]
    assert frame[list(STEPS)].sum().to_dict() == steps(told, DAY).iloc[0].to_dict()
    assert list(frame.iloc[1][list(STEPS)]) == [1, 1, 1, 1, 1, 1]


def test_every_loss_has_a_cause_and_none_is_counted_twice(told: Warehouse):
    frame = causes(told, DAY, now=NOW)
    found = {
        (row.step, row.what, row.error_class, row.provider, row.error_code): row.lost for row in frame.itertuples()
    }
    (whole,) = steps(told, DAY).to_dict("records")

    assert found == {
        ("accepted", "rejected", "throttled", "aurora", "429"): 1,
        ("received", "silent", "", "", ""): 1,
        ("received", "waiting", "", "", ""): 1,
        ("delivered", "failed", "handset", "aurora", "21"): 1,
        ("filled", "other_attempt", "", "", ""): 1,
        ("filled", "not_entered", "", "", ""): 1,
        ("approved", "not_approved", "", "", ""): 1,
    }
    assert sum(found.values()) == whole["submitted"] - whole["approved"]
    assert set(frame["step"]) == set(LOST_STEPS)


def test_a_code_of_two_providers_is_two_causes_and_what_has_no_code_is_one(shared_warehouse: Warehouse):
    day = FunnelQuestion(start=START - timedelta(days=30), end=START - timedelta(days=29))
    early = -30 * 86_400 + 60
    tell(
        shared_warehouse,
        all_of(*(
            Request(f"{provider}{number}", seconds=early, provider=provider).sent("rejected", error_class=kind, error_code=code)
            for provider, times in (("aurora", 2), ("beacon", 1))
            for number, (kind, code) in enumerate([("number", "10")] * times + [("provider", "")])
        )),
    )  # fmt: skip
    frame = causes(shared_warehouse, day, now=NOW)

    told = frame[["provider", "error_code", "lost"]].values.tolist()

    assert told == [["aurora", "10", 2], ["", "", 2], ["beacon", "10", 1]]


def test_filters_keep_what_they_name(told: Warehouse):
    question = FunnelQuestion(start=DAY.start, end=DAY.end, filters={"provider": ["beacon"], "country": []})

    assert steps(told, question)["submitted"].tolist() == [1]


def test_a_window_without_codes_has_no_rows(told: Warehouse):
    empty = FunnelQuestion(start=START - timedelta(days=9), end=START - timedelta(days=8), dimension="carrier")

    assert steps(told, empty).empty
    assert steps(told, FunnelQuestion(start=empty.start, end=empty.end)).empty
    assert causes(told, empty, now=NOW).empty


def test_a_dimension_that_does_not_exist_is_refused():
    with pytest.raises(BadInput):
        FunnelQuestion(start=DAY.start, end=DAY.end, dimension="moon")
