"""Each fault of the table, told in a small world: found within minutes, in its place, by its name."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from metrics.detection.replay import over_attempts
from tests.metrics.detection.told import FAULT, broken, span


def refuse(frame, hit):
    frame.loc[hit & (frame["draw"] < 0.8), ["outcome", "outcome_class", "outcome_code"]] = ["failed", "provider", "500"]
    frame.loc[hit & (frame["draw"] < 0.8), ["delivers", "fails", "fills"]] = False


def fall_silent(frame, hit):
    frame.loc[hit, ["delivers", "fails"]] = False


def swallow(frame, hit):
    frame.loc[hit, ["delivers", "fails", "fills"]] = False


def lose(frame, hit):
    _fail(frame, hit & (frame["draw"] < 0.4), "route", "MK:0004")


def block(frame, hit):
    _fail(frame, hit & (frame["draw"] < 0.8), "blocked", "MK:0009")


def slow_down(frame, hit):
    frame.loc[hit, "takes"] *= 25


def lie(frame, hit):
    frame.loc[hit & (frame["draw"] < 0.9), "fills"] = False


def misjudge(frame, hit):
    frame.loc[hit & (frame["draw"] < 0.7), "right"] = False


def hour_before(attempts, back):
    """The messages to Germany of an hour before, as those of the fault's hour, which nobody answers."""
    shift = timedelta(hours=back)
    hour = attempts["submitted_at"].between(FAULT - shift, FAULT - shift + timedelta(hours=1))
    moved = attempts[hour & (attempts["country"] == "DE")].copy()
    for name in ("submitted_at", "delivered_at", "failed_at"):
        moved[name] += shift
    return moved.assign(filled_at=pd.NaT, first_check_at=pd.NaT)


def _fail(frame, rows, error_class, code):
    rows = rows & frame["delivers"]
    frame.loc[rows, "fails"] = True
    frame.loc[rows, ["delivers", "fills"]] = False
    frame.loc[rows, ["failure_class", "failure_code"]] = [error_class, code]


CASES = [
    ("provider-outage", refuse, {"provider": "alpha"}),
    ("receipts-stop", fall_silent, {"provider": "beta"}),
    ("black-hole", swallow, {"provider": "alpha", "country": "CN"}),
    ("delivery-drop", lose, {"carrier": "CMCC"}),
    ("template-blocked", block, {"template": "branded", "country": "CN"}),
    ("slow-channel", slow_down, {"provider": "gamma"}),
    ("fake-receipts", lie, {"provider": "alpha", "country": "DE"}),
    ("verification-broken", misjudge, {"app": "bank"}),
]


@pytest.mark.parametrize(("kind", "change", "scope"), CASES, ids=[case[0] for case in CASES])
def test_a_fault_is_found_where_it_is_and_called_by_its_name(kind, change, scope):
    attempts = broken(change, **scope)

    told = list(over_attempts(attempts, **span()))

    first, last = told[0], told[-1].incident
    assert {one.incident.id for one in told} == {last.id}
    assert first.at - FAULT <= timedelta(minutes=15)
    assert (last.kind, dict(last.scope)) == (kind, {name: (value,) for name, value in scope.items()})
    assert abs(last.onset - FAULT) <= timedelta(minutes=3)
    assert last.state == "resolved"
    assert abs(last.resolved_at - FAULT - timedelta(minutes=60)) <= timedelta(minutes=6)


def test_a_scope_that_swells_while_its_codes_stay_out_is_pumped():
    attempts = broken(lambda frame, hit: None)
    bots = pd.concat([hour_before(attempts, back) for back in (2, 4, 6, 8)])

    told = list(over_attempts(pd.concat([attempts, bots]), **span()))

    last = told[-1].incident
    assert (last.kind, set(last.scope.values())) == ("pumping", {("DE",)})
    assert np.isclose(last.messages, len(bots), rtol=0.2)


def test_a_fault_of_two_providers_of_three_is_told_as_one_of_both():
    both = ("alpha", "beta")
    attempts = broken(lambda frame, hit: lose(frame, hit & frame["provider"].isin(both)), country="CN")

    last = list(over_attempts(attempts, **span()))[-1].incident

    assert dict(last.scope) == {"provider": both, "country": ("CN",)}


def test_the_codes_that_grew_lead_and_the_loss_is_counted():
    attempts = broken(lose, carrier="CMCC")
    during = attempts["submitted_at"].between(FAULT, FAULT + timedelta(minutes=60))
    lost = int((during & (attempts["failure_code"] == "MK:0004")).sum())

    last = list(over_attempts(attempts, **span()))[-1].incident

    assert [one.code for one in last.codes][:1] == ["MK:0004"]
    assert np.isclose(last.messages, lost, rtol=0.2)
    assert last.share > 0.8
    assert last.normal == ("the other carriers are normal",)
