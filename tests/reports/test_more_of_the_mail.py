"""What a report tells besides the ten metrics: incidents, availability, what moved, small charts, weeks, and a CSV."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import StringIO

from core.events import Availability, encode_lines
from metrics.detection.records import keep
from metrics.detection.words import Word, say
from metrics.readings import Reading
from reports.gather import gather
from reports.happenings import availability_sentence
from reports.render import render
from reports.scheduler import Mornings
from reports.spans import Week
from tests.metrics.story import START, tell
from tests.reports.conftest import MONDAY, NEXT_MORNING, RECIPIENTS
from tests.reports.crowd import crowd
from tests.reports.test_mail import HTML_BYTES_MAX, as_text, make, plain
from tests.support.incidents import an_incident


def test_incidents_of_the_day_are_told_with_their_explanation(warehouse):
    over = an_incident(onset=START, resolved_at=START + timedelta(minutes=34), state="resolved")
    other_day = an_incident(id="1", onset=START - timedelta(days=3), resolved_at=START - timedelta(days=2))
    keep(warehouse, [over, other_day])
    word = Word("deployment", "ci", "checkout 4.2", start=START - timedelta(minutes=5))
    say(warehouse, word, now=START)
    rendered = render(make(warehouse))

    for part in (plain(rendered.text), plain(re.sub(r"<[^>]*>", " ", rendered.html))):
        assert "1 incident, all of them over." in part
        assert "Delivery drop through alpha to CMCC in Guangdong" in part
        assert "09:00 to 09:34, 34 minutes" in part
        assert "mostly code MK:0004" in part
        assert "Deployed: checkout 4.2, everywhere, 5 minutes before it began." in part


def test_incidents_that_were_silenced_are_told_and_said_to_be(warehouse):
    open_still = an_incident(id="0", onset=START, silenced=True)
    over = an_incident(
        id="1", onset=START, resolved_at=START + timedelta(hours=2), state="resolved", silenced=True, affected=10
    )
    keep(warehouse, [open_still, over])
    text = plain(render(make(warehouse)).text)

    assert "2 incidents, 1 of them open still." in text
    assert "(since 09:00, open still, silenced): " in text
    assert "(09:00 to 11:00, 2 h, silenced at its end): " in text


def test_a_day_without_incidents_and_without_measured_availability_says_so(warehouse):
    text = plain(render(make(warehouse)).text)

    assert "No incident in this day." in text
    assert "Availability of the service: not measured." in text


def test_availability_is_that_of_the_calls_of_the_day_from_all_instances(warehouse):
    def minute(at: datetime, instance: str, *, calls: int, failed: int) -> Availability:
        return Availability(at=at, instance=instance * 32, calls=calls, failed=failed, shed=0)

    rows = [
        minute(START, "a", calls=60_000, failed=1),
        minute(START, "b", calls=40_000, failed=3),
        minute(MONDAY.end - timedelta(minutes=1), "a", calls=100_000, failed=0),
        minute(MONDAY.start - timedelta(minutes=1), "a", calls=500, failed=500),
        minute(MONDAY.end, "a", calls=500, failed=500),
    ]
    warehouse.insert_json("availability_minutes", encode_lines([*rows, rows[1]]))  # one of them told twice

    rendered = render(make(warehouse))
    for part in (plain(rendered.text), as_text(rendered.html)):
        assert "Availability of the service: 99.998 % of 200,000 calls, within the goal of 99.99 % (4 failed)." in part


def test_availability_is_cut_and_never_rounded_up_to_its_goal(warehouse):
    report = replace(make(warehouse), availability=Reading(1 - 21 / 200_000, 200_000))

    assert plain(availability_sentence(report)) == (
        "Availability of the service: 99.989 % of 200,000 calls, below the goal of 99.99 % (21 failed)."
    )


def test_what_moved_most_counts_messages(warehouse):
    for days, delivered in ((-7, 90), (0, 60)):
        tell(warehouse, crowd("a", sent=100, accepted=100, delivered=delivered, approved=1, days=days))
        tell(warehouse, crowd("b", sent=100, accepted=100, delivered=150 - delivered, approved=1, days=days, provider="beacon"))  # fmt: skip
    text = plain(render(make(warehouse)).text)

    assert "aurora → north, DE: delivered 60.0 % after 90.0 %, 30 messages fewer" in text
    assert "beacon → north, DE: delivered 90.0 % after 60.0 %, 30 messages more" in text


def test_small_charts_say_in_words_what_they_show(warehouse):
    for days in (-3, 0):
        tell(warehouse, crowd("a", sent=100, accepted=100, delivered=90 + days, approved=1, days=days))
    rendered = render(make(warehouse))

    assert "Delivery rate, last 14 days: between 87.0" in rendered.html
    assert {"provider0", "carrier0", "country0"} <= {one.cid for one in rendered.pictures}


def test_the_csv_has_every_metric_of_every_slice_and_no_formula(warehouse):
    tell(warehouse, crowd("a", sent=10, accepted=9, delivered=8, approved=7, carrier="=1+1"))
    (file,) = render(make(warehouse)).attachments
    rows = list(csv.DictReader(StringIO(file.content.decode("utf-8-sig"))))

    assert file.filename == "sms-quality-daily-2026-03-02.csv"
    assert len(rows) == 10 * 5  # total, provider, carrier, country, channel
    assert {row["carrier"] for row in rows} == {"", "'=1+1"}
    (accepted,) = [row for row in rows if row["level"] == "total" and row["metric"] == "third_party_success_rate"]
    assert (accepted["value"], accepted["n"], accepted["previous_value"]) == ("0.9", "10", "")


def test_a_week_is_made_of_the_same_parts(warehouse):
    for days in range(-7, 7):
        tell(warehouse, crowd("a", sent=50, accepted=50, delivered=40, approved=30, days=days))
    week = Week(date(2026, 3, 2), "UTC")
    report = gather(warehouse, week, now=datetime(2026, 3, 9, 8, tzinfo=UTC), on_time_seconds=60)
    rendered = render(report)
    text = plain(rendered.text)

    assert rendered.subject.startswith("SMS quality, week of 2 Mar: verification success 60.0 %")
    assert "350 attempts were submitted: 350 the week before, none four weeks before (week of 2 Feb)." in text
    assert report.course is not None
    assert len(report.course) == 7
    assert len(rendered.html.encode()) < HTML_BYTES_MAX


def test_each_morning_sends_what_belongs_to_it(office, clock):
    mornings = Mornings(office, RECIPIENTS, clock=clock)

    def kinds(moment: datetime) -> list[str]:
        clock.now = moment
        return [span.kind for span in mornings.due()]

    assert kinds(NEXT_MORNING) == ["daily"]
    assert kinds(datetime(2026, 3, 9, 8, tzinfo=UTC)) == ["daily", "weekly"]
    assert kinds(datetime(2026, 6, 1, 8, tzinfo=UTC)) == ["daily", "weekly", "monthly"]
    assert kinds(datetime(2026, 6, 1, 7, tzinfo=UTC)) == []


def test_reports_of_one_date_do_not_stand_in_for_each_other(office, mail):
    week = Week(MONDAY.plus(-7).date, "UTC")

    assert [office.deliver(span, RECIPIENTS).result for span in (week.first, week, week)] == [
        "sent",
        "sent",
        "sent before",
    ]
    assert len(mail.sent) == 2
