"""The Regions page: one metric on a map by country and in tables by country and region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import cached, changes, controls, downloads, plots, shell, words
from app.cached import About
from app.charts import world
from app.controls import Opened
from app.data.regions import RegionsData
from app.filters import NO_COMPARISON, View
from app.timeframe import Window
from app.world import atlas
from metrics.catalogue import Metric, metric

_MAP = "world"
_COUNTRY, _REGION = ("country",), ("country", "region")


def page() -> None:
    """Draw it."""
    st.title("Regions", anchor=False)
    with controls.opened(_first, compares=NO_COMPARISON) as opened:
        controls.metric_bar(opened.view)
        shell.live(opened, _draw)


def _first(view: View, window: Window) -> list[About[Any]]:
    return [_question(view, window), cached.newest.about(), *changes.questions(view, window, _COUNTRY, _REGION)]


def _question(view: View, window: Window) -> About[RegionsData]:
    return cached.regions.about(window, view.zone, view.filter_key(), slug=view.metric)


def _draw(opened: Opened, window: Window) -> None:
    view = opened.view
    answers = shell.answered(opened, window, _question(view, window))
    if answers is None:
        return
    shown = metric(view.metric)
    _map(shown, answers)
    _tables(shown, answers, view, window)


def _map(shown: Metric, answers: RegionsData) -> None:
    if answers.countries["value"].notna().sum() == 0:
        st.info(f"**{shown.title} is undefined in all of this range.** {words.why_undefined(0)}")
    low, high = world.bounds(shown, answers.countries)
    st.caption(
        f"{shown.question} Colour is the value, the size of a mark the traffic; choose a mark to see that country alone."
    )
    plots.draw(
        world.world(shown, answers.countries, low=low, high=high, shade=shell.shade()),
        key=_MAP,
        chosen=_chosen,
        alt=f"{shown.title} by country; the table below says the same.",
    )
    away = answers.countries[~answers.countries["country"].isin(list(atlas().places))]
    if len(away):
        named = words.listed([world.name_of(code) for code in away["country"]])
        st.caption(f"Not on the map: {controls.plain(named)}; the table has them.")


def _chosen() -> None:
    state: Mapping[str, Any] = st.session_state[_MAP]
    codes = [str(point["customdata"]) for point in state["selection"]["points"] if "customdata" in point]
    if codes:
        controls.keep_only("country", codes[:1])


def _tables(shown: Metric, answers: RegionsData, view: View, window: Window) -> None:
    st.subheader("By country", anchor=False)
    countries = changes.table(view, window, answers.countries, _COUNTRY, shown=shown, named=_named)
    downloads.csv("Download the countries (CSV)", countries, downloads.name(f"countries-{shown.slug}", window), key="c")
    st.subheader("By region", anchor=False)
    regions = changes.table(view, window, answers.regions, _REGION, shown=shown, named=_named)
    downloads.csv("Download the regions (CSV)", regions, downloads.name(f"regions-{shown.slug}", window), key="r")


def _named(table: pd.DataFrame) -> pd.DataFrame:
    named = table.assign(country=[world.name_of(code) for code in table["country"]])
    if "region" in table:
        named["region"] = [words.named("region", name) for name in table["region"]]
    return named
