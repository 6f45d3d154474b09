"""One browser, and one dashboard each with data and without, for all tests of this folder; starting them is what takes time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core import warehouse as door
from core.events import Availability, StatusChange, encode_lines
from core.numbers import NumberHash
from core.settings.servers import Warehouse as WarehouseSettings
from core.settings.watching import Metrics
from core.warehouse import Warehouse
from metrics.detection.records import keep, keep_evidence
from metrics.upkeep import Upkeep
from tests.app.broken import NOW, evidence_of, incident
from tests.app.conftest import HASH_KEY, running
from tests.app.kept import keep_report
from tests.app.looking import SLOW_MS
from tests.app.traffic import load
from tests.support.providers import a_number
from tests.support.servers import require_server
from tests.support.warehouses import Databases

ONE = "a" * 32
WAITING = (3_400_000, 2_100_000, 0)  # bytes in the journal of the stores in the last minutes, oldest first


@dataclass(frozen=True)
class Stage:
    """Where the dashboard answers, its warehouse with the settings of it, and a number that got messages."""

    url: str
    settings: WarehouseSettings
    warehouse: Warehouse
    number: str = ""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; closed with the folder, because its driver keeps an event loop of its own."""
    path = require_server("chromium")
    expect.set_options(timeout=SLOW_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window of a reader in Berlin, who has no way out to the internet."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, timezone_id="Europe/Berlin")
    context.set_default_timeout(SLOW_MS)
    opened = context.new_page()
    opened.outside = []  # type: ignore[attr-defined]
    opened.on("request", lambda request: _note_outside(opened, request.url))
    yield opened
    context.close()


def _note_outside(page: Page, url: str) -> None:
    if "://127.0.0.1" not in url and not url.startswith(("data:", "blob:")):
        page.outside.append(url)  # type: ignore[attr-defined]


@contextmanager
def staged(databases: Databases, folder: Path) -> Iterator[Stage]:
    """A dashboard over an empty database of its own."""
    with databases.lent() as database, running(database.settings, folder) as dashboard:
        yield Stage(dashboard.url, database.settings, database.warehouse)


@pytest.fixture(scope="package")
def stage(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """With a day of traffic, an incident, what the service told of itself, a run of a job, and two reports; nobody adds to it. The
    last hour went to one number, and fewer of it arrived."""
    folder = tmp_path_factory.mktemp("stage")
    for day in (date(2026, 3, 1), date(2026, 3, 2)):
        keep_report(folder / ".heliograph" / "reports", day)
    with staged(databases, folder) as made:
        until, number = datetime.now(UTC), a_number()
        load(made.warehouse, until=until - timedelta(hours=1), hours=23)
        load(made.warehouse, until=until, hours=1, delivered_of_ten=7, phone_hash=NumberHash(HASH_KEY)(number))
        keep(made.warehouse, [incident(kind="delivery-drop")])
        keep_evidence(made.warehouse, "one", evidence_of(), at=NOW)
        told_at = NOW - timedelta(minutes=1)  # the minute of now may lie beyond the range for another while
        minutes = [
            Availability(
                at=told_at - timedelta(minutes=back), instance=ONE, calls=100, failed=1, shed=0,
                store_backlog_bytes=waits, events_backlog_bytes=100_000,
            )
            for back, waits in enumerate(reversed(WAITING))
        ]  # fmt: skip
        fall = StatusChange(
            at=told_at, instance=ONE, component="store", old="healthy", new="mysql_fatal", reason="2003"
        )
        for event in (*minutes, fall):
            made.warehouse.insert_json(event.table, encode_lines([event]))
        upkeep = Upkeep(
            open_warehouse=lambda: door.connect(made.settings),
            clock=lambda: datetime.now(UTC),
            on_time_seconds=Metrics().on_time_seconds,
        )
        upkeep.each_minute()
        yield replace(made, number=number)


@pytest.fixture(scope="package")
def empty_stage(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Without anything; nobody adds to it."""
    with staged(databases, tmp_path_factory.mktemp("empty")) as made:
        yield made
