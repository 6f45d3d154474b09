"""Heliograph's own detector as a rival: the replay that `heliograph detect replay` makes, on the same attempts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pandas as pd

from benchmarks.detection.alerts import Alert, from_told
from metrics.detection.replay import over_attempts


class Replay:
    """The detector with its default settings."""

    def __call__(self, attempts: pd.DataFrame, *, start: datetime, end: datetime) -> Iterator[Alert]:
        """Its notifications as alerts."""
        for notification in over_attempts(attempts, start=start, end=end):
            yield from_told(notification.as_line())
