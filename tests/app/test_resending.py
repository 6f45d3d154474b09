"""A report sent again from the Reports page: who may ask, what is confirmed, and each thing that can become of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.access import LOCAL
from core import wishes
from core.archive import once_more
from core.warehouse import Warehouse
from core.wishes import RESEND, Wish
from sandbox.ports import free_port
from tests.app.kept import keep_report
from tests.app.looking import Pages, run, text

DAY = date(2026, 3, 2)
REPORT = f"daily-{DAY}-0123456789abcdef"
RECIPIENTS = ["ops@example.org", "quality@example.org"]
ADA = "ada@example.org"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keep_report(tmp_path / "reports", DAY)
    return tmp_path / "reports"


@pytest.fixture
def page(pages: Pages, folder: Path) -> AppTest:
    return pages.view("reports", reports_folder=str(folder), mail_recipients=",".join(RECIPIENTS))


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def plainly(page: AppTest) -> str:
    return text(page).replace("\\", "").replace("*", "")


@pytest.fixture
def asked(warehouse: Warehouse) -> Callable[..., Wish]:
    """A wish of Ada's, so long ago."""

    def ask(**ago: float) -> Wish:
        at = datetime.now(UTC) - timedelta(**ago)
        return wishes.ask(warehouse, RESEND, about=once_more(REPORT, RECIPIENTS), by=ADA, now=at)

    return ask


def end(warehouse: Warehouse, wish: Wish, told: str, *, failed: bool = False, **after: float) -> None:
    at = wish.asked_at + timedelta(**after)
    wishes.answer(warehouse, RESEND, wish, told, by="scheduler", now=at, failed=failed)


def said(warehouse: Warehouse) -> list[Wish]:
    return list(wishes.asked(warehouse, RESEND, since=datetime(2026, 1, 1, tzinfo=UTC)))


def press(page: AppTest) -> AppTest:
    next(button for button in page.button if button.label == "Send it").click()
    page.run()
    assert not page.exception
    return page


def test_an_operator_confirms_the_recipients_and_asks(warehouse: Warehouse, page: AppTest) -> None:
    shown = run(page)
    assert all(one in plainly(shown) for one in RECIPIENTS)
    assert "the 2 recipients in `[mail] recipients`" in plainly(shown)
    press(shown)

    (wish,) = said(warehouse)
    assert (wish.asked_by, wish.about) == (LOCAL, once_more(REPORT, RECIPIENTS))
    assert f"To be sent again, asked for by {LOCAL}" in plainly(shown)
    assert "within seconds" in plainly(shown)


def test_nothing_can_be_typed_that_would_be_an_address(warehouse: Warehouse, page: AppTest) -> None:
    shown = run(page)

    assert (list(shown.text_input), list(shown.text_area), list(shown.multiselect)) == ([], [], [])


def test_what_somebody_asked_for_is_not_asked_for_twice(warehouse: Warehouse, page: AppTest, asked) -> None:
    shown = run(page)
    asked(seconds=1)
    press(shown)

    assert "Nothing was changed: ada@example.org has asked for it already" in plainly(shown)
    assert len(said(warehouse)) == 1


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        ({"seconds": 20}, "A scheduler takes it up within seconds"),
        ({"minutes": 3.2}, "Nothing has taken it up for 3 min: is `heliograph scheduler` running"),
        ({"hours": 25}, "no scheduler took it up within a day"),
    ],
)
def test_a_wish_that_waits_says_for_how_long(warehouse: Warehouse, page: AppTest, asked, ago, words: str) -> None:
    asked(**ago)
    shown = run(page)

    assert words in plainly(shown)
    assert ADA in plainly(shown)


@pytest.mark.parametrize(
    ("ago", "words"),
    [({"seconds": 20}, "Being sent since"), ({"minutes": 30}, "The scheduler may have been stopped meanwhile")],
)
def test_a_wish_that_was_taken_up_says_so(warehouse: Warehouse, page: AppTest, asked, ago, words: str) -> None:
    wish = asked(**ago)
    wishes.begin(warehouse, RESEND, wish, by="scheduler", now=wish.asked_at)

    assert words in plainly(run(page))


def test_what_became_of_it_stays_after_loading_the_page_anew(
    warehouse: Warehouse, page: AppTest, pages: Pages, folder: Path, asked
) -> None:
    end(warehouse, asked(minutes=5), "the mail server did not take the message (check it)", failed=True, seconds=3)
    end(warehouse, asked(minutes=3), "sent to 2 recipients", seconds=4)
    for shown in (run(page), run(pages.view("reports", reports_folder=str(folder)))):
        assert [one.value.startswith("**Sent again** at ") for one in shown.success] == [True]
        assert "asked for by ada@example.org" in plainly(shown)
        assert "did not take the message (check it)" in plainly(shown)
        assert not shown.error
    assert "Send it" in labels(run(page))


def test_a_failure_says_why_and_can_be_asked_for_again(warehouse: Warehouse, page: AppTest, asked) -> None:
    end(warehouse, asked(minutes=5), "the mail server did not take the message (check it)", failed=True, seconds=3)
    shown = run(page)

    assert "did not take the message (check it)" in shown.error[0].value.replace("\\", "")
    press(shown)
    assert len(said(warehouse)) == 2


def test_another_report_shows_nothing_of_it(warehouse: Warehouse, page: AppTest, folder: Path, asked) -> None:
    keep_report(folder, date(2026, 3, 1))
    asked(seconds=1)

    assert ADA not in plainly(run(page, report="daily-2026-03-01-0123456789abcdef"))


def test_a_viewer_reads_why_not_and_what_became_of_it(warehouse: Warehouse, pages: Pages, folder: Path, asked) -> None:
    end(warehouse, asked(minutes=3), "sent to 2 recipients", seconds=4)
    page = pages.view(
        "reports",
        reports_folder=str(folder),
        mail_recipients=",".join(RECIPIENTS),
        dashboard_sign_in_file="sign-in.toml",
    )
    page.user = {"is_logged_in": True, "email": "eve@example.org", "email_verified": True}
    shown = run(page)

    assert "Only operators can have it sent again" in plainly(shown)
    assert "Sent again at" in plainly(shown)
    assert "Send it" not in labels(shown)
    assert RECIPIENTS[0] not in plainly(shown)


def test_without_recipients_it_says_what_is_missing(warehouse: Warehouse, pages: Pages, folder: Path) -> None:
    shown = run(pages.view("reports", reports_folder=str(folder)))

    assert "nobody is named in `[mail] recipients`" in plainly(shown)
    assert "Send it" not in labels(shown)


def test_without_the_warehouse_the_report_is_shown_and_nobody_can_ask(
    warehouse: Warehouse, pages: Pages, folder: Path
) -> None:
    shown = run(pages.view("reports", reports_folder=str(folder), warehouse_port=str(free_port())))

    assert "The warehouse does not answer, so it is not known" in plainly(shown)
    assert "Quality of 2026-03-02" in plainly(shown)
    assert "Send it" not in labels(shown)


def test_a_warehouse_that_goes_while_the_page_is_open_is_told(warehouse: Warehouse, page: AppTest) -> None:
    shown = run(page)
    warehouse.command("RENAME TABLE operator_words TO elsewhere")
    st.cache_resource.clear()
    press(shown)

    assert "Nothing was changed" in plainly(shown)
