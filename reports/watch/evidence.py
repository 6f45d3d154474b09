"""Draws the evidence of an incident for mails: what a good minute would have brought, and what came."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure

from metrics.detection.incidents import Channel, Incident
from reports.ink import FAINT, GRID, INK, png, tidy

_EXPECTED, _CAME = "#0072B2", "#B34700"

COUNTED: dict[Channel, str] = {
    "accepted": "messages taken by the provider",
    "receipts": "final receipts",
    "delivered": "messages delivered",
    "filled": "codes entered",
    "right": "first checks that passed",
    "delay": "receipts in time",
    "data": "attempts",
}
"""What the minutes of a channel count."""


def chart(frame: pd.DataFrame, incident: Incident, *, time_zone: str) -> bytes | None:
    """A PNG of the incident's channel, minute by minute; None without evidence."""
    rows = frame[frame["channel"] == incident.channel]
    if rows.empty:
        return None
    zone = ZoneInfo(time_zone)
    figure = Figure(figsize=(6.4, 2.7), dpi=160, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    minutes = rows["minute"].dt.tz_convert(zone)
    axis.fill_between(minutes, rows["low"], rows["high"], color=_EXPECTED, alpha=0.16, linewidth=0)
    axis.plot(minutes, rows["expected"], color=_EXPECTED, linewidth=1.2, linestyle=(0, (4, 2)), label="on a good day, with the range of 95 of 100 minutes")  # fmt: skip
    axis.plot(minutes, rows["observed"], color=_CAME, linewidth=1.6, label="came")
    _mark(axis, incident.onset, "began", zone)
    if incident.resolved_at:
        _mark(axis, incident.resolved_at, "over", zone)
    axis.set_ylim(bottom=0)
    tidy(axis)
    locator = AutoDateLocator(tz=zone, minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(DateFormatter("%H:%M", tz=zone))  # type: ignore[no-untyped-call]
    axis.set_xlabel(f"minute of submission ({time_zone})", fontsize=9, color=FAINT)
    axis.set_title(f"{COUNTED[incident.channel].capitalize()} a minute", loc="left", fontsize=10, color=INK, fontweight="bold")  # fmt: skip
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2, frameon=False, fontsize=9, labelcolor=INK)
    return png(figure)


def alternative(frame: pd.DataFrame, incident: Incident) -> str:
    """What the picture shows, in words."""
    rows = frame[(frame["channel"] == incident.channel) & (frame["minute"] >= pd.Timestamp(incident.onset))]
    if incident.resolved_at:
        rows = rows[rows["minute"] < pd.Timestamp(incident.resolved_at)]
    counted = COUNTED[incident.channel]
    return (
        f"Line chart by minute: since it began {rows['observed'].sum():,.0f} {counted} where a good day would have brought "
        f"{rows['expected'].sum():,.0f}"
    )


def _mark(axis: Axes, at: datetime, word: str, zone: ZoneInfo) -> None:
    moment = pd.Timestamp(at).tz_convert(zone)
    axis.axvline(date2num(moment), color=GRID, linewidth=1.2, zorder=0)  # type: ignore[no-untyped-call]
    axis.annotate(f" {word} {moment:%H:%M}", (moment, 1), xycoords=("data", "axes fraction"), va="top", fontsize=8, color=FAINT)  # fmt: skip
