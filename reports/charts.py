"""Draws the span as a picture for mails: its hours or days against three rates, a line a provider, on white.

Refuses to join what is mostly chance: an hour with a small sample is a lone, hollow point.
"""

from __future__ import annotations

import math
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
from reports.ink import FAINT, INK, fonts, png, tidy
from reports.readings import HOURLY
from reports.spans import Span
from reports.words import count, provider_name

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#B8860B", "#3AA0D8", "#555555", "#882255")
"""Okabe-Ito, told apart by colour-blind eyes, darkened where it would fade on white."""

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Lines are told apart by their marks too."""

SMALL_N = 20
LINES_MAX = len(COLOURS)

_SPARK, _SPARK_END, _SPARK_DPI = "#4A90C2", "#D9702B", 200
"""Both stand out on white and on near-black alike."""

_PIXELS_PER_INCH = 160  # 6.4 inches wide: 1024 pixels, sharp where a mail shows 592, and under 250 kB


def course(rows: pd.DataFrame, span: Span) -> bytes:
    """A PNG of the span's hours or days by provider."""
    providers = _largest(rows)
    figure = Figure(figsize=(6.4, 6.4), dpi=_PIXELS_PER_INCH, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(HOURLY), 1, sharex=True)
    for axis, slug in zip(axes, HOURLY, strict=True):
        _panel(axis, slug, rows, providers, span)
    _time_axis(axes[-1], span)
    handles = [_handle(index) for index in range(len(providers))]
    labels = [f" {provider_name(name)}" for name in providers]  # a label that begins with _ would be left out
    legend = figure.legend(handles, labels, loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_color(INK)
        text.set_fontfamily(fonts())
    return png(figure)


def alternative(rows: pd.DataFrame, span: Span) -> str:
    """What the picture shows, in words, for who does not see it."""
    what = " and ".join(metric(slug).title.lower() for slug in HOURLY)
    names = ", ".join(provider_name(name) for name in _largest(rows))
    return f"Line chart: {what} by {_step(span)} of {span.short} ({span.zone}), for {names}"


def _largest(hours: pd.DataFrame) -> list[str]:
    volume = hours.groupby("provider")[f"{HOURLY[0]}_n"].sum().sort_values(ascending=False)
    return sorted(str(name) for name in volume.index[:LINES_MAX])  # by name: each keeps its colour from day to day


def _handle(index: int) -> Line2D:
    return Line2D([], [], color=COLOURS[index], marker=MARKS[index], markersize=4, linewidth=1.6)


def _panel(axis: Axes, slug: str, frame: pd.DataFrame, providers: Sequence[str], span: Span) -> None:
    lowest = 1.0
    for index, provider in enumerate(providers):
        rows = frame[frame["provider"] == provider]
        places = _places(rows["bucket"], span)
        series = pd.Series(rows[slug].to_numpy() * 100, index=places.to_numpy())
        firm = pd.Series((rows[f"{slug}_n"] >= SMALL_N).to_numpy(), index=series.index)
        middles = [place + 0.5 for place in range(_steps(span))]
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


def _time_axis(axis: Axes, span: Span) -> None:
    last = _steps(span)
    axis.set_xlim(0, last)
    if span.kind == "daily":
        zone = ZoneInfo(span.zone)
        ticks: list[float] = [*range(0, last, 3), last] if last % 3 else list(range(0, last + 1, 3))
        labels = [f"{(span.start + timedelta(hours=tick)).astimezone(zone):%H:%M}" for tick in ticks]
    else:
        days = [span.first.plus(index) for index in range(0, last, 1 if last <= 7 else 5)]
        ticks = [(day.date - span.date).days + 0.5 for day in days]
        labels = [day.short if last <= 7 else f"{day.date.day} {day.date:%b}" for day in days]
    axis.set_xticks(ticks)
    axis.set_xticklabels(labels)
    step = _step(span)
    axis.set_xlabel(
        f"{step.capitalize()} of submission, {span.short} ({span.zone}). Hollow: fewer than {count(SMALL_N)} in the {step}",
        fontsize=9, color=FAINT, parse_math=False,
    )  # fmt: skip


def _places(buckets: pd.Series, span: Span) -> pd.Series:
    """Where each bucket stands on the axis: in the middle of its hour or day."""
    if span.kind == "daily":
        return (buckets - pd.Timestamp(span.start)).dt.total_seconds() / 3600 + 0.5
    places: pd.Series = (buckets.dt.tz_localize(None) - pd.Timestamp(span.date)).dt.days + 0.5
    return places


def _step(span: Span) -> str:
    return "hour" if span.kind == "daily" else "day"


def _steps(span: Span) -> int:
    """Of how many hours or days it is made."""
    if span.kind == "daily":
        return -(-int((span.end - span.start).total_seconds()) // 3600)
    return (span.next_day.date - span.date).days


def sparkline(values: Sequence[float | None], *, lowest: float) -> bytes:
    """A PNG of a rate day by day, from `lowest` to 1, the last day marked; readable on light and on dark ground."""
    figure = Figure(figsize=(1.0, 0.24), dpi=_SPARK_DPI)
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.02, 0.08, 0.96, 0.84))
    axis.set_axis_off()
    axis.set_xlim(-0.5, len(values) - 0.2)
    axis.set_ylim(lowest - 0.02, 1.02)
    series = pd.Series([math.nan if value is None else value for value in values])
    axis.plot(series.index, series, color=_SPARK, linewidth=1.3, solid_joinstyle="round")
    # A day between two without data is no line: it would not be seen.
    axis.plot(series.index, series, linestyle="none", marker=".", markersize=1.8, color=_SPARK)
    if values and values[-1] is not None:
        axis.plot([len(values) - 1], [values[-1]], marker="o", markersize=2.6, color=_SPARK_END)
    return png(figure, transparent=True)
