"""A preview on the Reports page: as the mail would be, for any day that is over, and in words why there is none."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import warehouse as door
from core.clock import utc_now
from core.mail import KeptMail
from core.settings import Settings
from core.settings.servers import Warehouse as WarehouseSettings
from core.settings.watching import Reports
from core.warehouse import Warehouse
from reports.delivery import Office
from reports.ledger import Ledger
from reports.spans import Day
from sandbox.ports import free_port
from tests.app.kept import keep_report
from tests.app.looking import Pages, run, text
from tests.app.traffic import load

LONG_AGO = date(2026, 3, 4)
"""A Wednesday that has settled."""


def days_from_now(days: int) -> date:
    return datetime.now(UTC).date() + timedelta(days=days)


@pytest.fixture
def open_page(pages: Pages, tmp_path: Path) -> Callable[..., AppTest]:
    def make(**settings: str) -> AppTest:
        return pages.view("reports", **{"reports_folder": str(tmp_path), "reports_time_zone": "UTC"} | settings)

    return make


def traffic_of(warehouse: Warehouse, day: date) -> None:
    load(warehouse, until=datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC), hours=24)


def framed(page: AppTest) -> str:
    """The mail in the frame; empty when there is none."""
    (frame,) = page.get("iframe") or [None]
    return b64decode(frame.proto.src.partition("base64,")[2]).decode() if frame else ""


def test_a_day_is_shown_as_its_mail_would_be_and_is_sent_to_nobody(
    warehouse: Warehouse, warehouse_settings: WarehouseSettings, open_page: Callable[..., AppTest], tmp_path: Path
) -> None:
    traffic_of(warehouse, LONG_AGO)
    page = run(open_page(), preview=str(LONG_AGO))
    office = Office(
        settings=Settings(warehouse=warehouse_settings, reports=Reports(folder=tmp_path)),
        ledger=Ledger(tmp_path, clock=utc_now),
        mailer=KeptMail(),
        open_warehouse=lambda: door.connect(warehouse_settings, readonly=True),
        clock=utc_now,
    )
    mailed = office.make(Day(LONG_AGO, "UTC"))[1].page()

    assert without_minute(framed(page)) == without_minute(mailed)
    assert "It is sent to nobody" in text(page)
    assert "kept for 5 minutes" in text(page)
    assert "Not settled yet" not in text(page)
    assert list(tmp_path.iterdir()) == []


def without_minute(html: str) -> str:
    """It says when it was made."""
    return html.replace(f"{utc_now():%Y-%m-%d %H:%M}", "").replace(
        f"{utc_now() - timedelta(minutes=1):%Y-%m-%d %H:%M}", ""
    )


@pytest.mark.parametrize(
    ("kind", "title"), [("daily", "4 March 2026"), ("weekly", "Monday 2 March 2026"), ("monthly", "March 2026")]
)
def test_the_link_says_which_day_and_kind(warehouse: Warehouse, open_page, kind: str, title: str) -> None:
    traffic_of(warehouse, LONG_AGO)
    page = run(open_page(), preview=str(LONG_AGO), of=kind)

    assert title in framed(page)
    assert (page.query_params["preview"], page.query_params["of"]) == (str(LONG_AGO), kind)


def test_what_is_chosen_is_in_the_link(warehouse: Warehouse, open_page) -> None:
    page = run(open_page())
    page.segmented_control(key="reports-shown").set_value("preview").run()
    assert page.query_params["preview"] == str(days_from_now(-1))
    page.date_input(key="preview-day").set_value(LONG_AGO).run()
    page.segmented_control(key="preview-kind").set_value("weekly").run()

    assert not page.exception
    assert (page.query_params["preview"], page.query_params["of"]) == (str(LONG_AGO), "weekly")
    page.segmented_control(key="reports-shown").set_value("sent").run()
    assert "preview" not in page.query_params
    assert "No report was sent yet" in text(page)


def test_a_day_that_ended_within_the_hour_says_that_it_has_not_settled(warehouse: Warehouse, open_page) -> None:
    hour = datetime.now(UTC).hour
    zone = f"Etc/GMT+{hour}" if hour <= 12 else f"Etc/GMT-{24 - hour}"  # behind UTC by so much, and ahead of it
    day = Day.of(datetime.now(UTC), zone).plus(-1)
    load(warehouse, until=day.end, hours=24)
    page = run(open_page(reports_time_zone=zone), preview=str(day.date))

    assert "Not settled yet" in text(page)
    assert "Delivered" in framed(page)


@pytest.mark.parametrize(
    ("days", "kind", "words"),
    [
        (0, "daily", "{day:%Y} is not over** in UTC. Its report can be made from"),
        (0, "monthly", "{day:%B %Y} is not over** in UTC. Its report can be made from"),
        (9, "daily", "is still to come** in UTC"),
        (365 * 5_000, "daily", "is still to come** in UTC"),
    ],
)
def test_what_is_not_over_has_no_preview_and_says_why(
    warehouse: Warehouse, open_page, days: int, kind: str, words: str
) -> None:
    day = days_from_now(days)
    page = run(open_page(), preview=str(day), of=kind)

    assert words.format(day=day) in text(page)
    assert framed(page) == ""


@pytest.mark.parametrize("asked", ["yesterday", "", "2026-02-30", "0001-01-01"])
def test_a_link_that_names_no_day_shows_yesterday(warehouse: Warehouse, open_page, asked: str) -> None:
    page = run(open_page(), preview=asked, of="hourly")

    assert "names no day of which there could be a report; yesterday is shown" in text(page)
    assert "names no kind of report that there is" in text(page)
    assert page.query_params["preview"] == str(days_from_now(-1))


def test_a_day_without_data_says_so(warehouse: Warehouse, open_page) -> None:
    page = run(open_page(), preview="2026-03-04")

    assert "No message was submitted during this day" in text(page)
    assert framed(page)


def test_without_the_warehouse_there_is_no_preview_and_what_was_sent_stays(
    warehouse: Warehouse, open_page, tmp_path: Path
) -> None:
    keep_report(tmp_path, LONG_AGO)
    page = run(open_page(warehouse_port=str(free_port())), preview=str(LONG_AGO))
    assert "The warehouse does not answer" in text(page)
    assert framed(page) == ""
    assert "Try again" in [button.label for button in page.button]
    page.segmented_control(key="reports-shown").set_value("sent").run()

    assert "in pictures" in framed(page)


def test_a_folder_that_cannot_be_read_says_so(warehouse: Warehouse, open_page, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    page = run(open_page(reports_folder=str(file)), preview=str(LONG_AGO))

    assert "No preview can be made" in text(page)
    assert "cannot be used" in text(page)
