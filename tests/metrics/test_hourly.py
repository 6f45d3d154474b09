"""The rollup says what the attempts say, whatever comes late; what it cannot say yet is read from the attempts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.events import DIMENSIONS, Event, Receipt
from core.warehouse import Warehouse
from metrics import hourly
from metrics.catalogue import METRICS
from metrics.query import Question, ask
from metrics.values import Values, values_of
from tests.metrics.story import START, Request, all_of, at, tell
from tests.metrics.test_recount import attempts_of, random_requests, recount, same

SLUGS = tuple(one.slug for one in METRICS)
COUNTED = tuple(slug for slug in SLUGS if slug != "delivery_time")
DAYS = timedelta(days=3)
DIGESTS = -1
"""So few attempts that percentiles are always read from digests."""
NOW = START + DAYS
AT_ONCE: dict[str, Any] = {"lasts": timedelta(), "quiet": timedelta(), "margin": timedelta()}


def build(warehouse: Warehouse, on_time_seconds: int = 60) -> int:
    return hourly.build(warehouse, on_time_seconds=on_time_seconds, **AT_ONCE)


def fresh(warehouse: Warehouse, on_time_seconds: int | None = None) -> int:
    return len(hourly.fresh(warehouse, start=START, end=START + DAYS, on_time_seconds=on_time_seconds))


def answer(
    warehouse: Warehouse, on_time_seconds: int = 60, exact_max: int = hourly.EXACT_MAX, **asked: Any
) -> pd.DataFrame:
    question = Question(**{"metrics": SLUGS, "start": START, "end": START + DAYS} | asked)
    return ask(warehouse, question, now=NOW, on_time_seconds=on_time_seconds, exact_max=exact_max)


def alike(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Equal, but for percentiles of many messages within two in a hundred."""
    times = [name for name in one if name in ("delivery_time", "delivery_time_p95")]
    pd.testing.assert_frame_equal(one.drop(columns=times), other.drop(columns=times))
    for name in times:
        many = other["delivery_time_n"] >= 500
        pd.testing.assert_series_equal(one.loc[many, name], other.loc[many, name], rtol=0.02)
        assert (one[name].isna() == other[name].isna()).all()


def some_hours(requests: int) -> list[Event]:
    """Some hours of requests, with receipts that contradict each other, come again and come late."""
    return all_of(*random_requests(np.random.default_rng(11), requests))


def tell_all(warehouse: Warehouse, events: list[Event]) -> None:
    order = np.random.default_rng(12).permutation(len(events))
    tell(warehouse, sorted((events[index] for index in order), key=lambda event: event.kind))


SHAPES: list[dict[str, Any]] = [
    {"metrics": COUNTED},
    {"metrics": COUNTED, "bucket": "1h"},
    {},
    {"bucket": "1h", "dimensions": ("provider",)},
    *({"dimensions": split} for split in hourly.SPLITS),
    {"dimensions": ("region",), "filters": {"country": ["DE"]}},
    {"filters": {"app": ["bank"]}},
    {"metrics": COUNTED, "bucket": "1d", "dimensions": ("country",), "time_zone": "Europe/Berlin"},
    {"metrics": COUNTED, "bucket": "6h", "dimensions": ("provider", "carrier"), "filters": {"purpose": ["login"]}},
    {"metrics": COUNTED, "dimensions": ("carrier", "provider"), "start": START + timedelta(minutes=37, seconds=3)},
    {"metrics": COUNTED, "end": START + timedelta(hours=47, minutes=11)},
]


@pytest.fixture(scope="module")
def answered(shared_warehouse: Warehouse) -> list[pd.DataFrame]:
    """What the attempts answered to the shapes, before their hours were rolled up."""
    tell_all(shared_warehouse, some_hours(900))
    before = [answer(shared_warehouse, **asked) for asked in SHAPES]
    build(shared_warehouse)
    return before


@pytest.mark.parametrize("number", range(len(SHAPES)), ids=[str(asked) for asked in SHAPES])
def test_the_rollup_answers_as_the_attempts_do(shared_warehouse: Warehouse, answered: list[pd.DataFrame], number: int):
    assert fresh(shared_warehouse) >= 7
    alike(answer(shared_warehouse, exact_max=DIGESTS, **SHAPES[number]), answered[number])


def test_percentiles_of_few_attempts_are_exact_though_the_rollup_could_tell_them(
    shared_warehouse: Warehouse, answered: list[pd.DataFrame]
):
    exact = answered[SHAPES.index({})]
    few, many = answer(shared_warehouse), answer(shared_warehouse, exact_max=len(exact))

    assert few["delivery_time_p95"].item() == exact["delivery_time_p95"].item()
    assert many["delivery_time_p95"].item() != exact["delivery_time_p95"].item()


def test_every_metric_is_that_of_a_plain_recount_before_and_after_late_receipts(warehouse: Warehouse):
    events = some_hours(900)
    late = [
        Receipt(request_id=one.request_id, attempt=one.attempt, at=one.at + timedelta(hours=30), status="delivered", raw_code="late", carrier="east")
        for one in events if one.kind == "send" and one.outcome == "accepted"  # type: ignore[attr-defined]
    ][::7]  # fmt: skip
    tell_all(warehouse, events)
    build(warehouse)
    told = [*events]
    for more in (late[:1], late[1:]):
        tell(warehouse, more)
        told += more
        for rebuilt in (False, True):
            if rebuilt:
                build(warehouse)
            counted = recount(attempts_of(told), now=NOW, on_time_seconds=60)
            long = {name: counted[name][0] for name in ("delivery_time", "delivery_time_p95")}
            from_digests = answer(warehouse, exact_max=DIGESTS, metrics=("delivery_time",)).iloc[0]

            same(answer(warehouse, metrics=COUNTED).iloc[0], {slug: counted[slug] for slug in COUNTED})
            same(answer(warehouse).iloc[0], counted)
            assert [from_digests[name] for name in long] == pytest.approx([*long.values()], rel=0.02)


def test_an_hour_that_was_touched_is_read_from_the_attempts_until_it_is_built_again(warehouse: Warehouse):
    tell(warehouse, all_of(*(Request(str(hour), seconds=hour * 3600 + 60).sent() for hour in range(48))))
    build(warehouse)
    everything = fresh(warehouse)
    tell(warehouse, Request("9", seconds=9 * 3600 + 60).receipt("delivered", 90_000).events)

    assert (everything, fresh(warehouse)) == (49, 46)  # with the hours beside it, into which its attempts may fall
    assert answer(warehouse, metrics=("delivery_rate",))["delivery_rate"].item() == pytest.approx(1 / 48)
    assert build(warehouse) == 3
    assert build(warehouse) == 0
    assert fresh(warehouse) == everything
    assert answer(warehouse, metrics=("delivery_rate",))["delivery_rate"].item() == pytest.approx(1 / 48)


def test_a_carrier_named_late_moves_the_attempt_and_leaves_no_ghost(warehouse: Warehouse):
    tell(warehouse, Request("ana", carrier="north").sent().events)
    build(warehouse)
    tell(warehouse, Request("ana").receipt("delivered", 5, carrier="south").events)
    build(warehouse)
    frame = answer(warehouse, metrics=("third_party_success_rate",), dimensions=("carrier",))

    assert fresh(warehouse) == 2
    assert frame[["carrier", "third_party_success_rate_n"]].to_numpy().tolist() == [["south", 1]]
    hourly.sweep(warehouse)  # the old rows are too young to be swept, and not read
    assert warehouse.query_rows("SELECT count() FROM rollup WHERE split = 'purpose'") == [(2,)]


def test_the_values_of_the_dimensions_are_those_of_the_attempts_whatever_was_built(warehouse: Warehouse):
    tell_all(warehouse, some_hours(400))
    window = {"start": START + timedelta(minutes=10), "end": START + DAYS}
    before = values_of(warehouse, DIMENSIONS, **window)
    build(warehouse)
    tell(warehouse, Request("late", seconds=700, template="new").sent().events)

    assert fresh(warehouse)
    assert values_of(warehouse, DIMENSIONS, **window) == before | {
        "template": Values(tuple(sorted([*before["template"].names, "new"])))
    }


def test_an_insert_that_was_under_way_while_an_hour_was_built_keeps_it_out(warehouse: Warehouse):
    tell(warehouse, Request("ana").sent().events)
    hourly.build(warehouse, on_time_seconds=60, lasts=timedelta(), quiet=timedelta(), margin=timedelta(hours=1))

    assert fresh(warehouse) == 0


def test_an_hour_that_is_not_over_or_not_quiet_is_not_built(warehouse: Warehouse):
    tell(warehouse, Request("ana").sent().events)
    soon = {"lasts": timedelta(days=100_000 // 24)}

    assert hourly.build(warehouse, on_time_seconds=60) == 0
    assert hourly.build(warehouse, on_time_seconds=60, **AT_ONCE | soon) == 0


def test_another_time_for_on_time_is_never_answered_with_the_one_that_was_counted(warehouse: Warehouse):
    tell(warehouse, all_of(*(Request(str(n), seconds=n).sent().receipt("delivered", n) for n in range(100))))
    build(warehouse, on_time_seconds=60)

    assert (fresh(warehouse, 60), fresh(warehouse, 20), fresh(warehouse)) == (2, 0, 2)
    assert answer(warehouse, metrics=("on_time_rate",))["on_time_rate"].item() == 0.61
    assert answer(warehouse, on_time_seconds=20, metrics=("on_time_rate",))["on_time_rate"].item() == 0.21
    assert build(warehouse, on_time_seconds=20) == 3
    assert answer(warehouse, on_time_seconds=20, metrics=("on_time_rate",))["on_time_rate"].item() == 0.21


def test_what_is_pending_but_not_due_yet_is_left_out(warehouse: Warehouse):
    tell(warehouse, all_of(Request("ana").sent(), Request("ben", seconds=1).sent().receipt("delivered", 3)))
    build(warehouse, on_time_seconds=60)

    def due(now: float) -> int:
        question = Question(metrics=("on_time_rate",), start=START - DAYS, end=START + DAYS)
        return ask(warehouse, question, now=at(now), on_time_seconds=60)["on_time_rate_n"].item()

    assert (due(60), due(61), due(3660)) == (1, 2, 2)


USUAL: dict[str, Any] = {
    "start": START,
    "end": NOW,
    "dimensions": {"provider"},
    "bucket_seconds": 3600,
    "time_zone": "UTC",
}


@pytest.mark.parametrize(
    "asked",
    [
        {"dimensions": {"provider", "template"}},
        {"bucket_seconds": 900},
        {"bucket_seconds": 3600, "time_zone": "Asia/Kolkata"},
        {"end": START + timedelta(hours=20)},
    ],
    ids=["a dimension it lacks", "quarters of an hour", "a zone of half hours", "half a day"],
)
def test_what_whole_hours_cannot_tell_is_left_to_the_attempts(asked: dict[str, Any]):
    assert hourly.serving(**USUAL)
    assert not hourly.serving(**USUAL | asked)


def test_a_question_is_answered_out_of_the_smallest_split_that_has_its_dimensions():
    def split(*dimensions: str) -> str:
        return hourly.serving(**USUAL | {"dimensions": {*dimensions}})

    assert split() == "purpose"
    assert split("carrier") == "country,carrier"
    assert split("purpose", "provider") == "provider,country,carrier,purpose"
    assert {split(name) for name in DIMENSIONS} <= {",".join(names) for names in hourly.SPLITS}
