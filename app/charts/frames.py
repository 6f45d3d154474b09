"""What charts share: the clock of their axis, and of the Carriers page's panels metric, scale, window, bucket and colours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
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

    @property
    def factor(self) -> int:
        """By which values are multiplied for the axis: ratios are drawn in per cent."""
        return 100 if self.metric.unit == "ratio" else 1

    def line_style(self, name: str) -> tuple[str, str]:
        return self.colours.line(self.split or "", name, self.shade)

    def clock(self, stamps: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
        """Times on the axis of all panels."""
        return wall_clock(stamps, self.zone, self.window.end)

    def moment(self, at: datetime) -> datetime:
        """One time on it."""
        return wall_time(at, self.zone, self.window.end)


def wall_clock(stamps: pd.Series[pd.Timestamp], zone: str, at: datetime) -> pd.Series[pd.Timestamp]:
    """Times as the zone's clock shows them in the summer or winter of `at`: an axis on which no hour comes twice."""
    shown: pd.Series[pd.Timestamp] = stamps.dt.tz_convert("UTC").dt.tz_localize(None) + pd.Timedelta(_offset(zone, at))
    return shown


def wall_time(moment: datetime, zone: str, at: datetime) -> datetime:
    """One moment as `wall_clock` shows it."""
    return moment.astimezone(UTC).replace(tzinfo=None) + _offset(zone, at)


def _offset(zone: str, at: datetime) -> timedelta:
    return at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0)


def upright(at: datetime, colour: str, *, dash: str) -> dict[str, Any]:
    """A line from top to bottom of a chart at one moment of its axis."""
    line = {"color": colour, "width": 1.5, "dash": dash}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}


def tick_time(span: timedelta) -> str:
    """How the axis of so long a time writes its ticks: hours with their day beneath, then days."""
    if span <= timedelta(days=2):
        return "%H:%M\n%d %b"
    return "%d %b" if span <= timedelta(days=300) else "%d %b %Y"


def axis_range(window: Window, zone: str) -> list[datetime]:
    """The ends of an axis that shows all of a window, whatever of it has data."""
    return [wall_time(end, zone, window.end) for end in (window.start, window.end)]
