"""Draws the day as a picture for mails: hours of the day against two rates, a line a provider, on white.

Refuses to join what is mostly chance: an hour with a small sample is a lone, hollow point.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from metrics.catalogue import metric
from reports.days import Day
from reports.ink import FAINT, INK, fonts, png, tidy
from reports.readings import HOURLY
from reports.words import count, provider_name

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#B8860B", "#3AA0D8", "#555555", "#882255")
"""Okabe-Ito, told apart by colour-blind eyes, darkened where it would fade on white."""

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Lines are told apart by their marks too."""

SMALL_N = 20
LINES_MAX = len(COLOURS)

_PIXELS_PER_INCH = 160  # 6.4 inches wide: 1024 pixels, sharp where a mail shows 592, and under 250 kB


def hourly(hours: pd.DataFrame, day: Day) -> bytes:
    """A PNG of the day's hours by provider, the largest providers first."""
    providers = _largest(hours)
    figure = Figure(figsize=(6.4, 6.4), dpi=_PIXELS_PER_INCH, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(HOURLY), 1, sharex=True)
    for axis, slug in zip(axes, HOURLY, strict=True):
        _panel(axis, slug, hours, providers, day)
    _hours_axis(axes[-1], day)
    handles = [_handle(index) for index in range(len(providers))]
    labels = [f" {provider_name(name)}" for name in providers]  # a label that begins with _ would be left out
    legend = figure.legend(handles, labels, loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_color(INK)
        text.set_fontfamily(fonts())
    return png(figure)


def alternative(hours: pd.DataFrame, day: Day) -> str:
    """What the picture shows, in words, for who does not see it."""
    what = " and ".join(metric(slug).title.lower() for slug in HOURLY)
    names = ", ".join(provider_name(name) for name in _largest(hours))
    return f"Line chart: {what} by hour of {day.short} ({day.zone}), for {names}"


def _largest(hours: pd.DataFrame) -> list[str]:
    volume = hours.groupby("provider")[f"{HOURLY[0]}_n"].sum().sort_values(ascending=False)
    return sorted(str(name) for name in volume.index[:LINES_MAX])  # by name: each keeps its colour from day to day


def _handle(index: int) -> Line2D:
    return Line2D([], [], color=COLOURS[index], marker=MARKS[index], markersize=4, linewidth=1.6)


def _panel(axis: Axes, slug: str, hours: pd.DataFrame, providers: Sequence[str], day: Day) -> None:
    lowest = 1.0
    for index, provider in enumerate(providers):
        rows = hours[hours["provider"] == provider]
        places = (rows["bucket"] - pd.Timestamp(day.start)).dt.total_seconds() / 3600 + 0.5
        series = pd.Series(rows[slug].to_numpy() * 100, index=places.to_numpy())
        firm = pd.Series((rows[f"{slug}_n"] >= SMALL_N).to_numpy(), index=series.index)
        middles = [hour + 0.5 for hour in range(_hours_of(day))]
        line = series.where(firm).reindex(middles)  # an hour without traffic is a gap
        axis.plot(middles, line, color=COLOURS[index], marker=MARKS[index], markersize=3, linewidth=1.4)
        alone = series.where(~firm)
        axis.plot(
            alone.index, alone, linestyle="none", marker=MARKS[index], markersize=3.5, markerfacecolor="none",
            color=COLOURS[index], alpha=0.6,
        )  # fmt: skip
        if series.notna().any():
            lowest = min(lowest, float(series.min()) / 100)
    _rate_axis(axis, slug, lowest)


def _rate_axis(axis: Axes, slug: str, lowest: float) -> None:
    # The scale says how much it shows: from the worst hour, by tens, and never less than ten points of it.
    axis.set_ylim(max(0, min(90, int(lowest * 10) * 10)) - 0.5, 100.5)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    axis.set_title(metric(slug).title, loc="left", fontsize=10, color=INK, fontweight="bold")
    tidy(axis)


def _hours_axis(axis: Axes, day: Day) -> None:
    last, zone = _hours_of(day), ZoneInfo(day.zone)
    ticks = list(range(0, last + 1, 3)) if last % 3 == 0 else [*range(0, last, 3), last]
    axis.set_xlim(0, last)
    axis.set_xticks(ticks)
    axis.set_xticklabels([f"{(day.start + timedelta(hours=tick)).astimezone(zone):%H:%M}" for tick in ticks])
    axis.set_xlabel(
        f"Hour of submission, {day.short} ({day.zone}). Hollow: fewer than {count(SMALL_N)} in the hour",
        fontsize=9, color=FAINT, parse_math=False,
    )  # fmt: skip


def _hours_of(day: Day) -> int:
    return -(-int((day.end - day.start).total_seconds()) // 3600)
