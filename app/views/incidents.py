"""The Incidents page: what is broken, what was, and of each one what is known, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from app import cached, controls, downloads, jobs, moved, plots, shell, spoken, words
from app.banners import banner, told
from app.cached import About
from app.charts import evidence as charts
from app.controls import Opened
from app.data.incidents import StoryData
from app.filters import View, write
from app.timeframe import PRESETS, Window
from core.clock import utc_now
from core.words import percent
from metrics.catalogue import METRICS, metric
from metrics.detection.handbook import NAMES, steps
from metrics.detection.incidents import Incident, Kind, sentence, where
from metrics.detection.words import Word

_TABLE = "incidents-table"
_EVENTS = {"opened": "opened", "updated": "known better", "resolved": "over", "reopened": "back again"}

_NOT_ARRIVED: frozenset[Kind] = frozenset({"provider-outage", "black-hole", "template-blocked", "delivery-drop"})
"""Behind these are the messages that did not arrive. Of the other faults most arrived: late, without a receipt, or without use."""

_LEAD = timedelta(hours=3)
"""So much of the course before an incident is shown: ten minutes alone are no trend."""


def page() -> None:
    """Draw it."""
    st.title("Incidents", anchor=False)
    with controls.opened(_first) as opened:
        shell.live(opened, _one if opened.view.incident else _all)


def _first(view: View, window: Window) -> list[About[Any]]:
    if view.incident:
        return [cached.incident.about(view.incident), cached.standing.about()]
    key = view.filter_key()
    return [
        cached.incidents.about(window, key),
        cached.standing.about(),
        cached.deployments.about(spoken.until_noted(view, window), key),
    ]


def _all(opened: Opened, window: Window) -> None:
    _lists(opened.view, window)
    spoken.standing(opened.view)
    spoken.deployed(opened.view, window)


def _lists(view: View, window: Window) -> None:
    answers = cached.incidents(window, view.filter_key())
    stands_still = jobs.stands_still(answers.judged, now=utc_now())
    if answers.open:
        st.subheader(f"Open now ({len(answers.open)})", anchor=False)
        banner(answers.open, view)
    elif not stands_still:
        _nothing(view)
    st.subheader("In this range", anchor=False)
    if not answers.within:
        over = words.window(window.start, window.end, view.zone)
        st.info(f"**No incident between {over}.** A longer range may show earlier ones.")
        return
    table = _table(answers.within, view.zone)
    # The rows are kept beside the widget, whose choice is a place among them.
    st.session_state["incidents-ids"] = [one.id for one in answers.within]
    st.dataframe(
        table,
        key=_TABLE,
        hide_index=True,
        height="content" if len(table) <= 25 else 900,
        on_select=_chosen,
        selection_mode="single-row",
        placeholder=words.UNDEFINED,
        column_config={
            "state": "State",
            "name": "Name",
            "where": "Where",
            "since": f"Since ({view.zone})",
            "lasted": "Lasted",
            "found after": "Found after",
            "affected": st.column_config.NumberColumn(
                "People affected",
                format="localized",
                help="Different numbers whose messages fared worse than on a good day.",
            ),
            "share": st.column_config.NumberColumn(
                "Explains",
                format="%.0f %%",
                help="Of the whole drop meanwhile, wherever it was, the part in this scope.",
            ),
            "what": None,  # too long for a cell: its page says it, and the file has it
        },
    )
    st.caption("Choose a row to see the evidence.")
    downloads.csv("Download this list (CSV)", table, downloads.name("incidents", window), key="incidents")


def _nothing(view: View) -> None:
    """What it means that none is open: of what the filters hide nothing is known here."""
    if view.filter_key():
        st.info("Nothing that the filters keep is broken at the moment; without them there may be more.")
    else:
        st.success("Nothing is broken at the moment, as far as detection sees.", icon=":material/check_circle:")


def _chosen() -> None:
    state: Mapping[str, Any] = st.session_state[_TABLE]
    rows = state["selection"]["rows"]
    ids: list[str] = st.session_state.get("incidents-ids", [])
    if rows and rows[0] < len(ids):
        controls.tell_of(incident=ids[rows[0]])


def _table(incidents: Sequence[Incident], zone: str) -> pd.DataFrame:
    now = utc_now()
    return pd.DataFrame(
        {
            "state": ["open" if one.state == "open" else "over" for one in incidents],
            "name": [NAMES[one.kind] for one in incidents],
            "where": [where(one.scope) for one in incidents],
            "since": [f"{one.onset.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for one in incidents],
            "lasted": [words.lasting((one.resolved_at or now) - one.onset) for one in incidents],
            "found after": [words.lasting(one.detected_at - one.onset) for one in incidents],
            "affected": [one.affected for one in incidents],
            "share": [None if one.share is None else one.share * 100 for one in incidents],
            "what": [sentence(one, ZoneInfo(zone)) for one in incidents],
        }
    )


def _one(opened: Opened, _window: Window) -> None:
    view = opened.view
    st.button("All incidents", icon=":material/arrow_back:", on_click=controls.tell_of, kwargs={"incident": ""})
    answers = cached.incident(view.incident)
    if answers is None:
        st.warning("**No incident has this id.** The link may be older than the warehouse, or cut short.")
        return
    one = answers.incident
    st.subheader(controls.plain(f"{NAMES[one.kind]} {where(one.scope)}"), anchor=False)
    st.markdown(controls.plain(told(one, view.zone)) + ".")
    _figures(one, view.zone)
    _evidence(answers, view.zone)
    left, right = st.columns(2)
    with left:  # above the right one on a telephone
        _explained(one, answers.deployed)
        _steps(one)
        moved.draw(one, now=utc_now())
        _further(answers, view)
    with right:
        _timeline(answers, view.zone)
        spoken.of_incident(one, view.zone)


def _figures(one: Incident, zone: str) -> None:
    now = utc_now()
    columns = st.columns(5)
    state = "over" if one.resolved_at else "open"
    lasted = words.lasting((one.resolved_at or now) - one.onset)
    columns[0].metric(
        "State", state, f"{'lasted' if one.resolved_at else 'for'} {lasted}", delta_color="off", delta_arrow="off"
    )
    found = words.lasting(one.detected_at - one.onset)
    columns[1].metric(
        "Began",
        f"{one.onset.astimezone(ZoneInfo(zone)):%d %b %H:%M}",
        f"found after {found}",
        delta_color="off",
        delta_arrow="off",
    )
    columns[2].metric(
        "People affected",
        words.count(one.affected),
        f"{words.count(one.messages)} messages, {words.count(one.lost)} lost",
        delta_color="off",
        delta_arrow="off",
    )
    observed, expected = words.figure(one.observed, "ratio"), words.figure(one.expected, "ratio")
    columns[3].metric(
        _measured(one),
        observed,
        f"expected {expected}, n {words.count(one.n)}",
        delta_color="off",
        delta_arrow="off",
    )
    share = words.UNDEFINED if one.share is None else percent(one.share)
    columns[4].metric("Explains", share, "of the whole drop meanwhile", delta_color="off", delta_arrow="off")
    if one.silenced:
        st.info("An operator's silence or maintenance window covers this incident: no alert is sent.")


def _measured(one: Incident) -> str:
    """What its value is one of; always a ratio."""
    if one.channel == "delay":
        return "Receipt within a minute"
    return metric(one.metric).title if one.metric else "Value"


def _evidence(answers: StoryData, zone: str) -> None:
    st.subheader("Evidence", anchor=False)
    if answers.evidence.empty:
        st.info("No minutes were kept for this incident.")
        return
    plots.draw(
        charts.chart(answers.incident, answers.evidence, zone=zone, shade=shell.shade(), now=utc_now()),
        key="evidence",
        alt=charts.told(answers.incident, answers.evidence),
    )
    downloads.csv("Download the minutes (CSV)", answers.evidence, f"incident-{answers.incident.id}.csv", key="evidence")


def _explained(one: Incident, deployed: Sequence[Word]) -> None:
    st.subheader("What is known", anchor=False)
    scope = "; ".join(
        f"{words.DIMENSION_TITLES[name].lower()} {', '.join(values)}" for name, values in one.scope.items()
    )
    lines = [f"Scope: {scope or 'everything'}"]
    lines += [
        f"Code {code.code} ({code.error_class or 'no class'}): {percent(code.share)} of what failed more"
        for code in one.codes
    ]
    lines += [text[:1].upper() + text[1:] for text in one.normal]
    lines += [f"A deployment: {spoken.beside(word, one)}" for word in deployed]
    st.markdown("\n".join(f"- {controls.plain(line)}" for line in lines))


def _timeline(answers: StoryData, zone: str) -> None:
    st.subheader("Timeline", anchor=False)
    rows: list[tuple[datetime, str]] = [(answers.incident.onset, "began")]
    rows += [(one.at, f"{_EVENTS[one.event]}: {sentence(one.incident, ZoneInfo(zone))}") for one in answers.told]
    rows += [(word.said_at or answers.incident.onset, spoken.line(word, zone)) for word in answers.comments]
    rows += [
        (word.start, f"a deployment: {spoken.beside(word, answers.incident)}; noted by {word.said_by}")
        for word in answers.deployed
        if word.start
    ]
    now = utc_now()
    st.markdown(
        "\n".join(
            f"- **{words.moment(at, zone, now=now)}** {controls.plain(text)}"
            for at, text in sorted(rows, key=lambda row: row[0])
        )
    )


def _steps(one: Incident) -> None:
    st.subheader("What to do", anchor=False)
    st.markdown("\n".join(f"1. {controls.plain(step)}" for step in steps(one.kind, one.scope)))


def _further(answers: StoryData, view: View) -> None:
    one = answers.incident
    st.subheader("Look further", anchor=False)
    there = replace(
        view,
        incident="",
        filters={name: tuple(values) for name, values in one.scope.items()},
        metric=one.metric if one.metric in {entry.slug for entry in METRICS} else view.metric,
    )
    now = utc_now()
    meanwhile = there.between(one.onset, one.resolved_at or now)
    behind = replace(meanwhile, show="troubled" if one.kind in _NOT_ARRIVED else "all")
    links = [
        ("carriers", _course(one, there, now), "The course of its metric by carrier"),
        ("funnel", meanwhile, "Where codes are lost there"),
        ("messages", behind, "The messages behind it"),
    ]
    st.html(
        "<ul>"
        + "".join(
            f'<li><a href="{page}?{escape(urlencode(write(linked), doseq=True))}" target="_self">{text}</a></li>'
            for page, linked, text in links
        )
        + "</ul>"
    )
    if answers.beside:
        st.markdown("**Broken at the same time**")
        banner(answers.beside, view)


def _course(one: Incident, there: View, now: datetime) -> View:
    """From some hours before it; while it is open the shortest range that reaches there, because it goes on."""
    begin = one.onset - _LEAD
    moving = next((name for name, span in PRESETS.items() if now - span <= begin), None)
    if one.resolved_at is None and moving:
        return replace(there, range=moving)
    return there.between(begin, one.resolved_at or now)
