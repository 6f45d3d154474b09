"""A drill: facts that belong together, faults that do what their labels say, and the same again from the same seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.events import DIMENSIONS
from sandbox.drills import BENIGN_KINDS, FAULT_KINDS, Drill, Label

SIZE = {"rate_per_minute": 150.0, "baseline_days": 1, "test_days": 2, "faults": 9}


@pytest.fixture(scope="module")
def drill() -> Drill:
    return Drill(5, **SIZE)


def inside(drill: Drill, label: Label, *, shift: str = "0h") -> pd.DataFrame:
    """Attempts in a label's scope while it lasts, or so much later."""
    found = drill.attempts
    start, end = (pd.Timestamp(at).tz_localize(None) + pd.Timedelta(shift) for at in (label.start, label.end))
    if label.ramp_minutes:
        start += pd.Timedelta(minutes=label.ramp_minutes) if shift == "0h" else pd.Timedelta(0)
    held = (found.submitted_at >= start) & (found.submitted_at < end)
    for dimension, values in label.scope.items():
        held &= found[dimension].isin(values)
    return found[held]


def share(frame: pd.DataFrame, column: str) -> float:
    return float(frame[column].notna().mean())


def test_the_same_seed_draws_the_same_world(drill: Drill):
    again = Drill(5, **SIZE)

    assert again.attempts.equals(drill.attempts)
    assert again.labels == drill.labels


def test_other_seeds_draw_other_worlds(drill: Drill):
    other = Drill(6, **(SIZE | {"test_days": 1, "faults": 2}))

    assert len(other.attempts) != len(drill.attempts)
    assert [label.start for label in other.labels] != [label.start for label in drill.labels][: len(other.labels)]


def test_attempts_are_told_in_order_with_the_columns_of_the_warehouse(drill: Drill):
    frame = drill.attempts
    times = [
        "submitted_at",
        "receipt_at",
        "delivered_at",
        "failed_at",
        "filled_at",
        "approved_at",
        "resent_at",
        "first_check_at",
    ]

    assert frame.submitted_at.is_monotonic_increasing
    assert {*DIMENSIONS, "category", "cause", "outcome", "outcome_class", "outcome_code", "attempt"} <= {*frame.columns}
    assert {"failure_class", "failure_code", "phone_hash", "first_check_right"} <= {*frame.columns}
    assert {str(frame[name].dtype) for name in times} == {"datetime64[ms]"}
    assert all((frame[name].isna() | (frame[name] >= frame.submitted_at)).all() for name in times)


def test_what_belongs_to_a_verification_stands_on_its_first_attempt(drill: Drill):
    frame = drill.attempts
    later = frame[frame.attempt > 1]

    assert later[["approved_at", "resent_at", "first_check_at"]].isna().all(axis=None)
    assert not frame.duplicated(["request", "attempt"]).any()
    by_request = frame.groupby("request").attempt
    assert (by_request.max() == by_request.count()).all()
    assert frame.groupby("request").filled_at.count().max() == 1


def test_the_volume_is_as_asked_and_the_night_is_quiet(drill: Drill):
    requests = drill.attempts[(drill.attempts.attempt == 1)]
    china = requests[requests.country == "CN"].submitted_at.dt.hour.value_counts()

    assert len(requests) / 1440 / 3 == pytest.approx(SIZE["rate_per_minute"], rel=0.1)
    assert china[20] < 0.4 * china[12]  # 04:00 and 20:00 in Shanghai


def test_every_kind_is_drawn_and_labelled(drill: Drill):
    assert {label.kind for label in drill.labels} == {*FAULT_KINDS, *BENIGN_KINDS}
    assert all(label.messages > 0 < label.people <= label.messages for label in drill.labels if not label.benign)
    assert all(label.messages == label.people == 0 for label in drill.labels if label.benign)
    assert all(drill.test_start <= label.start < label.end <= drill.end for label in drill.labels if not label.benign)
    assert all(label.floor_minutes <= (label.end - label.start).total_seconds() / 120 for label in drill.labels)


@pytest.mark.parametrize(
    ("kind", "column", "of"),
    [
        ("provider-outage", "accepted", "all"),
        ("receipts-stop", "receipt_at", "accepted"),
        ("black-hole", "receipt_at", "accepted"),
        ("black-hole", "filled_at", "code"),
        ("template-blocked", "delivered_at", "accepted"),
        ("delivery-drop", "delivered_at", "accepted"),
        ("fake-receipts", "filled_at", "code"),
        ("pumping", "filled_at", "code"),
        ("verification-broken", "first_check_right", "checked"),
    ],
)
def test_a_fault_moves_what_its_name_says_by_its_depth(drill: Drill, kind: str, column: str, of: str):
    label = next(label for label in drill.labels if label.kind == kind)
    rates = []
    for frame in (inside(drill, label), inside(drill, label, shift="-24h")):
        rows = {
            "all": frame,
            "accepted": frame[frame.outcome == "accepted"],
            "code": frame[(frame.outcome == "accepted") & (frame.category == "code")],
            "checked": frame[frame.first_check_at.notna()],
        }[of]
        values = rows.outcome == "accepted" if column == "accepted" else rows[column]
        rates.append(float(values.mean() if values.dtype == bool else values.notna().mean()))
    left = 1 / label.depth if kind == "pumping" else 1 - label.depth

    assert rates[0] / rates[1] == pytest.approx(left, abs=0.15)


def test_a_fake_receipt_still_says_delivered_and_a_blind_feed_still_fills(drill: Drill):
    fake = next(label for label in drill.labels if label.kind == "fake-receipts")
    blind = next(label for label in drill.labels if label.kind == "receipts-stop")
    codes = inside(drill, blind)

    assert share(inside(drill, fake), "delivered_at") > share(inside(drill, fake, shift="-24h"), "delivered_at") - 0.03
    assert share(codes[codes.category == "code"], "filled_at") > 0.7


def test_a_slow_channel_is_slow_and_a_pumped_one_is_full(drill: Drill):
    slow = next(label for label in drill.labels if label.kind == "slow-channel")
    pumped = next(label for label in drill.labels if label.kind == "pumping")

    def median(frame: pd.DataFrame) -> float:
        return float((frame.delivered_at - frame.submitted_at).dt.total_seconds().median())

    assert median(inside(drill, slow)) > 3 * median(inside(drill, slow, shift="-24h"))
    assert len(inside(drill, pumped)) > 1.5 * len(inside(drill, pumped, shift="-24h"))


def test_the_toll_of_a_fault_is_what_is_missing_from_the_frame(drill: Drill):
    label = next(label for label in drill.labels if label.kind == "provider-outage")
    frame = inside(drill, label)
    refused = int((frame.outcome != "accepted").sum())

    assert label.messages == pytest.approx(refused, rel=0.25)
    assert label.people <= frame.phone_hash.nunique()


def test_too_many_faults_are_refused_in_words():
    with pytest.raises(ValueError, match="no room for F"):
        Drill(1, rate_per_minute=5, baseline_days=1, test_days=1, faults=60)


def test_a_request_and_a_person_keep_their_names(drill: Drill):
    frame = drill.attempts

    assert frame.groupby("request").phone_hash.nunique().max() == 1
    assert frame.phone_hash.nunique() < frame.request.nunique()
    assert np.issubdtype(frame.phone_hash.dtype, np.unsignedinteger)
