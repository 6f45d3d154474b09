"""The Overview: how is every channel right now? Ten tiles, each against the same span earlier, and the API against its goal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from app import cached, controls, downloads, shell, tiles, uptime, words
from app.banners import banner
from app.cached import About
from app.controls import Opened
from app.data.overview import OverviewData
from app.filters import NO_COMPARISON, View, write
from app.timeframe import OTHER, Window
from metrics.catalogue import METRICS

_USUAL = "week"


def page() -> None:
    """Draw it."""
    st.title("Overview", anchor=False)
    with controls.opened(_first, compares=_USUAL) as opened:
        shell.live(opened, _draw)


def _first(view: View, window: Window) -> list[About[Any]]:
    return [_question(view, window), cached.incidents.about(window, view.filter_key()), cached.newest.about()]


def _question(view: View, window: Window) -> About[OverviewData]:
    return cached.overview.about(window, view.zone, view.filter_key(), compare=view.compared(_USUAL))


def _draw(opened: Opened, window: Window) -> None:
    view = opened.view
    banner(cached.incidents(window, view.filter_key()).open, view)
    answers = shell.answered(opened, window, _question(view, window))
    if answers is None:
        return
    compare = view.compared(_USUAL)
    # The tile adds its own metric to the link, so the view's is left out of it. What it is compared with is the question there, too.
    link = "carriers?" + urlencode(write(replace(view, metric=View.metric, compare=compare)), doseq=True)
    st.html(
        tiles.board(
            answers,
            shade=shell.shade(),
            link=link,
            on_time_seconds=cached.settings().metrics.on_time_seconds,
            compared=words.COMPARED_TITLES[compare],
            beside=words.COMPARED_TITLES[OTHER.get(compare, NO_COMPARISON)],
        )
    )
    downloads.csv(
        "Download the ten metrics (CSV)",
        _table(answers, compare),
        downloads.name("overview", window),
        key="overview",
    )
    st.subheader("Availability of the API", anchor=False)
    uptime.draw(answers.uptime, window, view.zone)


def _table(answers: OverviewData, compare: str) -> pd.DataFrame:
    """The tiles as a table: a row a metric, and the earlier periods beside it unless nothing is compared."""
    earlier = {compare: answers.before, OTHER.get(compare, ""): answers.other}
    rows = []
    for entry in METRICS:
        now = answers.now[entry.slug]
        row: dict[str, object] = {
            "metric": entry.slug,
            "unit": entry.unit,
            "value": now.value,
            "p95": now.p95,
            "n": now.n,
        }
        row["settled"] = now.settled
        for name, before in earlier.items():
            if before is not None:
                row |= {f"{name}_before": before[entry.slug].value, f"{name}_before_n": before[entry.slug].n}
        rows.append(row)
    return pd.DataFrame(rows)
