"""What waits in the journals of the service, by instance and over time: on Operations."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from app import downloads, plots, shell, texts, words
from app.charts import operations as charts
from app.data.journals import JournalsData
from app.timeframe import Window

_INSTANCES_MAX = 20
_NAME_LETTERS = 12


def draw(found: JournalsData, window: Window, zone: str, *, now: datetime) -> None:
    """The sentence, the instances with what waits at each, and the course."""
    st.subheader("What waits in the journals", anchor=False)
    if found.newest.empty:
        st.info("No instance of the service told of its journals in this range: each does so once a minute.")
        return
    st.markdown(sentence(found.newest))
    _instances(found.newest, zone, now)
    downloads.csv("Download the instances (CSV)", found.newest, downloads.name("journals", window), key="journals")
    plots.draw(
        charts.backlog(found.course, window=window, zone=zone, shade=shell.shade()),
        key="journals",
        alt=f"What waited in the journals over time, in MiB. {_most(found.course)}",
    )
    st.caption(
        f"{_most(found.course)} Of several instances the line shows the one with most. Instances tell of it through the queue: "
        "while that is away the newest stands still, and the course is filled in later."
    )


def sentence(newest: pd.DataFrame) -> str:
    """What waits by now: how many instances it is at, and the most at one of them."""
    parts = []
    for column, title, for_whom in (("store", "the stores", "the primary store"), ("events", "events", "the queue")):
        waiting = newest[newest[column] > 0]
        parts.append(
            f"In the journal of {title} **{words.mebibytes(int(waiting[column].max()))}**"
            f"{f' at most, at {len(waiting)} of {len(newest)} instances,' if len(newest) > 1 else ''} waited for {for_whom}"
            if len(waiting)
            else f"In the journal of {title} **nothing** waited for {for_whom}"
        )
    return ". ".join(parts) + ", when each instance of this range told last."


def _instances(newest: pd.DataFrame, zone: str, now: datetime) -> None:
    rows = newest.head(_INSTANCES_MAX)
    told = [f"{words.moment(at.to_pydatetime(), zone, now=now)}, {words.ago(now - at)}" for at in rows["told_at"]]
    texts.table(
        "What waits in the journals",
        [
            texts.Column("Instance", rows["instance"].str[:_NAME_LETTERS].tolist(), about="A restart is another one."),
            texts.Column("Journal of the stores", _sizes(rows["store"]), "number", "For the primary store."),
            texts.Column("Journal of events", _sizes(rows["events"]), "number", "For the queue."),
            texts.Column("Of the minute", told, about="The most that was seen in it."),
        ],
    )
    if len(newest) > len(rows):
        st.caption(f"The {len(rows)} that told last, of {len(newest)}; the download has all.")


def _sizes(column: pd.Series[int]) -> list[str]:
    return [words.mebibytes(int(size)) for size in column]


def _most(course: pd.DataFrame) -> str:
    store, events = (words.mebibytes(float(course[column].max())) for column, _, _ in charts.JOURNALS)
    return f"The most in this range: {store} in a journal of the stores, {events} in a journal of events."
