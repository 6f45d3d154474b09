"""What people were told of a fault is held against what it should have come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.alerts import Alert
from sandbox.chaos.faults import mysql
from sandbox.chaos.figures import alerts, restless
from sandbox.chaos.nemesis import FAILS_OVER, Fault
from sandbox.chaos.operations import Change

FAULT = next(fault for fault in mysql.FAULTS if fault.number == "F1")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def told(statuses: Sequence[str], kind: str = "store_status", instance: str = "a") -> list[Alert]:
    return [
        Alert(
            key="store",
            event="updated",
            kind=kind,
            severity="info",
            title=status,
            text="",
            at=NOW + timedelta(seconds=number),
            facts=(("status", status), ("instance", instance)),
        )
        for number, status in enumerate(statuses)
    ]


def problems(fault: Fault, statuses: Sequence[str]) -> int:
    return len(list(alerts(fault, told(statuses))))


def test_each_change_told_once_is_right_and_so_is_an_alert_about_something_else():
    assert list(alerts(FAULT, [*told(FAILS_OVER), *told(["mysql_fatal"], kind="store_looks_well")])) == []


@pytest.mark.parametrize("statuses", [FAILS_OVER[:2], ["mysql_fatal", *FAILS_OVER], []], ids=["less", "twice", "none"])
def test_one_that_was_not_told_or_told_twice_is_found(statuses: Sequence[str]):
    assert problems(FAULT, statuses) == 1


def test_an_instance_that_was_killed_need_not_have_told():
    killed = replace(FAULT, restarts_instances=True)

    assert problems(killed, FAILS_OVER[:2]) == 0
    assert problems(killed, [*FAILS_OVER, "healthy"]) == 1


def test_with_both_stores_gone_each_instance_may_tell_and_none_may_tell_twice():
    path = ["mysql_fatal", "both_fatal"]
    both, back = (replace(FAULT, expects=expects) for expects in (tuple(path), (*path, "mysql_fatal")))

    assert list(alerts(both, [*told(path), *told(path, instance="b")])) == []
    assert list(alerts(back, [*told(path), *told(path[::-1], instance="b")])) == []
    assert len(list(alerts(both, [*told(path), *told([*path, "mysql_fatal"], instance="b")]))) == 1
    assert len(list(alerts(both, [*told(path[:1]), *told(path[:1], instance="b")]))) == 1


def test_where_nobody_can_foretell_the_path_only_flapping_is_wrong():
    pair = replace(FAULT, expects=None)

    assert problems(pair, FAILS_OVER * 2) == 0
    assert problems(pair, ["mysql_fatal", "recovering"] * 5) == 1


def test_what_was_called_down_between_two_faults_is_noted():
    def change(at: float, new: str, instance: str = "a") -> Change:
        return Change(instance, at, new, "")

    changes = [change(1, "healthy"), change(5, "mysql_fatal"), change(6, "recovering"), change(2, "healthy", "b")]

    assert list(restless(changes, since=3)) == ["instance a went mysql_fatal → recovering before anything was broken"]
