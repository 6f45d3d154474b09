"""The two rules: what they see of an outage, when, and that they know nothing before it is there to know."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from benchmarks.detection.alerts import Alert, from_lines, to_lines
from benchmarks.detection.cells import Rival, World, run_world
from benchmarks.detection.product import Replay
from benchmarks.detection.rules import FixedThreshold, SameHour
from benchmarks.detection.table import misses, report
from sandbox.drills import Drill

FACTS = {
    "receipt_at": (), "delivered_at": (), "failed_at": ("failure_class", "failure_code"), "filled_at": (),
    "approved_at": (), "resent_at": (), "first_check_at": (),
}  # fmt: skip


@pytest.fixture(scope="module")
def drill() -> Drill:
    return Drill(3, rate_per_minute=60, baseline_days=8, test_days=1, faults=5)


def known_at(drill: Drill, moment: pd.Timestamp) -> pd.DataFrame:
    """The attempts as somebody saw them at that moment."""
    frame = drill.attempts[drill.attempts.submitted_at <= moment].copy()
    for column, companions in FACTS.items():
        later = frame[column] > moment
        frame.loc[later, [column]] = pd.NaT
        for name in companions:
            frame.loc[later, name] = ""
    return frame


def replayed(rule: FixedThreshold | SameHour, drill: Drill, frame: pd.DataFrame | None = None) -> list[Alert]:
    attempts = drill.attempts if frame is None else frame
    return list(rule(attempts, start=drill.test_start, end=drill.end))


@pytest.mark.parametrize("rule", [FixedThreshold(), SameHour()])
def test_a_provider_that_takes_nothing_is_seen(rule: FixedThreshold | SameHour, drill: Drill):
    outage = next(label for label in drill.labels if label.kind == "provider-outage")
    seen = [
        alert
        for alert in replayed(rule, drill)
        if alert.metric == "third_party_success_rate" and outage.start <= alert.detected_at <= outage.end
    ]

    assert seen
    assert all(alert.scope and alert.kind == "provider-outage" for alert in seen)


@pytest.mark.parametrize("rule", [FixedThreshold(), SameHour()])
def test_what_is_said_by_a_moment_rests_on_what_was_known_then(rule: FixedThreshold | SameHour, drill: Drill):
    cut = drill.test_start + timedelta(hours=17)
    at = pd.Timestamp(cut).tz_localize(None)

    def opened(alerts: list[Alert]) -> list[str]:
        return sorted({alert.incident_id for alert in alerts if alert.detected_at <= cut})

    assert opened(replayed(rule, drill, known_at(drill, at))) == opened(replayed(rule, drill))


@pytest.mark.parametrize("rule", [FixedThreshold(), SameHour()])
def test_every_incident_is_opened_and_resolved(rule: FixedThreshold | SameHour, drill: Drill):
    alerts = replayed(rule, drill)
    opened = {alert.incident_id for alert in alerts if alert.resolved_at is None}

    assert opened == {alert.incident_id for alert in alerts if alert.resolved_at is not None}
    assert from_lines(to_lines(alerts)) == alerts


def test_a_cell_that_is_kept_is_judged_the_same_and_told(tmp_path):
    world = World(seed=3, volume="small", baseline_days=8, test_days=1, faults=3)
    rivals = [Rival("fixed", "benchmarks.detection.rules:FixedThreshold", ("benchmarks/detection/rules.py",))]
    said: list[str] = []
    drawn = run_world(world, rivals, tmp_path, said.append)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = run_world(world, rivals, tmp_path, said.append)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept
    assert report(again) == report(drawn)
    assert said[-1] == "small-3: fixed, done"
    assert said.count("small-3: drawing 9 days") == 1
    assert "3 faults in 1 days" in report(drawn)
    assert {"missed", "unlike", "false"} >= {line.split()[0] for line in misses(drawn, "fixed").splitlines()}


def test_heliograph_sees_a_provider_that_takes_nothing(drill: Drill):
    outage = next(label for label in drill.labels if label.kind == "provider-outage")
    around = {"start": outage.start - timedelta(minutes=10), "end": outage.start + timedelta(minutes=30)}
    seen = list(Replay()(drill.attempts, **around))

    assert outage.start <= seen[0].detected_at < outage.end
    assert seen[0].kind == "provider-outage"
