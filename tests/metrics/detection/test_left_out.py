"""What is not known to be good is no part of what is usual; what nothing is heard of is no fault for ever."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from metrics import counts
from metrics.detection.baseline import Aside, History
from metrics.detection.cases import SILENT, SILENT_MINUTES, Case
from metrics.detection.cells import COUNTS, from_arrivals
from metrics.detection.channels import DEL, WIDTH
from metrics.detection.detector import Detector, Tuning
from metrics.detection.evidence import TALLIES, Minute
from metrics.detection.explaining import restored
from metrics.detection.leaves import DIMENSIONS, Leaves
from metrics.detection.replay import learn, maintenance, minute_number
from metrics.detection.words import Word, say
from tests.metrics.story import START, Request, all_of, tell
from tests.support.incidents import an_incident

HOUR = datetime(2026, 3, 2, 14, tzinfo=UTC)
FIRST = minute_number(HOUR)


def hours(*providers: str) -> pd.DataFrame:
    """Two hours in which every provider sent a hundred messages."""
    rows = [
        dict.fromkeys(DIMENSIONS, "") | {"provider": provider, "cohort_hour": HOUR + timedelta(hours=hour)}
        for hour in range(2)
        for provider in providers
    ]
    return pd.DataFrame(rows).assign(**dict.fromkeys(COUNTS, 100))


def test_an_hour_of_an_incident_is_left_out_in_its_scope_alone():
    history = History(Leaves(), 14)
    incident = Aside({"provider": ("alpha",)}, FIRST + 10, FIRST + 20)

    history.add_frames(hours("alpha", "beta"), pd.DataFrame(), hour=FIRST // 60, left_out=[incident])

    kept = [(hour - FIRST // 60, history.leaves.keys[leaf][0]) for hour, told, _ in history.hours for leaf in told]
    assert kept == [(0, "beta"), (1, "alpha"), (1, "beta")]


def test_maintenance_that_was_not_withdrawn_is_left_out(warehouse):
    until = HOUR + timedelta(hours=1)
    scope = {"provider": ("alpha",)}
    say(warehouse, Word("maintenance", "ops", scope=scope, start=HOUR, end=until), now=HOUR)
    wrong = say(warehouse, Word("maintenance", "ops", scope={}, start=HOUR, end=until), now=HOUR)
    say(warehouse, Word("withdrawn", "ops", refers_to=wrong.id), now=HOUR)

    assert maintenance(warehouse, until - timedelta(minutes=1), until) == [Aside(scope, FIRST, FIRST + 60)]
    assert maintenance(warehouse, until, until + timedelta(hours=1)) == []


def heard(case: Case, minute: int, messages: float) -> None:
    """A minute in which so many messages of its scope came, and told nothing."""
    told = np.zeros((1, WIDTH))
    case.watch(Minute(minute, np.array([0]), told, told, np.zeros((1, TALLIES)), np.full((1, 3), messages)))


def test_a_fault_of_which_nothing_is_heard_for_a_day_is_over_since_the_last_that_was_heard():
    everything = np.ones(1, dtype=bool)
    case = Case("a", DEL, {}, everything, everything.copy(), onset=100, detected=105)
    case.start_count(1, WIDTH)

    heard(case, 130, messages=3)
    heard(case, 131, messages=0)

    assert not case.went_silent(130 + SILENT_MINUTES - 1)
    assert case.went_silent(130 + SILENT_MINUTES)
    case.fall_silent(130 + SILENT_MINUTES)
    assert (case.resolved, case.normal) == (131, (SILENT,))


def test_a_fault_taken_over_was_heard_of_until_it_was_last_told():
    told = an_incident(updated_at=an_incident().onset + timedelta(hours=30))
    case, last = restored(told, minute_number, np.ones(1, dtype=bool)), minute_number(told.updated_at) - 1

    heard(case, last + 1, messages=0)

    assert not case.went_silent(last + 1)
    case.fall_silent(last + SILENT_MINUTES)
    assert case.resolved == last + 1


def test_what_comes_too_late_for_a_live_minute_is_no_part_of_what_is_usual_after_a_restart_either(warehouse):
    in_time, late = Request("ana").sent().receipt("delivered", 29 * 60), Request("ben").sent().receipt("failed", 86_400)
    tell(warehouse, all_of(in_time.check("approved", 1_000), late.check("approved", 7_200)))
    until, learned, live = START + timedelta(days=2), Detector(Leaves(), Tuning(baseline_days=2)), Detector(Leaves())

    learn(learned, warehouse, until=until)
    live.learn(from_arrivals(counts.arrivals(warehouse, START, until), live.leaves))

    told, expected = ([table.sum(axis=0).tolist() for _, _, table in one.history.hours] for one in (learned, live))
    assert told == expected
