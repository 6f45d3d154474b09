"""Every metric against a table worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pandas as pd
import pytest

from core.warehouse import Warehouse
from metrics.catalogue import METRICS
from metrics.query import Question, ask
from tests.metrics.story import START, Request, all_of, at, tell

SLUGS = tuple(one.slug for one in METRICS)
NOW = at(600)


def day(**asked) -> Question:
    return Question(**{"metrics": SLUGS, "start": START, "end": START + timedelta(days=1)} | asked)


def people() -> list[Request]:
    """Twelve submitted attempts of ten requests, and one that was refused."""
    return [
        Request("ana").sent().receipt("delivered", 5).check("approved", 30),
        # Asked again after a minute, by which time the first message was still on its way.
        Request("ben").sent().receipt("delivered", 90)
        .sent(attempt=2, after=60, provider="beacon").receipt("delivered", 64, attempt=2).check("approved", 80, attempt=2),
        Request("cem").sent().receipt("failed", 8, error_class="handset"),
        Request("dia").sent().receipt("failed", 2, error_class="blocked"),
        Request("eva").sent().receipt("pending", 1),
        # Rejected, so the next provider was tried at once; its code was the one entered.
        Request("fay").sent("rejected", error_class="throttled")
        .sent(attempt=2, after=1, cause="failover", provider="beacon").receipt("delivered", 4, attempt=2)
        .check("approved", 25, attempt=2),
        # No answer in time, and yet it arrived.
        Request("gus").sent("unknown", error_class="timeout").receipt("delivered", 20).check("approved", 50),
        Request("hal").sent("refused"),
        Request("ida", template="parcel").sent(category="notification").receipt("delivered", 10),
        Request("jon", seconds=570).sent(),  # half a minute before now
        # The first final receipt counts; what was entered was nobody's code.
        Request("kim").sent().receipt("delivered", 2).receipt("failed", 9, error_class="route").check("wrong", 40, attempt=0),
    ]  # fmt: skip


WORKED_OUT = {
    "third_party_success_rate": (Fraction(10, 12), 12),  # all but fay's first and gus
    "receipt_rate": (Fraction(8, 10), 10),  # all accepted but eva and jon
    "delivery_rate": (Fraction(6, 10), 10),  # ana, ben twice, fay, ida, kim
    "receipt_success_rate": (Fraction(6, 8), 8),
    "effective_success_rate": (Fraction(6, 10 - 2 - 1), 7),  # without eva and jon, without cem's handset
    "fill_rate": (Fraction(3, 9), 9),  # ana's, ben's second, fay's second; ida's was no code
    "verification_success_rate": (Fraction(4, 9), 9),  # ana, ben, fay, gus
    "delivery_time": (Fraction(9, 2), 6),  # between the 4 and the 5 of 2 3 4 5 10 90
    "on_time_rate": (Fraction(5, 9), 9),  # not ben's first; due are all accepted but jon
    "resend_rate": (Fraction(1, 9), 9),  # ben
}


@pytest.fixture(scope="module")
def told(shared_warehouse: Warehouse) -> Warehouse:
    tell(shared_warehouse, all_of(*people()))
    return shared_warehouse


@pytest.mark.parametrize("slug", SLUGS)
def test_the_metric_is_what_the_table_says(told: Warehouse, slug: str):
    (row,) = ask(told, day(metrics=(slug,)), now=NOW).to_dict("records")

    value, n = WORKED_OUT[slug]
    assert (float(value), n) == (pytest.approx(row[slug]), row[f"{slug}_n"])


def test_all_ten_in_one_question_are_the_same_as_alone(told: Warehouse):
    (row,) = ask(told, day(), now=NOW).to_dict("records")

    assert {slug: n for slug, (_, n) in WORKED_OUT.items()} == {slug: row[f"{slug}_n"] for slug in SLUGS}
    assert {slug: float(value) for slug, (value, _) in WORKED_OUT.items()} == pytest.approx({s: row[s] for s in SLUGS})


def test_p95_is_interpolated_between_the_slowest_two(told: Warehouse):
    (row,) = ask(told, day(metrics=("delivery_time",)), now=NOW).to_dict("records")

    assert pytest.approx(10 + (90 - 10) * 0.75) == row["delivery_time_p95"]  # 0.95 of the way over 6 values is 4.75


def test_a_verification_belongs_to_the_provider_of_its_first_attempt(told: Warehouse):
    frame = ask(told, day(dimensions=("provider",)), now=NOW).set_index("provider")

    assert list(frame.index) == ["aurora", "beacon"]
    assert list(frame["verification_success_rate_n"]) == [9, 0]
    assert pytest.approx(4 / 9) == frame.loc["aurora", "verification_success_rate"]
    assert list(frame["third_party_success_rate_n"]) == [10, 2]
    assert frame.loc["beacon", "fill_rate"] == 2 / 2


def test_a_value_over_nothing_is_null_with_n_0_and_never_0(told: Warehouse):
    (row,) = ask(told, day(filters={"provider": ["nobody"]}), now=NOW).to_dict("records")

    for slug in SLUGS:
        assert pd.isna(row[slug])
        assert row[f"{slug}_n"] == 0
    assert pd.isna(row["delivery_time_p95"])


def test_null_leaves_the_server_as_null_not_as_nan(told: Warehouse):
    values = ", ".join(f"({one.value}) IS NULL" for one in METRICS)
    parameters = {"now": "2026-03-02 09:10:00.000", "on_time_seconds": 60}
    (row,) = told.query_rows(f"SELECT {values} FROM attempts FINAL WHERE provider = 'nobody'", parameters)

    assert [int(value) for value in row] == [1] * 10


def test_a_group_without_accepted_attempts_is_undefined_where_it_divides_by_them(warehouse: Warehouse):
    tell(warehouse, Request("only").sent("rejected").events)
    (row,) = ask(warehouse, day(), now=NOW).to_dict("records")

    assert (row["third_party_success_rate"], row["third_party_success_rate_n"]) == (0.0, 1)
    assert (row["verification_success_rate"], row["verification_success_rate_n"]) == (0.0, 1)
    undefined = set(SLUGS) - {"third_party_success_rate", "verification_success_rate", "resend_rate"}
    assert all(pd.isna(row[slug]) and row[f"{slug}_n"] == 0 for slug in undefined)


def test_only_refused_attempts_are_no_attempts(warehouse: Warehouse):
    tell(warehouse, Request("hal").sent("refused").events)

    assert ask(warehouse, day(dimensions=("provider",)), now=NOW).empty


def test_events_without_their_send_are_counted_once_it_comes(warehouse: Warehouse):
    ana = Request("ana").sent().receipt("delivered", 5).check("approved", 30)
    send, *rest = ana.events
    tell(warehouse, rest)
    before = ask(warehouse, day(), now=NOW)
    tell(warehouse, [send])
    after = ask(warehouse, day(), now=NOW)

    assert before["delivery_rate_n"].item() == 0
    assert (after["delivery_rate"].item(), after["delivery_rate_n"].item()) == (1.0, 1)


def test_asking_again_after_the_approval_is_no_resend(warehouse: Warehouse):
    tell(warehouse, Request("lea").sent().check("approved", 20).sent(attempt=2, after=40).events)
    tell(warehouse, Request("max").sent().sent(attempt=2, after=40).events)
    row = ask(warehouse, day(metrics=("resend_rate",)), now=NOW)

    assert (row["resend_rate"].item(), row["resend_rate_n"].item()) == (1 / 2, 2)


def test_a_code_entered_too_late_counts_as_filled_and_not_as_verified(warehouse: Warehouse):
    tell(warehouse, Request("lea").sent().check("expired", 2000).events)
    row = ask(warehouse, day(), now=at(3000))

    assert row["fill_rate"].item() == 1.0
    assert row["verification_success_rate"].item() == 0.0


def test_a_conversion_fills_and_approves_like_a_check(warehouse: Warehouse):
    tell(warehouse, Request("lea").sent().check("approved", 20, source="conversion").events)
    row = ask(warehouse, day(), now=NOW)

    assert (row["fill_rate"].item(), row["verification_success_rate"].item()) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("on_time_seconds", "value", "n"),
    [
        (4, Fraction(3, 10), 10),  # ben's second, fay, kim; now jon is due
        (5, Fraction(4, 10), 10),  # and ana, on the second
        (90, Fraction(6, 9), 9),
        (1200, Fraction(6, 8), 8),  # eva may still be on time
    ],
)
def test_on_time_moves_with_its_limit(told: Warehouse, on_time_seconds: int, value: Fraction, n: int):
    row = ask(told, day(metrics=("on_time_rate",)), now=NOW, on_time_seconds=on_time_seconds)

    assert (float(value), n) == (row["on_time_rate"].item(), row["on_time_rate_n"].item())


def test_a_receipt_before_its_submission_is_a_delivery_in_no_time(warehouse: Warehouse):
    tell(warehouse, Request("lea").sent(after=3).receipt("delivered", 1).events)
    row = ask(warehouse, day(), now=NOW)

    assert (row["delivery_time"].item(), row["on_time_rate"].item()) == (0.0, 1.0)
