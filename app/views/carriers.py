"""The Carriers page: recent trends, one panel a carrier, all on one scale, and the same in a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from html import escape
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from app import cached, changes, controls, downloads, plots, shell, spoken, tables, words
from app.cached import About
from app.charts import panels as charts
from app.charts.frames import Frame
from app.controls import Opened
from app.data.carriers import LINES_MAX, CarriersData
from app.data.usual import WEEKS
from app.filters import NO_COMPARISON, NO_SPLIT, View, write
from app.timeframe import Window, clock_changes, next_bucket
from metrics.catalogue import Metric, metric
from metrics.detection.deployments import touches
from metrics.detection.incidents import Scope
from metrics.detection.words import Word

_PANEL_WIDTH = 340
_TABLE = "carriers-table"
_BY = ("carrier",)
_POINT = re.compile("([0-9]{1,11})(?:-([0-9]{1,11}))?")  # seconds since 1970 until the year 5138


def page() -> None:
    """Draw it."""
    st.title("Carriers", anchor=False)
    with controls.opened(_first, compares=NO_COMPARISON) as opened:
        controls.chart_bar(opened.view)
        shell.live(opened, _draw)


def _first(view: View, window: Window) -> list[About[Any]]:
    return [
        _question(view, window),
        cached.newest.about(),
        cached.deployments.about(window, view.filter_key()),
        *changes.questions(view, window, _BY),
    ]


def _question(view: View, window: Window) -> About[CarriersData]:
    return cached.carriers.about(
        window,
        view.zone,
        view.filter_key(),
        slug=view.metric,
        split=_split(view),
        wanted=view.bucket,
        panels=int(view.panels),
    )


def _split(view: View) -> str | None:
    return None if view.split == NO_SPLIT else view.split


def _draw(opened: Opened, window: Window) -> None:
    view = opened.view
    answers = shell.answered(opened, window, _question(view, window))
    if answers is None:
        return
    shown = metric(view.metric)
    low, high = charts.scale(shown, answers.series)
    frame = Frame(
        metric=shown,
        low=low,
        high=high,
        window=window.from_bucket(answers.bucket, view.zone),
        zone=view.zone,
        bucket=answers.bucket,
        split=_split(view),
        shade=shell.shade(),
        colours=cached.colours_of(_split(view), answers.lines, window),
    )
    deployed = cached.deployments(window, view.filter_key())
    _say(frame, answers)
    if deployed:
        st.caption(controls.plain(spoken.listed(deployed, view.zone)))
    _picked(opened, answers)
    _panels(frame, answers, opened, deployed)
    _table(shown, answers, view, window)


def _say(frame: Frame, answers: CarriersData) -> None:
    """The key, and whatever the reader should know before reading."""
    if answers.changed:
        st.info(answers.changed)
    if answers.series["value"].notna().any():
        st.html(charts.legend(frame, answers.lines))
    else:
        st.info(f"**{frame.metric.title} is undefined in all of this range.** {words.why_undefined(0)}")
    notes = [
        f"{frame.metric.question} One point stands for {words.BUCKET_TITLES[frame.bucket]}. The scale fits points with n ≥ {charts.N_OF_SCALE}; a line of fewer may leave its panel. "
        f"Thin: fewer than {charts.N_OF_LINE} a point. "
        f"Usual: as the whole carrier was at the same hours of up to {WEEKS} weeks before. "
        "Choose a point to see that carrier, and the messages behind it."
    ]
    if answers.left_out and frame.split:
        named = words.listed([words.named(frame.split, name) for name in answers.left_out])
        notes.append(f"Drawn are the {LINES_MAX} largest; not {controls.plain(named)}.")
    if clock_changes(frame.window, frame.zone):
        notes.append(
            f"The clock changes in this range; the axis keeps to {frame.window.end.astimezone(frame.tzinfo):%Z}."
        )
    st.caption(" ".join(notes))


def _panels(frame: Frame, answers: CarriersData, opened: Opened, deployed: Sequence[Word]) -> None:
    view = opened.view
    by_carrier, readings = dict(iter(answers.series.groupby("carrier"))), answers.readings()
    carriers = tuple(name for name in readings if name in by_carrier)
    usual = cached.usual.about(
        frame.window.of_buckets(frame.bucket, frame.zone), view.zone, view.filter_key(),
        slug=view.metric, bucket=frame.bucket, carriers=carriers,
    )  # fmt: skip
    with cached.early([usual]):
        broken = cached.incidents(frame.window, view.filter_key()).within
        countries = cached.countries_of(frame.window) if broken or deployed else {}
        by_usual = dict(iter(usual().groupby("carrier")))
    shown = (answers.asked_at, view.filter_key(), frame.metric.slug, frame.window, frame.zone, frame.bucket, frame.split,
             frame.shade)  # fmt: skip
    with st.grid(min_column_width=_PANEL_WIDTH):
        for carrier in carriers:
            reading = readings[carrier]
            incidents = [one for one in broken if concerns(one.scope, carrier, countries)]
            deployments = [one for one in deployed if concerns(one.scope or {}, carrier, countries)]
            draw = partial(
                charts.panel,
                frame,
                carrier,
                by_carrier[carrier],
                value=reading.value,
                n=reading.n,
                usual=by_usual.get(carrier),
                incidents=incidents,
                deployments=deployments,
            )
            marked = (
                tuple((one.id, one.onset, one.resolved_at) for one in incidents),
                tuple(one.id for one in deployments),
            )
            plots.draw(
                cached.drawn((*shown, carrier, *marked), draw),
                key=f"panel-{carrier}",
                chosen=partial(_point_chosen, carrier, frame.bucket, frame.zone),
                alt=charts.told(frame, carrier, reading.value, reading.n),
            )


def concerns(scope: Scope, carrier: str, countries: Mapping[str, frozenset[str]]) -> bool:
    """Whether what has this scope is about a carrier: it names the carrier, or no carrier but a country in which that is."""
    if not touches(scope, {"carrier": (carrier,)}):
        return False
    return "country" not in scope or bool(countries.get(carrier, frozenset()) & set(scope["country"]))


def _point_chosen(carrier: str, bucket: str, zone: str) -> None:
    state: Mapping[str, Any] = st.session_state[f"panel-{carrier}"]
    begins = [point["customdata"] for point in state["selection"]["points"] if point.get("customdata")]
    if begins:
        controls.keep_only("carrier", [carrier], point=point_of(int(begins[0]), bucket, zone))


def point_of(begin: int, bucket: str, zone: str) -> str:
    """The bucket that begins then as a link holds it: with its end, because its carrier alone may be drawn with another bucket."""
    end = next_bucket(datetime.fromtimestamp(begin, UTC), bucket, zone)
    return f"{begin}-{end.timestamp():.0f}"


def span_of(point: str, bucket: str, zone: str) -> tuple[datetime, datetime] | None:
    """The time that a link's point stands for; without an end that of the bucket drawn. None for what is no point."""
    told = _POINT.fullmatch(point)
    if told is None:
        return None
    begin = datetime.fromtimestamp(int(told[1]), UTC)
    end = datetime.fromtimestamp(int(told[2]), UTC) if told[2] else next_bucket(begin, bucket, zone)
    return (begin, end) if begin < end else None


def _row_chosen() -> None:
    carrier = tables.chosen_row(_TABLE, st.session_state["carriers-names"])
    if carrier is not None:
        controls.keep_only("carrier", [carrier])


def _picked(opened: Opened, answers: CarriersData) -> None:
    """The way from the point that was chosen to its messages."""
    view = opened.view
    span = span_of(view.point, answers.bucket, view.zone)
    if span is None:
        return
    begin, end = span
    there = replace(view.between(begin, end), point="")
    links = " · ".join(
        f'<a href="messages?{escape(urlencode(write(replace(there, show=show)), doseq=True))}" target="_self">{text}</a>'
        for show, text in (("all", "all messages of that time"), ("troubled", "those that did not arrive"))
    )
    with st.container(horizontal=True, vertical_alignment="center", key="picked"):
        st.html(f'<div class="hg-line"><span>Chosen: <b>{words.window(begin, end, view.zone)}</b></span> {links}</div>')
        st.button("Let go", type="tertiary", on_click=controls.tell_of, kwargs={"point": ""})


def _table(shown: Metric, answers: CarriersData, view: View, window: Window) -> None:
    st.subheader("All carriers in this range", anchor=False)
    # The names as they are in the data are kept beside the widget, whose choice is a place among them.
    st.session_state["carriers-names"] = answers.totals["carrier"].tolist()
    totals = changes.table(view, window, answers.totals, _BY, shown=shown, named=_named, key=_TABLE, chosen=_row_chosen)
    with st.container(horizontal=True):
        downloads.csv(
            "Download this table (CSV)", totals, downloads.name(f"carriers-{shown.slug}", window), key="totals"
        )
        series = _named(answers.series)
        downloads.csv(
            "Download the points (CSV)", series, downloads.name(f"carriers-series-{shown.slug}", window), key="series"
        )


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(carrier=[words.named("carrier", name) for name in table["carrier"]])
