"""The Carriers page: recent trends, one panel a carrier, all on one scale, and the same in a table."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app import cached, controls, downloads, shell, tables, words
from app.charts import panels as charts
from app.controls import Opened
from app.data.carriers import LINES_MAX, CarriersData
from app.filters import NO_SPLIT
from app.timeframe import Window, clock_changes
from metrics.catalogue import Metric, metric

_PANEL_WIDTH = 340


def page() -> None:
    """Draw it."""
    st.title("Carriers", anchor=False)
    opened = controls.open_view()
    controls.chart_bar(opened.view)
    shell.live(opened, _draw)


def _draw(opened: Opened, window: Window) -> None:
    view = opened.view
    newest = cached.newest()
    if newest is None:
        shell.nothing_at_all()
        return
    split = None if view.split == NO_SPLIT else view.split
    answers = cached.carriers(
        window, view.zone, view.filter_key(), slug=view.metric, split=split, wanted=view.bucket, panels=int(view.panels)
    )
    shell.freshness_line(newest, window, view.zone)
    if answers.totals.empty:
        shell.nothing_here(newest, opened)
        return
    shown = metric(view.metric)
    low, high = charts.scale(shown, answers.series)
    frame = charts.Frame(
        metric=shown,
        low=low,
        high=high,
        window=window.from_bucket(answers.bucket, view.zone),
        zone=view.zone,
        bucket=answers.bucket,
        split=split,
        shade=shell.shade(),
        colours=cached.colours(),
    )
    _say(frame, answers)
    _panels(frame, answers)
    _table(shown, answers, window)


def _say(frame: charts.Frame, answers: CarriersData) -> None:
    """The key, and whatever the reader should know before reading."""
    if answers.changed:
        st.info(answers.changed)
    if answers.series["value"].notna().any():
        st.html(charts.legend(frame, answers.lines))
    else:
        st.info(f"**{frame.metric.title} is undefined in all of this range.** {words.why_undefined(0)}")
    notes = [
        f"{frame.metric.question} One point stands for {words.BUCKET_TITLES[frame.bucket]}. The scale fits points with n ≥ {charts.N_OF_SCALE}; a line of fewer may leave its panel. "
        f"Thin: fewer than {charts.N_OF_LINE} a point."
    ]
    if answers.left_out and frame.split:
        named = words.listed([words.named(frame.split, name) for name in answers.left_out])
        notes.append(f"Drawn are the {LINES_MAX} largest; not {controls.plain(named)}.")
    if clock_changes(frame.window, frame.zone):
        notes.append(
            f"The clock changes in this range; the axis keeps to {frame.window.end.astimezone(frame.tzinfo):%Z}."
        )
    st.caption(" ".join(notes))


def _panels(frame: charts.Frame, answers: CarriersData) -> None:
    by_carrier = dict(iter(answers.series.groupby("carrier")))
    with st.grid(min_column_width=_PANEL_WIDTH):
        for carrier, reading in answers.readings().items():
            if carrier not in by_carrier:
                continue
            st.plotly_chart(
                charts.panel(frame, carrier, by_carrier[carrier], value=reading.value, n=reading.n),
                key=f"panel-{carrier}",
                config=charts.CONFIG,
                alt=charts.told(frame, carrier, reading.value, reading.n),
            )


def _table(shown: Metric, answers: CarriersData, window: Window) -> None:
    st.subheader("All carriers in this range", anchor=False)
    totals = answers.totals.assign(carrier=[words.named("carrier", name) for name in answers.totals["carrier"]])
    tables.readings(shown, totals, ("carrier",))
    with st.container(horizontal=True):
        downloads.csv(
            "Download this table (CSV)", totals, downloads.name(f"carriers-{shown.slug}", window), key="totals"
        )
        series = answers.series.assign(carrier=answers.series["carrier"].map(partial(words.named, "carrier")))
        downloads.csv(
            "Download the points (CSV)", series, downloads.name(f"carriers-series-{shown.slug}", window), key="series"
        )
