"""The Operations page: how the service, the queue, the data and the alerts themselves do."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import cached, controls, downloads, jobs, journals, mending, plots, shell, texts, uptime, words
from app.cached import About
from app.charts import operations as charts
from app.controls import Opened
from app.data.operations import STREAMS, OperationsData
from app.filters import View
from app.timeframe import Window
from core.clock import utc_now

_MEANINGS = {
    "healthy": "both stores serve",
    "mysql_fatal": "the primary store is down: Redis serves, writes are journaled",
    "redis_fatal": "the backup is down: the primary store serves alone",
    "both_fatal": "both stores are down: codes are derived, writes are journaled",
    "recovering": "the primary store serves again while journals are replayed",
}

_RECOVER = "`heliograph failover recover` on one instance, and the others follow; where it is set, `failover.automatic_recovery` says it"
_WAY_BACK = {
    "mysql_fatal": f"**Redis serves until somebody says that MySQL is well again:** {_RECOVER}.",
    "both_fatal": "**Bring either store back: the first is used at once.** If that is Redis, somebody has to say "
    f"later that MySQL is well again: {_RECOVER}.",
}
"""What is said to the service and not here: the dashboard has no key of it (docs/operating.md)."""

_PAYLOAD_LETTERS = 240
"""So much of a dead letter is shown; the download has all of it."""


def page() -> None:
    """Draw it."""
    st.title("Operations", anchor=False)
    with controls.opened(_first, filtered=False) as opened:
        shell.live(opened, _draw, apart=_apart)


def _first(_view: View, window: Window) -> list[About[Any]]:
    return [cached.operations.about(window), cached.newest.about(), cached.retries.about()]


def _draw(opened: Opened, window: Window) -> None:
    view = opened.view
    answers = cached.operations(window)
    newest = cached.newest()
    _now(answers, newest, view.zone)
    _availability(answers, view.zone, window)
    journals.draw(answers.journals, window, view.zone, now=utc_now())
    _history(answers, view.zone, window)
    jobs.draw(answers.runs, view.zone, now=utc_now())
    _data(answers, view.zone, window)
    _letters(answers, view.zone, window)
    _alerts(view.zone)


def _apart(opened: Opened) -> None:
    """What needs no warehouse: when one server fails, how the others do is asked for."""
    _queue(st.columns(4)[0])
    _alerts(opened.view.zone)


def _now(answers: OperationsData, newest: datetime | None, zone: str) -> None:
    now = utc_now()
    columns = st.columns(4)
    store = answers.latest[answers.latest["component"] == "store"]
    status = str(store["new"].iloc[0]) if len(store) else "healthy"
    since = (
        f"since {store['at'].iloc[0].astimezone(ZoneInfo(zone)):%d %b, %H:%M}" if len(store) else "no change in 30 days"
    )
    columns[0].metric("Stores", status, since, delta_color="off", delta_arrow="off", help=_MEANINGS.get(status, status))
    seen = words.ago(now - newest) if newest else words.UNDEFINED
    columns[1].metric(
        "Newest attempt",
        seen,
        words.moment(newest, zone, now=now) if newest else "no data yet",
        delta_color="off",
        delta_arrow="off",
    )
    judged = answers.runs.judged
    columns[2].metric(
        "Detection",
        words.ago(now - judged) if judged else words.UNDEFINED,
        "last minute judged" if judged else "has not run",
        delta_color="off",
        delta_arrow="off",
    )
    _queue(columns[3])
    if status in _WAY_BACK:
        st.warning(_WAY_BACK[status])


def _queue(place: DeltaGenerator) -> None:
    waits = cached.waiting()
    if isinstance(waits, str):
        place.metric("Queue", "no answer", "see below", delta_color="off", delta_arrow="off")
        st.warning(f"The queue does not answer: {controls.plain(waits)}.")
        return
    pending = sum(state.pending for state in waits.values())
    told = "; ".join(f"{stream.lower()} {words.count(state.pending)}" for stream, state in waits.items())
    place.metric(
        "Waiting in the queue",
        words.count(pending),
        told,
        delta_color="off",
        delta_arrow="off",
        help=f"Messages that {' and '.join(STREAMS.values())} have not finished.",
    )


def _availability(answers: OperationsData, zone: str, window: Window) -> None:
    st.subheader("Availability of the API", anchor=False)
    uptime.draw(answers.uptime, window, zone, month=answers.month.iloc[0])


def _history(answers: OperationsData, zone: str, window: Window) -> None:
    st.subheader("Changes of status", anchor=False)
    if answers.history.empty:
        st.info("No part changed its status in this range.")
        return
    rows = answers.history
    texts.table(
        "Changes of status",
        [
            texts.Column(f"When ({zone})", _times(rows["at"], zone)),
            texts.Column("Part", rows["component"].tolist()),
            texts.Column("Before", rows["old"].tolist()),
            texts.Column("Since then", rows["new"].tolist()),
            texts.Column("That is", [_MEANINGS.get(str(new), "") for new in rows["new"]], "long"),
            texts.Column("Reason", rows["reason"].tolist(), "long"),
            texts.Column("Instances", rows["instances"].tolist(), "number", "How many told of it within a minute."),
        ],
    )
    downloads.csv("Download the changes (CSV)", answers.history, downloads.name("status", window), key="status")


def _data(answers: OperationsData, zone: str, window: Window) -> None:
    st.subheader("What arrives", anchor=False)
    if answers.arrivals.empty:
        st.info("No event in this range.")
        return
    plots.draw(
        charts.arrivals(answers.arrivals, window=window, zone=zone, shade=shell.shade()),
        key="arrivals",
        alt=f"Events a minute over time. {charts.arrived(answers.arrivals)}",
    )
    st.caption(
        "Events count when they happened: a backlog that is made up later fills its gap. One that was delivered again "
        f"counts twice until the warehouse has merged it.{words.utc_buckets(answers.bucket, zone)}"
    )


def _letters(answers: OperationsData, zone: str, window: Window) -> None:
    st.subheader("What could not be read", anchor=False)
    if answers.letters.empty:
        st.success("Every event of this range could be read.", icon=":material/check_circle:")
        mending.letters([], zone)
        return
    rows = answers.letters
    place = "Of the latest: its number in the stream, or its line in the file."
    masked = "What may be a number or a code was cut out: it cannot be tried again."
    texts.table(
        "What could not be read",
        [
            texts.Column("Why", rows["reason"].tolist(), "long"),
            texts.Column("How many", [words.count(int(count)) for count in rows["letters"]], "number"),
            texts.Column(f"First ({zone})", _times(rows["first"], zone)),
            texts.Column(f"Last ({zone})", _times(rows["last"], zone)),
            texts.Column("From", rows["source"].tolist()),
            texts.Column("Place", rows["place"].tolist(), about=place),
            texts.Column("Masked", ["yes" if one else "no" for one in rows["masked"]], about=masked),
            texts.Column("The latest", [words.cut(str(one), _PAYLOAD_LETTERS) for one in rows["payload"]], "long"),
        ],
    )
    downloads.csv("Download these (CSV)", answers.letters, downloads.name("dead-letters", window), key="letters")
    mending.letters([str(reason) for reason in answers.letters["reason"]], zone)


def _alerts(zone: str) -> None:
    st.subheader("Alerts", anchor=False)
    rows = cached.alerts()
    if isinstance(rows, str):
        st.warning(f"The folder of alerts cannot be read: {controls.plain(rows)}.")
        return
    if rows.empty:
        st.info("No alert was told, as far as this machine's folder of alerts knows.")
        return
    texts.table(
        "Alerts",
        [
            texts.Column(f"When ({zone})", _times(rows["at"], zone)),
            texts.Column("Severity", rows["severity"].tolist()),
            texts.Column("Event", rows["event"].tolist()),
            texts.Column("What", rows["title"].tolist(), "long"),
            texts.Column("How it stands", rows["state"].tolist(), "long", "On each channel."),
        ],
    )
    st.caption("`heliograph alerts show` tells more of one.")


def _times(stamps: pd.Series[pd.Timestamp], zone: str) -> list[str]:
    local: list[str] = stamps.dt.tz_convert(zone).dt.strftime("%Y-%m-%d %H:%M:%S").tolist()
    return local
