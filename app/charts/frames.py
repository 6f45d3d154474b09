"""What the panels of the Carriers page share: metric, scale, window, bucket, colours, and the clock of their axis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from app.palette import Colours, Shade
from app.timeframe import Window
from metrics.catalogue import Metric


@dataclass(frozen=True)
class Frame:
    """What all panels share: metric, scale of values, window, bucket and colours."""

    metric: Metric
    low: float
    high: float
    window: Window
    zone: str
    bucket: str
    split: str | None
    shade: Shade
    colours: Colours

    @property
    def tzinfo(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def line_style(self, name: str) -> tuple[str, str]:
        return self.colours.line(self.split or "", name, self.shade)


def wall_clock(stamps: pd.Series[pd.Timestamp], frame: Frame) -> pd.Series[pd.Timestamp]:
    """Times as the zone's clock shows them at the end of the window: an axis on which no hour comes twice."""
    offset = frame.window.end.astimezone(frame.tzinfo).utcoffset() or timedelta(0)
    shown: pd.Series[pd.Timestamp] = stamps.dt.tz_convert("UTC").dt.tz_localize(None) + pd.Timedelta(offset)
    return shown
