"""An office on a warehouse of its own, with mail that is kept and a clock that is moved by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core import warehouse as door
from core.clock import ManualClock
from core.mail import KeptMail
from core.settings import Settings
from core.settings.servers import Mail
from core.settings.servers import Warehouse as WarehouseSettings
from core.settings.watching import Reports
from core.warehouse import Warehouse
from reports.delivery import Office
from reports.ledger import Ledger
from reports.spans import Day
from sandbox.ports import free_port

MONDAY = Day(datetime(2026, 3, 2, tzinfo=UTC).date(), "UTC")
NEXT_MORNING = datetime(2026, 3, 3, 8, 0, tzinfo=UTC)
RECIPIENTS = ("ops@example.org", "quality@example.org")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NEXT_MORNING)


@pytest.fixture
def mail() -> KeptMail:
    return KeptMail()


@pytest.fixture
def settings(warehouse: Warehouse, warehouse_settings: WarehouseSettings, tmp_path: Path) -> Settings:
    """Of an empty, migrated warehouse."""
    return Settings(
        warehouse=warehouse_settings,
        mail=Mail(sender="Heliograph <reports@example.org>", recipients=list(RECIPIENTS)),
        reports=Reports(folder=tmp_path / "reports"),
    )


@pytest.fixture
def office(settings: Settings, clock: ManualClock, mail: KeptMail) -> Office:
    return Office(
        settings=settings,
        ledger=Ledger(settings.reports.folder, clock=clock),
        mailer=mail,
        open_warehouse=lambda: door.connect(settings.warehouse, readonly=True),
        clock=clock,
    )


@pytest.fixture
def office_without_warehouse(office: Office, settings: Settings) -> Office:
    """Its warehouse does not answer."""
    nobody = settings.warehouse.model_copy(update={"port": free_port()})
    return replace(office, open_warehouse=lambda: door.connect(nobody, readonly=True))
