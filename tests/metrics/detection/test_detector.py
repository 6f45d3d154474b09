"""What must hold of the detector whatever the world: quiet on good days, deaf to order, the same live as replayed."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from metrics.detection import baseline as good_days
from metrics.detection.baseline import AGE_MAX, History
from metrics.detection.cells import COUNTS, Cells, from_arrivals, from_attempts
from metrics.detection.channels import ACC, DEL, FIL, RGT
from metrics.detection.detector import Detector
from metrics.detection.leaves import DIMENSIONS, Leaves, Slices
from metrics.detection.replay import minute_number, over_attempts
from tests.metrics.detection.test_naming import lose
from tests.metrics.detection.told import BASELINE, FAULT, START, broken, finished, span, world


def test_a_good_day_and_a_half_raises_nothing():
    attempts = finished(world(hours=66, seed=5))

    told = list(over_attempts(attempts, start=START + BASELINE, end=START + timedelta(hours=66)))

    assert told == []


def test_a_burst_of_messages_nobody_answers_as_ever_raises_nothing():
    attempts = finished(world(hours=34))
    hour = attempts["submitted_at"].between(FAULT - timedelta(hours=2), FAULT - timedelta(hours=1))
    moments = ("submitted_at", "delivered_at", "failed_at", "filled_at", "first_check_at")
    burst = attempts[hour & (attempts["country"] == "DE")].copy()
    for name in moments:
        burst[name] += timedelta(hours=1, minutes=59)

    told = list(over_attempts(pd.concat([attempts, burst, burst]), **span()))

    assert told == []


def test_a_stall_of_two_minutes_that_flushes_raises_nothing():
    attempts = finished(world(hours=34))
    for name in ("delivered_at", "failed_at"):
        stalled = (attempts["provider"] == "alpha") & attempts[name].between(FAULT, FAULT + timedelta(seconds=120))
        attempts.loc[stalled, name] = pd.Timestamp(FAULT + timedelta(seconds=121))

    assert list(over_attempts(attempts, **span())) == []


def test_the_order_of_arrivals_within_a_minute_changes_nothing():
    attempts = broken(lose, carrier="CMCC")

    told = list(over_attempts(attempts, **span()))
    shuffled = list(over_attempts(attempts.sample(frac=1, random_state=3), **span()))

    assert [(one.event, one.at, one.incident.id, one.incident.affected) for one in shuffled] == [
        (one.event, one.at, one.incident.id, one.incident.affected) for one in told
    ]


def test_a_minute_sees_nothing_that_arrives_after_it():
    attempts = broken(lose, carrier="CMCC")
    until = FAULT + timedelta(minutes=30)
    known = attempts.copy()
    for name in ("delivered_at", "failed_at", "filled_at", "first_check_at"):
        known[name] = known[name].where(known[name] < until)
    known = known[known["submitted_at"] < until]

    told = [one for one in over_attempts(attempts, **span()) if one.at <= until]
    then = list(over_attempts(known, start=START + BASELINE, end=until))

    assert [one.as_line() for one in then] == [one.as_line() for one in told]


def test_cells_are_the_attempts_counted_by_hand():
    attempts = finished(world(hours=1))
    leaves = Leaves()

    cells = from_attempts(attempts, leaves)

    accepted = attempts["outcome"] == "accepted"
    by_hand = [
        len(attempts),
        accepted.sum(),
        (attempts["delivered_at"].notna() | attempts["failed_at"].notna()).sum(),
        attempts["delivered_at"].notna().sum(),
        attempts["filled_at"].notna().sum(),
        attempts["first_check_at"].notna().sum(),
        (attempts["first_check_at"].notna() & attempts["first_check_right"]).sum(),
    ]
    assert cells.counts.sum(axis=0).tolist() == by_hand
    assert (cells.seen >= cells.cohort).all()


def test_cells_of_arrivals_are_the_cells_of_their_attempts():
    attempts = finished(world(hours=1))
    leaves = Leaves()
    cells = from_attempts(attempts, leaves)
    keys = pd.DataFrame([leaves.keys[leaf] for leaf in cells.leaf], columns=list(DIMENSIONS))
    frame = keys.assign(
        seen_minute=pd.to_datetime(cells.seen * 60, unit="s", utc=True),
        cohort_minute=pd.to_datetime(cells.cohort * 60, unit="s", utc=True),
        **{name: cells.counts[:, place] for place, name in enumerate(COUNTS)},
    )

    again = from_arrivals(frame.sample(frac=1, random_state=1), leaves)

    assert np.array_equal(again.seen, cells.seen)
    assert np.array_equal(again.counts, cells.counts)


def test_what_is_expected_of_all_is_what_its_leaves_brought():
    leaves, history = Leaves(), None
    cells = from_attempts(finished(world(hours=48)), leaves)
    history = History(leaves, 14)
    history.add(cells)

    fitted = good_days.fit(history, minute_number(START + timedelta(hours=48)) // 60)

    counted = sum(table.sum(axis=0) for _, _, table in history.hours)
    for watched, of, out_of in ((ACC, 1, 0), (DEL, 3, 1), (FIL, 4, 1), (RGT, 6, 5)):
        expected = 0.0
        for hour, leaf, table in history.hours:
            rate = 1 / (1 + np.exp(-fitted.logits(hour % 24)[watched][leaf]))
            expected += float((table[:, out_of] * rate).sum())
        assert expected == pytest.approx(counted[of], rel=0.01)


def test_a_leaf_nobody_has_met_gets_its_groups_rate():
    leaves = Leaves()
    history = History(leaves, 14)
    history.add(from_attempts(finished(world(hours=24)), leaves))
    fitted = good_days.fit(history, minute_number(START) // 60 + 24)
    told = dict(zip(DIMENSIONS, leaves.keys[0], strict=True)) | {"template": "brand new"}

    leaves.number(pd.DataFrame([told]))
    fitted.grow(leaves)

    assert fitted.rate[DEL, -1] == pytest.approx(fitted.rate[DEL, 0], abs=0.4)
    assert fitted.volume[:, -1].sum() == 0


def test_sums_over_slices_are_sums_over_their_leaves():
    leaves = Leaves()
    from_attempts(finished(world(hours=2)), leaves)
    slices = Slices(leaves)
    slices.grow()
    values = np.random.default_rng(1).normal(size=(len(leaves), 3))
    some = np.arange(0, len(leaves), 2)

    sums = slices.sums(some, values[some])

    for number in range(0, len(slices), 17):
        held = leaves.inside(slices.scope(number))[some]
        assert np.allclose(sums[number], values[some][held].sum(axis=0))


def test_slices_of_the_same_leaves_count_once_under_the_shortest_name():
    leaves = Leaves()
    from_attempts(finished(world(hours=2)), leaves)
    slices = Slices(leaves)
    slices.grow()

    scopes = [slices.scope(number) for number in range(len(slices))]
    marks = {tuple(leaves.inside(scope)) for scope in scopes}
    assert len(marks) == len(scopes)
    assert {"country": ("DE",)} in scopes
    assert {"carrier": ("Telekom",)} not in scopes


def test_the_first_day_of_data_is_for_learning_alone():
    attempts = finished(world(hours=20))
    attempts.loc[attempts["submitted_at"] > START + timedelta(hours=10), ["delivered_at", "failed_at"]] = pd.NaT

    told = list(over_attempts(attempts, start=START + timedelta(hours=1), end=START + timedelta(hours=20)))

    assert told == []


def test_arrivals_that_are_older_than_the_window_are_passed_over():
    leaves = Leaves()
    detector = Detector(leaves)
    history = from_attempts(finished(world(hours=26)), leaves)
    detector.learn(history)
    minute = minute_number(START) + 26 * 60
    old = Cells(
        np.array([minute]), np.array([minute - AGE_MAX - 5]), np.array([0]), np.array([[0, 0, 500, 500, 0, 0, 0.0]])
    )

    assert detector.minute(minute, old) == []
