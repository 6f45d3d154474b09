"""One warehouse with a day of traffic, an incident and a report, and one dashboard over it, for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from core import warehouse as door
from core.settings.servers import Warehouse as WarehouseSettings
from metrics.detection.records import keep, keep_evidence
from sandbox.gateway.launch import RunningGateway
from tests.app.broken import NOW, evidence_of, incident
from tests.app.conftest import running
from tests.app.traffic import load


@dataclass(frozen=True)
class Stage:
    """Where the dashboard answers, and the settings of its warehouse."""

    url: str
    settings: WarehouseSettings


def _database(gateway: RunningGateway) -> WarehouseSettings:
    return WarehouseSettings(
        host=gateway.host,
        port=gateway.port,
        username=gateway.user,
        password=SecretStr(gateway.password),
        database=f"test_{uuid4().hex}",
    )


def _stage(settings: WarehouseSettings, folder: Path, *, filled: bool) -> Iterator[Stage]:
    warehouse = door.connect(settings)
    warehouse.migrate()
    if filled:
        load(warehouse, until=datetime.now(UTC), hours=24)
        keep(warehouse, [incident(kind="delivery-drop")])
        keep_evidence(warehouse, "one", evidence_of(), at=NOW)
    with running(settings, folder) as dashboard:
        yield Stage(dashboard.url, settings)
    warehouse.command(f"DROP DATABASE {settings.database}")
    warehouse.close()


@pytest.fixture(scope="module")
def stage(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """With data."""
    yield from _stage(_database(gateway), tmp_path_factory.mktemp("stage"), filled=True)


@pytest.fixture(scope="module")
def empty_stage(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Without."""
    yield from _stage(_database(gateway), tmp_path_factory.mktemp("empty"), filled=False)
