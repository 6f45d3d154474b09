"""An incident becomes an alert an operator can act on."""

from __future__ import annotations

import pytest

from metrics.detection.handbook import NAMES, STEPS, steps
from metrics.detection.incidents import KINDS
from reports.watch.incidents import Teller, severity
from tests.reports.watch.conftest import minutes_of, notice
from tests.support.incidents import an_incident


@pytest.fixture
def teller() -> Teller:
    return Teller("Asia/Shanghai", "https://dashboard.example.org/")


def test_an_alert_says_what_where_since_when_how_many_why_and_what_is_well(teller):
    alert = teller.alert(notice(), minutes_of(), is_known=False)

    assert alert.title == "Delivery drop through alpha to CMCC in Guangdong"
    assert alert.text.startswith(
        "Since 22:03 CST delivery through alpha to CMCC in Guangdong fell from 95\xa0% to 71\xa0%"
    )
    assert dict(alert.facts) == {
        "Where": "through alpha to CMCC in Guangdong",
        "Since": "2026-03-02 22:03 CST",
        "People affected": "1,100 (1,240 messages, 1,240 of them lost)",
        "Error codes that grew": "MK:0004 (route, 80\xa0%)",
        "What stayed normal": "the other providers are normal there",
        "Share of the loss": "93\xa0% of everything lost in that time",
    }
    assert alert.labels == {"component": "channel", "provider": "alpha", "carrier": "CMCC", "region": "Guangdong"}


def test_its_link_opens_the_incident_with_its_scope_as_the_filter(teller):
    assert teller.link(an_incident(scope={"provider": ("alpha", "beta & co")})) == (
        "https://dashboard.example.org/incidents?incident=d3adbeef&tz=Asia%2FShanghai&provider=alpha&provider=beta+%26+co"
    )
    assert Teller("UTC").link(an_incident()) == ""


def test_the_evidence_is_a_picture_that_words_tell_too(teller):
    (picture,) = teller.alert(notice(), minutes_of(), is_known=False).pictures

    assert picture.png.startswith(b"\x89PNG")
    assert "since it began 210 messages delivered where a good day would have brought 300" in picture.alt


def test_without_evidence_there_is_no_picture(teller):
    assert teller.alert(notice(), minutes_of().iloc[:0], is_known=False).pictures == ()


def test_every_kind_has_a_name_and_a_next_step():
    assert set(NAMES) == set(STEPS) == set(KINDS)
    assert all(STEPS.values())


def test_traffic_is_moved_away_from_a_provider_and_from_nothing_else():
    at_a_carrier = steps("delivery-drop", {"carrier": ("CMCC",)})

    assert steps("delivery-drop", {"carrier": ("CMCC",), "provider": ("alpha",)}) == STEPS["delivery-drop"]
    assert "moving traffic between them will not mend it" in at_a_carrier[0]
    assert steps("receipts-stop", {"carrier": ("CMCC",)}) == STEPS["receipts-stop"]


def test_a_shallow_drop_is_a_warning_and_a_steep_one_critical():
    assert [severity(an_incident(observed=value)) for value in (0.9, 0.5)] == ["warning", "critical"]
