"""The Messages page: what happened to this one message? By request id, by number, or from the list behind a figure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from app import cached, controls, downloads, shell, stories, texts, words
from app.cached import About
from app.controls import Opened
from app.data.messages import LISTED_MAX, OF_NUMBER_DAYS, OF_NUMBER_MAX
from app.filters import View
from app.timeframe import Window, fixed
from core.clock import utc_now
from core.errors import InvalidNumber
from core.ids import time_of
from core.numbers import NumberHash, read

_TABLE = "messages-table"
_ASKED, _HASH, _PROBLEM = "messages-asked", "messages-hash", "messages-problem"
_COLUMNS = {
    "submitted_at": "Submitted",
    "state": "State",  # early, so that a narrow screen shows what became of each
    "provider": "Provider",
    "carrier": "Carrier",
    "country": "Country",
    "purpose": "Purpose",
    "template": "Template",
    "attempt": "Attempt",
    "error_code": "Error code",
    "delivery_seconds": "Delivered in",
    "filled": "Entered",
    "request_id": "Request id",
}


def page() -> None:
    """Draw it."""
    st.title("Messages", anchor=False)
    with controls.opened(_first) as opened:
        _search()
        if opened.view.request:
            shell.live(opened, _story)
            return
        if not st.session_state.get(_HASH):
            controls.show_bar(opened.view)
        shell.live(opened, _list)


def _first(view: View, window: Window) -> list[About[Any]]:
    return [] if view.request or st.session_state.get(_HASH) else [_listed(view, window)]


def _listed(view: View, window: Window) -> About[pd.DataFrame]:
    return cached.messages.about(window, view.filter_key(), troubled=view.show == "troubled")


def _search() -> None:
    """A field for an id or a number. A number is hashed here and forgotten: it is in no link and in no log."""
    with st.form("messages-search", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Request id or number",
            key=_ASKED,
            placeholder="an id as the API gave it, or a number in E.164",
            help="A number is turned into its keyed hash at once and not kept.",
            width=420,
        )
        st.form_submit_button("Find", on_click=_asked)
    problem = st.session_state.pop(_PROBLEM, "")
    if problem:
        st.error(problem)


def _asked() -> None:
    text = str(st.session_state[_ASKED]).strip()
    st.session_state[_ASKED] = ""
    st.session_state[_HASH] = ""
    if not text:
        controls.tell_of(request="")
        return
    try:
        controls.tell_of(request=str(UUID(text)))
        return
    except ValueError:
        pass  # no id: then it may be a number
    settings = cached.settings().numbers
    key = settings.hash_key.get_secret_value()
    if not key:
        st.session_state[_PROBLEM] = (
            "Numbers can be looked up where `numbers.hash_key` is set as it is for the service; it is not set here."
        )
        return
    try:
        number = read(text, default_country=settings.default_country)
    except InvalidNumber as error:
        st.session_state[_PROBLEM] = f"That is neither a request id nor a number: {error}."
        return
    st.session_state[_HASH] = NumberHash(key)(number.e164)
    controls.tell_of(request="")


def _list(opened: Opened, window: Window) -> None:
    view = opened.view
    phone_hash = st.session_state.get(_HASH, "")
    if phone_hash:
        st.button("All messages", icon=":material/arrow_back:", on_click=_forget)
        found = cached.messages_of_number(phone_hash)
        st.caption(f"Attempts of the last {OF_NUMBER_DAYS} days to the number you asked for.")
    else:
        found = _listed(view, window)()
    if found.empty:
        newest = cached.newest()
        if newest is None:
            shell.nothing_at_all()
        elif phone_hash:
            st.info(f"**Nothing was sent to this number** in the last {OF_NUMBER_DAYS} days.")
        elif view.show == "troubled":
            st.info("**Every message of this range arrived, or there was none.** Choose All above to see which.")
        else:
            shell.nothing_here(newest, opened)
        return
    if phone_hash:
        month = fixed(utc_now() - timedelta(days=OF_NUMBER_DAYS), utc_now())
        _table(found, view.zone, downloads.name("messages-of-number", month), most=OF_NUMBER_MAX)
    else:
        _table(found, view.zone, downloads.name("messages", window), most=LISTED_MAX)


def _table(found: pd.DataFrame, zone: str, file_name: str, *, most: int) -> None:
    st.session_state["messages-ids"] = found["request_id"].tolist()
    shown = found.assign(submitted_at=found["submitted_at"].dt.tz_convert(zone).dt.strftime("%Y-%m-%d %H:%M:%S"))
    shown = shown.assign(filled=["yes" if filled else "no" for filled in found["filled"]])
    st.dataframe(
        shown[list(_COLUMNS)].replace("", None),
        key=_TABLE,
        hide_index=True,
        height=min(900, 80 + 36 * len(shown)),
        on_select=_chosen,
        selection_mode="single-row",
        placeholder=words.UNDEFINED,
        column_config={
            **{name: st.column_config.Column(title) for name, title in _COLUMNS.items()},
            # The zone is told below, and titles are short: together they took the place of the request id at 1400 px.
            "submitted_at": st.column_config.TextColumn("Submitted", help=f"Times are those of {zone}."),
            # Columns are as wide as the first rows need: the names further down are longer.
            "carrier": st.column_config.TextColumn("Carrier", width=120),
            "error_code": st.column_config.TextColumn("Error code", width=92),
            "delivery_seconds": st.column_config.NumberColumn("Delivered in", format="%.1f s"),
            "filled": st.column_config.TextColumn("Entered", help="Whether the attempt's own code was entered."),
            "request_id": st.column_config.TextColumn("Request id", width=252),
        },
    )
    told = f" The newest {words.count(most)} are listed." if len(found) >= most else ""
    st.caption(f"Times are those of {zone}. Choose a row to read its story.{told}")
    downloads.csv("Download this list (CSV)", found, file_name, key="messages")


def _chosen() -> None:
    state: Mapping[str, Any] = st.session_state[_TABLE]
    rows = state["selection"]["rows"]
    ids: list[str] = st.session_state.get("messages-ids", [])
    if rows and rows[0] < len(ids):
        controls.tell_of(request=ids[rows[0]])


def _forget() -> None:
    st.session_state[_HASH] = ""
    controls.tell_of(request="")  # draws the whole page: what to list is chosen outside of the list


def _story(opened: Opened, _window: Window) -> None:
    view = opened.view
    st.button("Back to the list", icon=":material/arrow_back:", on_click=controls.tell_of, kwargs={"request": ""})
    try:
        request_id = UUID(view.request)
        begun = time_of(request_id)
    except (ValueError, OverflowError):
        st.warning("**The link's request id is none.** It has 32 hexadecimal digits in five groups.")
        return
    rows = cached.story(request_id)
    st.subheader(f"Request {request_id}", anchor=False)
    if rows.empty:
        st.warning(
            f"**Nothing is known of this request.** By its id it would be from "
            f"{words.moment(begun, view.zone, now=utc_now())}; events reach the warehouse within seconds and stay for "
            f"{cached.settings().warehouse.retention_days} days."
        )
        return
    local = rows["at"].dt.tz_convert(view.zone)
    after = (rows["at"] - rows.loc[rows["kind"] != "inbound", "at"].min()).dt.total_seconds()
    texts.table(
        "What happened to this request",
        [
            texts.Column(f"When ({view.zone})", local.dt.strftime("%Y-%m-%d %H:%M:%S.%f").str[:-3].tolist()),
            texts.Column(
                "After",
                [f"{span:.1f} s" if span >= 0 else "before" for span in after],
                "number",
                "Since the first attempt.",
            ),
            texts.Column("What happened", [stories.step(row) for row in rows.to_dict("records")], "long"),
        ],
    )
