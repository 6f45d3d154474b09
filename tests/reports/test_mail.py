"""The mail says what was counted, reads well as text, and harms nobody's mail program."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from email.message import EmailMessage

import pytest

from core.errors import BadInput
from core.warehouse import Warehouse
from metrics.readings import Reading
from reports.gather import Report, gather
from reports.readings import ALL
from reports.render import Rendered, message, render
from reports.spans import Day
from tests.metrics.story import tell
from tests.reports.conftest import MONDAY, NEXT_MORNING, RECIPIENTS
from tests.reports.crowd import crowd

HTML_BYTES_MAX = 102_000
"""Gmail cuts a longer one off."""


def make(warehouse: Warehouse, day: Day = MONDAY, *, now: datetime = NEXT_MORNING, **kept) -> Report:
    return gather(warehouse, day, now=now, on_time_seconds=60, **kept)


def plain(text: str) -> str:
    """With every kind of space as the plain one, and runs of them as one."""
    return re.sub(r"\s+", " ", text)


def as_text(html: str) -> str:
    return plain(re.sub(r"<[^>]*>", " ", html).replace("&nbsp;", " "))


def mailed(rendered: Rendered) -> EmailMessage:
    return message(rendered, name="daily.x", sender="H <h@example.org>", recipients=RECIPIENTS, at=NEXT_MORNING)


@pytest.fixture
def small_world(warehouse: Warehouse) -> Warehouse:
    """Two providers on Monday; the Sunday before and the Monday before that, 100 of one."""
    tell(
        warehouse,
        [
            *crowd("a", sent=200, accepted=190, delivered=160, approved=150),
            *crowd("b", sent=100, accepted=100, delivered=50, approved=40, provider="beacon", carrier="", country="US"),
            *crowd("a", sent=100, accepted=100, delivered=90, approved=80, days=-1),
            *crowd("a", sent=100, accepted=95, delivered=90, approved=85, days=-7),
        ],
    )
    return warehouse


def test_the_ten_metrics_stand_with_value_sample_and_both_changes(small_world):
    text = plain(render(make(small_world)).text)

    # 290 of 300 accepted; 100 of 100 the day before, 95 of 100 the week before.
    assert "Third-party success rate 96.7 % 300 −3.3 +1.7 settled" in text
    assert "Delivery rate 72.4 % 290 −17.6 ! −22.3 ! settled" in text
    assert "Verification success rate 63.3 % 300 −16.7 −21.7 ! settled" in text
    assert "Delivery time 5.0 s 210 ±0.0 s ±0.0 s settled p95 5.0 s" in text


def test_the_html_says_the_same_as_the_text(small_world):
    said = as_text(render(make(small_world)).html)

    assert "Delivery rate n 290 · settled 72.4 % ▼ −17.6 worse ▼ −22.3 worse" in said


def test_providers_and_carriers_come_by_volume_and_the_unknown_one_is_named(small_world):
    text = plain(render(make(small_world)).text)

    assert "aurora 200 95.0 % 84.2 % 84.2 % 75.0 % beacon 100 100.0 % 50.0 % 50.0 % 40.0 %" in text
    assert "north, DE 200 95.0 % 84.2 % 84.2 % 75.0 % (carrier unknown), US 100" in text


def test_the_subject_tells_the_news_and_the_mail_the_place(small_world):
    before = {"provider": "beacon", "carrier": "", "country": "US", "days": -7}
    tell(small_world, crowd("b", sent=100, accepted=100, delivered=95, approved=80, **before))

    rendered = render(make(small_world))

    assert rendered.subject == "SMS quality, Mon 2 Mar: verification success 63.3 % (−16.7), 1 channel worth a look"
    assert "1 channel worth a look: beacon → (carrier unknown), US." in plain(rendered.text)
    assert "50.0 % (n 100) after 95.0 % the same weekday last week (n 100)" in plain(rendered.text)


def test_the_headline_counts_and_compares(small_world):
    text = plain(render(make(small_world)).text)

    assert "63.3 % of 300 verifications succeeded." in text
    assert "300 attempts were submitted: 100 the day before, 100 the same weekday last week (Mon 23 Feb)." in text
    assert (
        "16.7 points lower than the day before (Sun 1 Mar), 21.7 points lower than the same weekday last week" in text
    )


def test_a_day_like_the_others_says_that_nothing_changed(warehouse):
    for days in (0, -1, -7):
        tell(warehouse, crowd("a", sent=100, accepted=95, delivered=90, approved=85, days=days))

    text = plain(render(make(warehouse)).text)

    assert "the same as the day before (Sun 1 Mar), the same as the same weekday last week" in text
    assert "Nothing else changed by more than chance. - No channel is worse than it was by more than chance." in text


def test_a_first_day_has_nothing_to_compare_with(warehouse):
    tell(warehouse, crowd("a", sent=10, accepted=10, delivered=9, approved=8))

    rendered = render(make(warehouse))

    assert rendered.subject == "SMS quality, Mon 2 Mar: verification success 80.0 %"
    assert "there is no earlier day to compare with" in plain(rendered.text)
    assert "Delivery rate 90.0 % 10 – – settled" in plain(rendered.text)


def test_undefined_is_a_dash_and_never_zero(warehouse):
    tell(warehouse, crowd("a", sent=5, accepted=0, delivered=0, approved=0, category="notification"))

    rendered = render(make(warehouse))

    assert "Verification success rate – 0 – –" in plain(rendered.text)
    assert "Delivery time – 0 – –" in plain(rendered.text)
    assert rendered.subject == "SMS quality, Mon 2 Mar: third-party success 0.0 %"
    assert "nan" not in rendered.html.lower()


def test_an_empty_day_says_so_and_still_arrives(warehouse):
    tell(warehouse, crowd("a", sent=10, accepted=10, delivered=9, approved=8, days=-1))

    rendered = render(make(warehouse))

    assert rendered.subject == "SMS quality, Mon 2 Mar: no message was submitted"
    assert "The day before there were 10 attempts." in plain(rendered.text)
    assert [part.get_content_type() for part in mailed(rendered).walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert "cid:" not in rendered.html


def test_a_day_that_is_not_over_is_refused(warehouse):
    with pytest.raises(BadInput, match="has not ended"):
        make(warehouse, now=datetime(2026, 3, 2, 23, 59, tzinfo=UTC))


def test_a_report_made_right_after_midnight_says_that_figures_settle(small_world):
    tell(small_world, crowd("late", sent=10, accepted=10, delivered=5, approved=5, hours=14.9))

    text = plain(render(make(small_world, now=datetime(2026, 3, 3, 0, 10, tzinfo=UTC))).text)

    assert re.search(r"Delivery rate \S+ % 300 \S+ \S+ settling", text)
    assert re.search(r"Third-party success rate \S+ % 310 \S+ \S+ settled", text)


def test_the_previous_is_restated_where_it_moved(small_world):
    report = make(small_world)
    then = {slug: figure.previous for slug, figure in report.total.figures.items()}
    then["delivery_rate"] = Reading(0.8, 100)

    text = plain(render(make(small_world, of_previous=then)).text)

    assert "SUN 1 MAR, RESTATED - Delivery rate: 80.0 % (n 100) in its report, now 90.0 % (n 100)" in text
    assert text.count("in its report, now") == 1


def test_a_previous_that_stands_is_said_to_stand(small_world):
    report = make(small_world)
    then = {slug: figure.previous for slug, figure in report.total.figures.items()}

    assert "Nothing has moved since its report." in render(make(small_world, of_previous=then)).text
    assert "RESTATED" not in render(report).text


def test_names_from_the_data_cannot_act(warehouse):
    bad = '<img src=x onerror=1>"&'
    for provider in (bad, "$\\frac{1}{$", "_hidden", "中国移动", "a‮b"):
        tell(warehouse, crowd(provider, sent=3, accepted=3, delivered=3, approved=3, provider=provider, carrier=bad))

    rendered = render(make(warehouse), dashboard_url="javascript:alert(1)")

    assert "<img src=x" not in rendered.html
    assert "&lt;img src=x onerror=1&gt;" in rendered.html
    assert "javascript:" not in rendered.html + rendered.text
    assert "‮" not in rendered.html + rendered.text
    assert rendered.pictures


def test_the_mail_is_text_or_html_with_its_picture_inside(small_world):
    mail = mailed(render(make(small_world)))

    parts = [part.get_content_type() for part in mail.walk()]
    assert parts[:5] == ["multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html"]
    assert set(parts[5:-1]) == {"image/png"}
    assert parts[-1] == "text/csv"
    pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert [one["Content-ID"] for one in pictures][:3] == ["<course>", "<provider0>", "<provider1>"]
    assert all(one.get_content().startswith(b"\x89PNG") for one in pictures)
    assert (mail["Message-ID"], mail["To"]) == ("<daily.x@example.org>", ", ".join(RECIPIENTS))


def test_the_html_fetches_nothing_and_is_not_cut_off(small_world):
    rendered = render(make(small_world), dashboard_url="https://dashboard.example.org/?a=1&b=2")
    html = rendered.html

    named = re.findall(r'(?:src|background|srcset)="([^"]*)"', html)
    assert sorted(named) == sorted(f"cid:{one.cid}" for one in rendered.pictures)
    assert all(re.findall(r'<img [^>]*alt="([^"]*)"', html))
    assert re.findall(r'href="([^"]*)"', html) == ["https://dashboard.example.org/?a=1&amp;b=2"]
    assert "url(" not in html
    assert "<script" not in html
    assert len(html.encode()) < HTML_BYTES_MAX


def test_many_channels_with_long_names_make_a_mail_that_is_not_cut_off(warehouse):
    told = [
        event
        for index in range(40)
        for event in crowd(
            str(index), sent=2, accepted=2, delivered=2, approved=2,
            carrier=f"{'a long carrier name ' * 3}{index}", provider=f"p{index % 15}",
        )
    ]  # fmt: skip
    tell(warehouse, sorted(told, key=lambda event: event.kind))

    rendered = render(make(warehouse))

    assert len(rendered.html.encode()) < HTML_BYTES_MAX
    assert "and 5 more providers 20" in plain(rendered.text)
    assert "and 28 more carriers 56" in plain(rendered.text)


def test_the_text_is_at_most_80_columns_wide(small_world):
    tell(
        small_world,
        crowd("wide", sent=3, accepted=3, delivered=3, approved=3, carrier="中国移动通信集团有限公司北京分公司"),
    )

    lines = render(make(small_world)).text.splitlines()

    assert max(sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in line) for line in lines) <= 80


@pytest.mark.parametrize(("day", "length"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_the_days_on_which_clocks_change_are_whole(warehouse, day, length):
    berlin = Day(day, "Europe/Berlin")
    first = (berlin.start - datetime(2026, 3, 2, 9, tzinfo=UTC)).total_seconds() / 3600
    told = [
        event
        for hour in range(-1, length + 1)
        for event in crowd("h", sent=1, accepted=1, delivered=1, approved=1, hours=first + hour)
    ]
    tell(warehouse, sorted(told, key=lambda event: event.kind))

    report = make(warehouse, berlin, now=datetime(2026, 11, 1, tzinfo=UTC))
    rendered = render(report)

    assert report.total.submitted.now.n == length
    assert report.course is not None
    assert len(report.course) == length
    assert f"a day of {length} hours" in plain(rendered.text)


def test_every_metric_is_in_both_parts(small_world):
    report = make(small_world)
    rendered = render(report)

    assert set(report.figures) == set(ALL)
    for title in ("Third-party success rate", "Effective success rate", "Fill rate", "On-time rate", "Resend rate"):
        assert title in rendered.text
        assert title in rendered.html
