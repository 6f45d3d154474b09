"""What detection finds is passed on once and in order, and what is open is told again when that is news."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from core.settings.watching import Detection
from metrics.detection.job import Job
from metrics.detection.records import keep, keep_evidence
from metrics.detection.words import Word, say
from reports.watch.incidents import Teller
from reports.watch.relay import Relay
from tests.metrics.detection.test_job import events_of
from tests.metrics.detection.test_naming import lose
from tests.metrics.detection.told import FAULT, broken
from tests.reports.watch.conftest import minutes_of, notice
from tests.support.incidents import ONSET

SHALLOW, STEEP = 0.9, 0.5


@pytest.fixture
def relay(alerts, tmp_path) -> Relay:
    return Relay(alerts, Teller("Asia/Shanghai"), tmp_path / "alerts" / "told-until")


Minute = Callable[..., list[str]]


@pytest.fixture
def minute(relay, alerts, warehouse, kept, clock) -> Minute:
    """Detection writes how the incident stands after so many minutes, and what it tells of it; the events of all alerts so far."""

    def judged(minutes: float, *told: str, through=warehouse, **incident) -> list[str]:
        clock.now = ONSET + timedelta(minutes=minutes)
        if "resolved" in told:
            incident |= {"state": "resolved", "resolved_at": clock.now}
        keep(
            warehouse,
            [notice(minutes=minutes, **incident).incident],
            [notice(one, minutes, **incident) for one in told],
        )
        relay.pass_on(through, now=clock.now)
        alerts.deliver()
        return [one.alert.event for one in kept.taken]

    return judged


def test_notifications_are_passed_on_once_and_in_order(warehouse, relay, alerts, kept, clock):
    story = [notice(), notice("updated", 8, kind="black-hole"), notice("resolved", 30, resolved_at=ONSET)]
    keep(warehouse, [one.incident for one in story], story)
    keep_evidence(warehouse, "d3adbeef", minutes_of(), at=ONSET)
    clock.now = ONSET + timedelta(minutes=31)

    counts = [relay.pass_on(warehouse, now=clock.now) for _ in range(2)]
    alerts.deliver()

    assert counts == [3, 0]
    assert [one.alert.event for one in kept.taken] == ["opened", "resolved"]  # the update was overtaken before it went
    assert kept.taken[0].alert.pictures


def test_what_was_deployed_within_an_hour_where_it_is_stands_in_the_alert(warehouse, relay, alerts, kept, clock):
    def deployed(text, minutes, **scope):
        word = Word("deployment", "ci", text, scope=scope or None, start=ONSET - timedelta(minutes=minutes))
        say(warehouse, word, now=ONSET)

    deployed("checkout 4.2", 5)
    deployed("routes of CMCC", 20, carrier=("CMCC",))
    deployed("routes of others", 20, carrier=("CU",))
    deployed("yesterday's", 90)
    keep(warehouse, [], [notice()])
    relay.pass_on(warehouse, now=clock.now)
    alerts.deliver()

    assert dict(kept.taken[0].alert.facts)["Deployed near its beginning"] == (
        "routes of CMCC, to CMCC, 20 minutes before it began; checkout 4.2, everywhere, 5 minutes before it began"
    )


def test_a_lost_mark_repeats_nothing(relay, minute):
    minute(3, "opened")
    relay.mark.unlink()

    assert minute(4) == ["opened"]


def test_a_reopened_incident_goes_on_in_its_thread(minute, kept):
    minute(3, "opened")
    minute(20, "resolved")

    assert minute(30, "reopened") == ["opened", "resolved", "reopened"]
    assert len({one.thread for one in kept.taken}) == 1


# While it is open


def test_twice_as_many_people_are_an_update_and_a_few_more_are_none(minute, kept):
    told = [minute(at, *event, affected=affected) for at, event, affected in (
        (3, ["opened"], 50), (4, [], 60), (5, [], 60_000), (6, [], 70_000)
    )]  # fmt: skip

    assert told == [["opened"], ["opened"], ["opened", "updated"], ["opened", "updated"]]
    assert "to 60,000 people so far" in kept.taken[1].alert.text
    assert kept.taken[1].thread == kept.taken[0].thread


def test_what_becomes_more_severe_is_told_and_what_goes_up_and_down_is_told_once(minute):
    minute(3, "opened", observed=SHALLOW)

    assert [minute(4 + at, observed=value) for at, value in enumerate((STEEP, SHALLOW, STEEP, SHALLOW))] == [
        ["opened", "updated"]
    ] * 4


def test_what_lasts_is_told_again_each_hour(minute):
    assert [minute(3, "opened"), minute(62), minute(63), minute(64)] == [
        ["opened"],
        ["opened"],
        ["opened", "updated"],
        ["opened", "updated"],
    ]


def test_an_incident_that_detection_has_left_alone_for_long_is_not_told(minute, relay, warehouse, clock):
    minute(3, silenced=True)
    keep(warehouse, [notice(minutes=4).incident])

    assert relay.pass_on(warehouse, now=clock.now + timedelta(hours=2)) == 0


def test_nothing_is_drawn_for_what_is_no_news(warehouse, minute):
    class Counting:
        evidence = 0

        def query_df(self, sql, *args):
            self.evidence += "incident_evidence" in sql
            return warehouse.query_df(sql, *args)

        def __getattr__(self, name):
            return getattr(warehouse, name)

    counting = Counting()
    minute(3, "opened", through=counting)
    for minutes in (4, 5, 6):
        minute(minutes, through=counting)

    assert counting.evidence == 1


def test_an_incident_whose_id_has_no_letter_is_one_thread(minute, kept):
    digits = {"id": "123456789012"}
    minute(3, "opened", **digits)
    minute(4, **digits)

    assert minute(9, "resolved", **digits) == ["opened", "resolved"]
    assert len({one.thread for one in kept.taken}) == 1


# Under a silence


def test_what_broke_in_a_maintenance_window_and_is_open_after_it_is_told_then(warehouse, relay, alerts, kept, clock):
    over = FAULT + timedelta(minutes=29)
    attempts = broken(lose, hours_after=0.6, per_minute=30, carrier="CMCC")
    attempts["submitted_at"] = attempts["submitted_at"].dt.floor("ms")
    for kind, rows in events_of(attempts).items():
        come = [row for row in rows if row["at"] < f"{over:%Y-%m-%d %H:%M:%S}"]
        warehouse.insert_json(f"{kind}_events", "\n".join(map(json.dumps, come)).encode())
    say(warehouse, Word("maintenance", "ops", "routes", start=FAULT, end=over), now=FAULT)
    job = Job(Detection(settle_seconds=0, baseline_days=2))
    job.minute(warehouse, FAULT - timedelta(minutes=10))

    def at(moment):
        clock.now = moment
        found = job.minute(warehouse, moment).told
        return [one.incident.silenced for one in found], relay.pass_on(warehouse, now=moment)

    within, after, later = at(over - timedelta(minutes=1)), at(over), at(over)
    alerts.deliver()

    assert (within, after, later) == (([True], 0), ([], 1), ([], 0))
    assert [(one.alert.event, one.alert.title) for one in kept.taken] == [("opened", "Delivery drop to CMCC")]


def test_what_is_open_when_a_silence_ends_is_told_once(minute):
    assert minute(3, "opened", silenced=True) == []
    assert minute(9, "updated", kind="black-hole", silenced=True) == []
    assert minute(10, kind="black-hole") == ["opened"]
    assert minute(11, kind="black-hole") == ["opened"]


def test_that_it_is_over_is_told_in_a_silence_to_those_who_heard_that_it_began(minute, kept):
    minute(3, "opened")
    minute(5, "updated", kind="black-hole", silenced=True)

    assert minute(40, "resolved", silenced=True) == ["opened", "resolved"]
    assert len({one.thread for one in kept.taken}) == 1


def test_nobody_hears_the_end_of_what_nobody_heard_of(minute):
    minute(3, "opened", silenced=True)

    assert minute(9, "resolved") == []


def test_what_came_back_in_a_silence_goes_on_in_its_thread_after_it(minute, kept):
    minute(3, "opened")
    minute(20, "resolved")
    minute(25, "reopened", silenced=True)

    assert minute(30) == ["opened", "resolved", "reopened"]
    assert len({one.thread for one in kept.taken}) == 1


def test_what_comes_back_and_nobody_had_heard_of_is_told_once(minute, relay, warehouse, clock):
    minute(3, "opened", silenced=True)
    minute(20, "resolved", silenced=True)

    assert minute(30, "reopened") == ["opened"]
    assert relay.pass_on(warehouse, now=clock.now + timedelta(minutes=1)) == 0


def test_no_update_follows_the_end_that_overtook_it(minute, relay, warehouse, clock):
    minute(3, "opened")
    keep(warehouse, [], [notice("updated", 10)])

    assert minute(11, "resolved") == ["opened", "resolved"]
    assert relay.pass_on(warehouse, now=clock.now + timedelta(minutes=1)) == 0
