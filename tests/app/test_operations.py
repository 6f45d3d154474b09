"""The Operations and the Reports page, with something to tell and without."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.clock import utc_now
from core.events import AnyEvent, Availability, StatusChange, encode_lines
from core.warehouse import Warehouse
from ingest.letters import Retrier
from ingest.sink import Sink, Unreadable
from metrics.runs import note
from sandbox.ports import free_port
from sandbox.servers import Server
from tests.app.kept import keep_report
from tests.app.looking import Pages, run, text
from tests.app.traffic import load

NOW = datetime.now(UTC)
ONE = "a" * 32


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """Settings of a machine with a folder for alerts and no queue."""
    return {"queue_url": f"nats://127.0.0.1:{free_port()}", "alerts_folder": str(tmp_path / "alerts")}


@pytest.fixture
def operations(pages: Pages, place: dict[str, str]) -> AppTest:
    return pages.view("operations", **place)


@pytest.fixture
def reports(pages: Pages, tmp_path: Path) -> AppTest:
    return pages.view("reports", reports_folder=str(tmp_path / "reports"))


def tell(warehouse: Warehouse, table: str, events: list[AnyEvent]) -> None:
    warehouse.insert_json(table, encode_lines(events))


def figures(page: AppTest) -> dict[str, str]:
    return {element.label: element.value for element in page.metric}


def test_without_anything_each_part_says_so(warehouse: Warehouse, operations: AppTest) -> None:
    shown = run(operations)
    written = text(shown)

    assert figures(shown)["Stores"] == "healthy"
    assert figures(shown)["Queue"] == "no answer"
    assert "Not measured yet" in written
    assert "No instance of the service told of its journals" in written
    assert "No part changed its status" in written
    assert "No alert was told" in written
    assert "No minute was judged yet" in written
    assert "none is kept in this machine's folder" in unescape(written)


def test_status_availability_and_arrivals_are_shown(warehouse: Warehouse, operations: AppTest) -> None:
    load(warehouse, until=NOW, hours=2)
    at = NOW - timedelta(minutes=30)
    change = StatusChange(at=at, instance=ONE, component="store", old="healthy", new="mysql_fatal", reason="no answer")
    minute = Availability(at=at.replace(second=0, microsecond=0), instance=ONE, calls=10_000, failed=1, shed=0)
    tell(warehouse, "status_events", [change])
    tell(warehouse, "availability_minutes", [minute])

    shown = run(operations)

    assert figures(shown)["Stores"] == "mysql_fatal"
    assert "heliograph failover recover" in text(shown)
    assert "99.99 %" in text(shown)
    assert "no answer" in text(shown)
    assert len(shown.get("plotly_chart")) == 2


def test_what_waits_in_the_journals_is_shown_by_instance(warehouse: Warehouse, operations: AppTest) -> None:
    at = NOW.replace(second=0, microsecond=0)
    told = [
        (ONE, 30, 40 << 20, 3 << 20),
        (ONE, 20, 0, 100),
        ("b" * 32, 25, 5 << 20, 0),
    ]
    minutes: list[AnyEvent] = [
        Availability(at=at - timedelta(minutes=ago), instance=instance, calls=0, failed=0, shed=0,
                     store_backlog_bytes=store, events_backlog_bytes=events)
        for instance, ago, store, events in told
    ]  # fmt: skip
    tell(warehouse, "availability_minutes", minutes)

    written = unescape(text(run(operations)))

    assert "**5.00 MiB** at most, at 1 of 2 instances, waited for the primary store" in written
    assert "< 0.01 MiB" in written
    assert "The most in this range: 40.00 MiB in a journal of the stores, 3.00 MiB in a journal of events." in written
    assert written.index("a" * 12) < written.index("b" * 12)


def test_the_jobs_of_the_scheduler_are_told_with_their_last_run(
    warehouse: Warehouse, pages: Pages, place: dict[str, str], tmp_path: Path
) -> None:
    keep_report(tmp_path / "reports", date(2026, 3, 2))
    minute = f"{datetime.now(UTC) - timedelta(minutes=20):%Y-%m-%d %H:%M:00}"  # the page tells the time since
    warehouse.insert_json("detection_progress", json.dumps({"minute": minute}).encode())
    warehouse.insert_json("settled_days", b'{"day": "2026-03-01", "settled_at": "2026-03-05 03:20:30"}')

    note(warehouse, "report", at=NOW, failure="daily report of 2026-03-02: KeyError in reports/charts.py, line 7")
    note(warehouse, "minute", at=NOW)

    written = text(run(pages.view("operations", reports_folder=str(tmp_path / "reports"), **place), tz="UTC"))

    assert "The last run of “send reports” failed" in unescape(written)
    assert "KeyError" in written
    assert "No minute was judged for 2" in written
    assert "Is `heliograph scheduler` running?" in written
    assert "Quality of 2026-03-02" in written
    assert "2026-03-02 08:00:00 UTC" in written
    assert "2026-03-05 03:20:30 UTC" in written


def test_a_warehouse_of_the_version_before_notes_no_runs_and_the_page_says_so(
    warehouse: Warehouse, operations: AppTest
) -> None:
    warehouse.command("DROP TABLE job_runs")  # all that migration 18 brings
    load(warehouse, until=NOW, hours=2)

    written = text(run(operations))

    assert "The warehouse is still that of the version before" in written
    assert "There is no data yet" not in written
    assert "each minute, what is due" in written
    assert "Every event of this range could be read" in written


def test_while_the_warehouse_is_down_the_queue_and_the_alerts_are_shown(pages: Pages, place: dict[str, str]) -> None:
    shown = run(pages.view("operations", warehouse_port=str(free_port()), **place))

    assert "The warehouse does not answer" in text(shown)
    assert figures(shown) == {"Queue": "no answer"}
    assert "No alert was told" in text(shown)


def test_the_queue_tells_what_waits(
    warehouse: Warehouse, pages: Pages, place: dict[str, str], nats_server: Server
) -> None:
    operations = pages.view("operations", **(place | {"queue_url": nats_server.url}))

    assert "Waiting in the queue" in figures(run(operations))


def test_an_operator_has_dead_letters_tried_again_and_reads_what_became_of_them(
    warehouse: Warehouse, operations: AppTest
) -> None:
    sink = Sink(warehouse, clock=lambda: NOW - timedelta(minutes=10))
    sink.bury("stream EVENTS", [Unreadable("1:0", "an older version could not read it", b"not json")])
    shown = run(operations)
    next(button for button in shown.button if button.label == "Try again").click()
    shown.run()

    assert "waits for an ingester" in text(shown)
    assert next(button for button in shown.button if button.label == "Try again").disabled

    Retrier(warehouse, sink, clock=utc_now).step()
    st.cache_resource.clear()
    shown.run()

    assert "1 tried, 0 stored, 1 stay" in text(shown)
    assert "JSON is malformed" in text(shown)


def test_a_viewer_cannot_have_them_tried_again(warehouse: Warehouse, pages: Pages, place: dict[str, str]) -> None:
    operations = pages.view("operations", dashboard_sign_in_file="sign-in.toml", **place)
    operations.user = {"is_logged_in": True, "email": "ada@example.org", "email_verified": True}
    sink = Sink(warehouse, clock=lambda: NOW - timedelta(minutes=10))
    sink.bury("stream EVENTS", [Unreadable("1:0", "no event", b"not json")])
    shown = run(operations)

    assert "no event" in text(shown)
    assert "Try again" not in [button.label for button in shown.button]


def test_without_reports_it_says_how_to_make_one(warehouse: Warehouse, reports: AppTest) -> None:
    assert "No report was sent yet" in text(run(reports))


def test_the_newest_report_is_shown_as_its_readers_saw_it(
    warehouse: Warehouse, reports: AppTest, tmp_path: Path
) -> None:
    keep_report(tmp_path / "reports", date(2026, 3, 1))
    keep_report(tmp_path / "reports", date(2026, 3, 2))

    shown = run(reports)

    assert "Quality of 2026-03-02" in text(shown).replace("\\", "")
    assert len(shown.selectbox[0].options) == 2


@pytest.mark.parametrize(
    ("day", "words"), [("2026-03-01", "Quality of 2026-03-01"), ("1999-01-01", "is not kept here")]
)
def test_a_link_names_its_report(warehouse: Warehouse, reports: AppTest, tmp_path: Path, day: str, words: str) -> None:
    keep_report(tmp_path / "reports", date(2026, 3, 1))
    keep_report(tmp_path / "reports", date(2026, 3, 2))

    assert words in text(run(reports, report=f"daily-{day}-0123456789abcdef")).replace("\\", "")


@pytest.mark.parametrize(("link", "told"), [("Asia/Shanghai", "2026-03-02 16:00 CST"), ("no/zone", "08:00 UTC")])
def test_times_are_in_the_zone_of_the_link_and_stay_in_it(
    warehouse: Warehouse, reports: AppTest, tmp_path: Path, link: str, told: str
) -> None:
    keep_report(tmp_path / "reports", date(2026, 3, 2))

    shown = run(reports, tz=link)

    assert told in shown.selectbox[0].options[0]
    assert (shown.query_params["tz"] in (link, [link])) == (link == "Asia/Shanghai")
