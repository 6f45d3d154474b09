"""An incident becomes an alert an operator can act on, passed on once and in order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metrics.detection.handbook import NAMES, STEPS, steps
from metrics.detection.incidents import KINDS
from metrics.detection.records import keep, keep_evidence
from metrics.detection.words import Word, say
from reports.watch.incidents import Teller, severity
from reports.watch.relay import Relay
from tests.reports.watch.conftest import minutes_of, notice
from tests.support.incidents import ONSET, an_incident


@pytest.fixture
def teller() -> Teller:
    return Teller("Asia/Shanghai", "https://dashboard.example.org/")


@pytest.fixture
def relay(alerts, teller, tmp_path) -> Relay:
    return Relay(alerts, teller, tmp_path / "alerts" / "told-until")


def told(kept) -> list[tuple[str, str]]:
    return [(one.alert.event, one.alert.title) for one in kept.taken]


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


def test_notifications_are_passed_on_once_and_in_order(warehouse, relay, alerts, kept, clock):
    story = [notice(), notice("updated", 8, kind="black-hole"), notice("resolved", 30, resolved_at=ONSET)]
    keep(warehouse, [one.incident for one in story], story)
    keep_evidence(warehouse, "d3adbeef", minutes_of(), at=ONSET)
    clock.now = ONSET + timedelta(minutes=31)

    counts = [relay.pass_on(warehouse, now=clock.now) for _ in range(2)]
    alerts.deliver()

    assert counts == [3, 0]
    assert [event for event, _ in told(kept)] == ["opened", "resolved"]  # the update was overtaken before it went
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


def test_a_lost_mark_repeats_nothing(warehouse, relay, alerts, kept, clock):
    keep(warehouse, [notice().incident], [notice()])
    relay.pass_on(warehouse, now=clock.now)
    relay.mark.unlink()

    assert relay.pass_on(warehouse, now=clock.now) == 0


def test_an_update_that_says_little_more_is_quiet(warehouse, relay, alerts, clock):
    more = [notice(), notice("updated", 5, affected=1300), notice("updated", 6, affected=4000)]
    keep(warehouse, [], more)

    assert relay.pass_on(warehouse, now=clock.now) == 2


def test_a_reopened_incident_goes_on_in_its_thread(warehouse, relay, alerts, kept, clock):
    for minutes, event in ((3, "opened"), (20, "resolved"), (30, "reopened")):
        clock.now = ONSET + timedelta(minutes=minutes)
        keep(warehouse, [], [notice(event, minutes)])
        relay.pass_on(warehouse, now=clock.now)
        alerts.deliver()

    assert [event for event, _ in told(kept)] == ["opened", "resolved", "reopened"]
    assert len({one.thread for one in kept.taken}) == 1


def test_a_silenced_incident_is_not_told_until_the_silence_is_over(warehouse, relay, alerts, kept, clock):
    keep(warehouse, [], [notice(silenced=True), notice("updated", 9)])
    relay.pass_on(warehouse, now=clock.now)
    alerts.deliver()

    assert told(kept) == [("opened", "Delivery drop through alpha to CMCC in Guangdong")]


def test_nobody_hears_the_end_of_what_nobody_heard_of(warehouse, relay, clock):
    keep(warehouse, [], [notice(silenced=True), notice("resolved", 9)])

    assert relay.pass_on(warehouse, now=clock.now) == 0
