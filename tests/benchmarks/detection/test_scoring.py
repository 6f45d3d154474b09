"""The judge is judged: planted alerts that are perfect, late, elsewhere, doubled, early, misnamed and false."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from benchmarks.detection.alerts import Alert, from_told
from benchmarks.detection.scoring import LEAF, Leaves, Score, score
from sandbox.drills import Label

START = datetime(2026, 3, 16, tzinfo=UTC)
END = START + timedelta(days=2)
FAULT = START + timedelta(hours=5)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def label(
    scope: dict[str, list[str]],
    *,
    name: str = "F01",
    kind: str = "delivery-drop",
    start: datetime = FAULT,
    benign: bool = False,
) -> Label:
    return Label(
        id=name, kind=kind, benign=benign, scope=scope, start=start, end=start + minutes(30), depth=0.5, ramp_minutes=0,
        volume_per_minute=30, tier="20 to 100", floor_minutes=1, people=95, messages=100,
    )  # fmt: skip


def alert(
    scope: dict[str, list[str]],
    *,
    after: float = 3,
    name: str = "a",
    kind: str = "delivery-drop",
    affected: float = 100,
    messages: float | None = None,
) -> Alert:
    return Alert(
        detected_at=FAULT + minutes(after), incident_id=name, kind=kind, metric="delivery_rate", scope=scope,
        onset=FAULT, affected=affected, messages=messages,
    )  # fmt: skip


def leaves() -> Leaves:
    """Two providers share every carrier of a country by half; carriers carry 60, 30 and 10."""
    rows = [
        {"provider": provider, "carrier": carrier, "country": "CN", "region": region, "app": "shop", "purpose": "login", "template": "code", "attempts": attempts / 4}
        for provider in ("alpha", "beta")
        for carrier, attempts in (("one", 60), ("two", 30), ("three", 10))
        for region in ("north", "south")
    ]  # fmt: skip
    return Leaves(pd.DataFrame(rows))


def judge(alerts: list[Alert], *labels: Label) -> Score:
    return score(alerts, labels or (label({"provider": ["alpha"]}),), leaves(), start=START, end=END)


def test_a_perfect_alert_is_right_in_everything():
    [verdict] = judge([alert({"provider": ["alpha"]})]).verdicts

    assert verdict.minutes == 3
    assert verdict.first_scope == verdict.final_scope == 1
    assert verdict.kind == "delivery-drop"
    assert (verdict.people_near, verdict.messages_near) == (True, True)
    assert judge([alert({"provider": ["alpha"]})]).false_alarms == []


def test_the_same_leaves_are_the_same_scope_whatever_says_it():
    said = {"provider": ["alpha"], "country": ["CN"], "carrier": ["one", "two", "three"]}
    [verdict] = judge([alert(said)]).verdicts

    assert verdict.first_scope == 1


def test_an_alert_shortly_after_the_end_still_finds_it_and_a_later_one_does_not():
    soon, late = judge([alert({"provider": ["alpha"]}, after=44)]), judge([alert({"provider": ["alpha"]}, after=46)])

    assert soon.verdicts[0].minutes == 44
    assert not late.verdicts[0].detected
    assert len(late.false_alarms) == 1


def test_an_alert_from_before_the_fault_is_false():
    found = judge([alert({"provider": ["alpha"]}, after=-1)])

    assert not found.verdicts[0].detected
    assert len(found.false_alarms) == 1


def test_too_small_a_scope_is_found_but_not_right():
    [verdict] = judge([alert({"provider": ["alpha"], "carrier": ["one"]})]).verdicts

    assert verdict.detected
    assert verdict.first_scope == pytest.approx(0.6)


def test_the_last_alert_of_an_incident_tells_the_final_scope_the_name_and_the_count():
    told = [
        alert({"carrier": ["one"], "provider": ["alpha"]}, kind="black-hole", affected=4),
        alert({"provider": ["alpha"]}, affected=77, messages=119),
    ]
    [verdict] = judge(told).verdicts

    assert verdict.minutes == 3
    assert (verdict.first_scope, verdict.final_scope) == (pytest.approx(0.6), 1)
    assert verdict.kind == "delivery-drop"
    assert (verdict.people_near, verdict.messages_near) == (True, True)

    [verdict] = judge([alert({"provider": ["alpha"]}, affected=119)]).verdicts

    assert (verdict.people_near, verdict.messages_near) == (False, True)


def test_the_other_provider_is_a_false_alarm():
    found = judge([alert({"provider": ["beta"]})])

    assert not found.verdicts[0].detected
    assert len(found.false_alarms) == 1


def test_a_second_incident_is_a_duplicate_and_does_not_detect():
    found = judge([alert({"provider": ["alpha"]}), alert({"provider": ["alpha"]}, name="b", after=1)])

    assert found.verdicts[0].minutes == 1
    assert [incident.first.incident_id for incident in found.duplicates] == ["a"]
    assert found.false_alarms == []


def test_an_echo_in_another_dimension_is_neither_found_nor_false():
    fault = label({"provider": ["alpha"], "carrier": ["one", "three"]})
    found = judge([alert({"carrier": ["two", "three"]})], fault)

    assert not found.verdicts[0].detected
    assert (len(found.duplicates), len(found.false_alarms)) == (1, 0)


def test_everything_is_about_a_fault_of_half_the_traffic_and_not_about_one_of_a_speck():
    speck = label({"provider": ["alpha"], "carrier": ["three"], "region": ["north"]})
    rows = leaves().frame
    rows.loc[(rows.carrier == "three") & (rows.region == "north"), "attempts"] = 0.5

    assert judge([alert({})]).verdicts[0].detected
    assert not score([alert({})], [speck], Leaves(rows), start=START, end=END).verdicts[0].detected


def test_of_two_faults_at_once_an_alert_is_about_the_one_it_resembles():
    faults = label({"provider": ["alpha"]}), label({"provider": ["alpha"], "carrier": ["one"]}, name="F02")
    found = judge([alert({"provider": ["alpha"], "carrier": ["one"]})], *faults)

    assert [verdict.detected for verdict in found.verdicts] == [False, True]


def test_an_alert_about_a_benign_event_is_false_and_says_which():
    event = label({"country": ["CN"]}, kind="flash-sale", benign=True)
    found = judge([alert({"country": ["CN"]})], event)

    assert found.verdicts == []
    assert found.near_benign == ["flash-sale"]
    assert found.days == 2


def test_nothing_said_is_nothing_found():
    found = judge([])

    assert not found.verdicts[0].detected
    assert not found.verdicts[0].people_near


def test_a_dimension_that_there_is_not_is_an_error():
    with pytest.raises(KeyError):
        judge([alert({"colour": ["red"]})])


def test_leaves_are_counted_from_attempts():
    frame = pd.DataFrame({name: pd.Categorical(["x", "x", "y"]) for name in LEAF})

    assert sorted(Leaves.of(frame).frame["attempts"]) == [1, 2]
    assert Leaves.of(frame).jaccard({"provider": ["x"]}, {}) == pytest.approx(2 / 3)


def test_a_line_of_the_product_is_an_alert():
    told = {
        "at": "2026-03-16T05:03:00+00:00", "event": "opened", "detected_at": "2026-03-16T05:03:00+00:00",
        "incident_id": "a", "kind": "delivery-drop", "metric": "delivery_rate", "scope": {"provider": ["alpha"]},
        "onset": "2026-03-16T05:00:00+00:00", "resolved_at": None, "affected": 100, "messages": 130, "share": 0.9, "sentence": "since",
    }  # fmt: skip

    assert judge([from_told(told)]).verdicts[0].minutes == 3
