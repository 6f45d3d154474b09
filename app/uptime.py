"""The availability of the API against its goal, in words and as a line: on the Overview and on Operations."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import plots, shell, words
from app.charts import operations as charts
from app.data.uptime import Uptime
from app.timeframe import Window
from metrics.operations import AVAILABILITY_GOAL


def draw(found: Uptime, window: Window, zone: str, *, month: pd.Series[float] | None = None) -> None:
    """The sentence and the chart; `month` is the row of the last thirty days, where it is to be told, too."""
    whole = found.whole.iloc[0]
    if not found.measured and (month is None or not month["n"]):
        st.info("Not measured yet in this range: the service tells of its calls once a minute.")
        return
    st.markdown(_sentence(whole, month))
    if found.course.empty:
        return
    plots.draw(
        charts.availability(found.course, window=window, zone=zone, shade=shell.shade()),
        key="availability",
        alt=f"Availability of the API over time: {percent(whole['availability'])} in all, the goal is {percent(AVAILABILITY_GOAL)}.",
    )
    st.caption(
        f"One point stands for {words.BUCKET_TITLES[found.bucket]}. Failed: answered with 5xx, calls refused for load "
        f"included. The dashed line is the goal.{words.utc_buckets(found.bucket, zone)}"
    )


def _sentence(whole: pd.Series[float], month: pd.Series[float] | None) -> str:
    """What was reached, on how many calls, and how many failures the goal would have allowed."""
    calls, failed = int(whole["n"]), int(whole["failed"])
    allowed = calls * (1 - AVAILABILITY_GOAL)
    told = (
        f"**{percent(whole['availability'])}** in this range: {words.count(failed)} of {words.count(calls)} calls failed, "
        f"where the goal of {percent(AVAILABILITY_GOAL)} allows {allowed:,.1f}"
    )
    if month is not None:
        told += f". **{percent(month['availability'])}** in 30 days ({words.count(int(month['n']))} calls)"
    return told + "."


def percent(value: float) -> str:
    """Cut, never rounded up: 99.99996 % is not all of it."""
    return (
        words.UNDEFINED if pd.isna(value) else f"{int(value * 1_000_000) / 10_000:.4f}".rstrip("0").rstrip(".") + " %"
    )
