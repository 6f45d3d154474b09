"""A preview of the report of any day, week or month that is over: what is chosen and stands in the link, and words for each state
in which there is none."""

from __future__ import annotations

from datetime import date, datetime
from typing import cast

import streamlit as st

from app import cached, controls, shell, words
from app.data.basics import NOT_THERE
from app.data.previews import Preview
from core.clock import utc_now
from core.errors import Unavailable, WarehouseRefused, WarehouseUnavailable
from reports.spans import Day, Kind, Span, span_of

_LINK, _LINK_KIND = "preview", "of"
_SHOWN, _DAY, _KIND = "reports-shown", "preview-day", "preview-kind"
_KINDS: dict[Kind, str] = {"daily": "Day", "weekly": "Week", "monthly": "Month"}
_FIRST = date(2000, 1, 1)


def is_chosen() -> bool:
    """Draw the choice between sent reports and previews; whether the link asks for a preview."""
    is_preview = _LINK in st.query_params
    st.session_state[_SHOWN] = "preview" if is_preview else "sent"
    st.segmented_control(
        "Show",
        ["sent", "preview"],
        format_func={"sent": "Sent", "preview": "Preview"}.__getitem__,
        key=_SHOWN,
        required=True,
        on_change=_turn,
        help="A preview is made as the mail of any day, week or month would be by now, and sent to nobody.",
    )
    return is_preview


def _turn() -> None:
    for name in ("report", _LINK, _LINK_KIND):
        st.query_params.pop(name, None)
    if st.session_state[_SHOWN] == "preview":
        st.query_params[_LINK] = _yesterday().date.isoformat()


def draw(zone: str) -> Preview | None:
    """Draw what stands above it; None when there is no preview, and the page says why. `zone` is the reader's."""
    kind, day, notices = _linked()
    st.query_params.update({_LINK: day.date.isoformat(), _LINK_KIND: kind, "tz": zone})
    _choice(kind, day)
    for notice in notices:
        st.warning(notice)
    now = utc_now()
    span = None if day.start > now else span_of(kind, day)
    if span is None or span.end > now:
        _too_early(day, span, now)
        return None
    preview = _asked(span)
    if preview is not None:
        _tell(preview, span, zone, now)
    return preview


def _linked() -> tuple[Kind, Day, list[str]]:
    """The kind and the day of the link, and what of it cannot be shown."""
    notices = []
    kind, text = st.query_params.get(_LINK_KIND, "daily"), st.query_params[_LINK]
    if kind not in _KINDS:
        notices.append("The link names no kind of report that there is; that of the day is shown.")
        kind = "daily"
    day = _yesterday()
    try:
        asked = date.fromisoformat(text)
    except ValueError:
        asked = date.min
    if asked < _FIRST:
        notices.append("The link names no day of which there could be a report; yesterday is shown.")
    else:
        day = Day(asked, day.zone)
    return cast("Kind", kind), day, notices


def _yesterday() -> Day:
    return Day.of(utc_now(), cached.settings().reports.time_zone).plus(-1)


def _choice(kind: Kind, day: Day) -> None:
    st.session_state.update({_KIND: kind, _DAY: day.date})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Report of a", list(_KINDS), format_func=_KINDS.__getitem__, key=_KIND, required=True, on_change=_choose
        )
        st.date_input(
            "Day",
            min_value=_FIRST,
            max_value=max(day.date, _yesterday().date),
            key=_DAY,
            on_change=_choose,
            width=180,
            help=f"A day of {day.zone} (`[reports] time_zone`), or any day of the week or month.",
        )


def _choose() -> None:
    day: date | None = st.session_state[_DAY]
    if day is not None:
        st.query_params[_LINK] = day.isoformat()
    st.query_params[_LINK_KIND] = st.session_state[_KIND]


def _too_early(day: Day, span: Span | None, now: datetime) -> None:
    if span is None:
        st.info(f"**{day.title} is still to come** in {day.zone}. Choose a day that is over.")
    else:
        end = words.moment(span.end, span.zone, now=now)
        st.info(
            f"**{span.title} is not over** in {span.zone}. Its report can be made from {end} on; until then the "
            "Overview shows how it goes."
        )


def _asked(span: Span) -> Preview | None:
    try:
        with st.spinner(f"Making the report of {span.title} …"):
            return cached.preview(span)
    except WarehouseRefused as error:
        if error.code in NOT_THERE:
            shell.nothing_at_all()
        else:
            st.error(controls.plain(f"The warehouse refused the question. {error}. {error.hint}"))
    except Unavailable as error:
        what = "The warehouse does not answer" if isinstance(error, WarehouseUnavailable) else "No preview can be made"
        st.error(f"**{what}**, and the preview is made from it. What was sent can be seen as before, under Sent.")
        st.caption(controls.plain(f"{error}. To mend it: {error.hint}."))
        st.button("Try again")
    return None


def _tell(preview: Preview, span: Span, zone: str, now: datetime) -> None:
    st.caption(
        f"{controls.plain(preview.subject)} – made at {words.moment(preview.made_at, zone, now=now)} from what is known by then, and "
        f"kept for {cached.PREVIEW_SECONDS // 60} minutes. It is sent to nobody, and does not count as sent."
    )
    if preview.is_empty:
        st.info(
            f"**No message was submitted during this {span.noun}**, as far as the warehouse knows; the report would say so."
        )
    elif preview.settling:
        figures = "One of the ten figures" if preview.settling == 1 else f"{preview.settling} of the ten figures"
        st.info(
            f"**Not settled yet.** {figures} may still move while receipts and codes come in: a report made later can say otherwise."
        )
