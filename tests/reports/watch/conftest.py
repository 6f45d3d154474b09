"""Alerts that are kept, and incidents as detection writes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.alerts import Alerts
from core.alerts.channels import KeptChannel
from core.alerts.main import assemble
from core.clock import ManualClock
from core.settings import Settings
from core.settings.watching import Alerts as AlertSettings
from metrics.detection.incidents import Notification
from tests.support.incidents import ONSET, an_incident


def notice(event: Any = "opened", minutes: float = 3, **more: Any) -> Notification:
    at = ONSET + timedelta(minutes=minutes)
    return Notification(event, an_incident(updated_at=at, **more), at)


def minutes_of(before: int = 30, after: int = 15) -> pd.DataFrame:
    """Evidence: 20 a minute on a good day, 14 since the onset."""
    return pd.DataFrame(
        [
            {
                "minute": pd.Timestamp(ONSET + timedelta(minutes=minute)),
                "channel": "delivered",
                "expected": 20.0,
                "observed": 20.0 if minute < 0 else 14.0,
                "low": 13.0,
                "high": 27.0,
                "n": 21,
            }
            for minute in range(-before, after)
        ]
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(ONSET + timedelta(minutes=4))


@pytest.fixture
def kept() -> KeptChannel:
    return KeptChannel()


@pytest.fixture
def alerts(tmp_path: Path, kept: KeptChannel, clock: ManualClock) -> Iterator[Alerts]:
    made = assemble(Settings(alerts=AlertSettings(folder=tmp_path / "alerts")), [kept], clock=clock)
    yield made
    made.close()
