"""What every page has around it: a part that refreshes itself, and words for each state in which there is nothing to draw."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from typing import Protocol, TypeVar

import streamlit as st

from app import cached, controls, words
from app.controls import Opened
from app.data.basics import NOT_THERE
from app.palette import BAD, Shade
from app.timeframe import Window, problem
from core.clock import utc_now
from core.errors import WarehouseRefused, WarehouseUnavailable

_STALE_SECONDS = 300
"""Without a new attempt for this long the page says so in colour: the traffic or the way of the events has stopped."""

_NOTHING = "No attempt was submitted"


def shade() -> Shade:
    """The theme that the browser shows."""
    return "dark" if st.context.theme.type == "dark" else "light"


def live(
    opened: Opened, draw: Callable[[Opened, Window], None], *, apart: Callable[[Opened], None] | None = None
) -> None:
    """Draw the part of the page that comes from the warehouse, and again every few seconds when the view is live. `apart` draws
    what of it comes from elsewhere, while the warehouse does not answer."""
    if opened.notices:
        st.warning("  \n".join(controls.plain(notice) for notice in opened.notices))
    every = cached.REFRESH_SECONDS if opened.view.live else None
    st.fragment(_guarded, run_every=every)(opened, draw, apart)


def _guarded(opened: Opened, draw: Callable[[Opened, Window], None], apart: Callable[[Opened], None] | None) -> None:
    if controls.link_is_newer():
        st.rerun()  # a choice within this part runs this part alone, with the view as it was
    window = opened.view.window(utc_now())
    wrong = problem(window)
    if wrong:
        st.warning(f"{wrong} Choose another range above.")
        return
    try:
        draw(opened, window)
    except WarehouseUnavailable as error:
        _down(error, is_live=opened.view.live)
        if apart:
            apart(opened)
        return
    except WarehouseRefused as error:
        if error.code in NOT_THERE:
            nothing_at_all()
        else:
            st.error(controls.plain(f"The warehouse refused the question. {error}. {error.hint}"))
        return
    if controls.choices_are_due():
        st.rerun()  # the warehouse is back: the filters can be filled, too


def _down(error: WarehouseUnavailable, *, is_live: bool) -> None:
    place = f"{cached.settings().warehouse.host}:{cached.settings().warehouse.port}"
    at = utc_now().astimezone(UTC).strftime("%H:%M:%S UTC")
    st.error(
        f"**The warehouse does not answer.** It was looked for at `{place}` (last tried {at}). "
        + (f"This page tries again every {cached.REFRESH_SECONDS} s and goes on by itself." if is_live else "")
    )
    st.caption(controls.plain(f"{error}. To mend it: {error.hint}."))
    if not is_live:
        st.button("Try again")


class Answers(Protocol):
    """What a page is drawn from; `empty` when nothing was submitted in the range."""

    @property
    def empty(self) -> bool: ...


Asked = TypeVar("Asked", bound=Answers)


def answered(opened: Opened, window: Window, ask: Callable[[], Asked], *, nothing: str = _NOTHING) -> Asked | None:
    """The answers, and above them how fresh they are; None when there is nothing to draw, and the page says why: `nothing` is
    what it calls an answer that is empty."""
    with cached.newest.early():
        answers = ask()
        newest = cached.newest()
    if newest is None:
        cached.forget_all()
        nothing_at_all()
        return None
    _freshness_line(newest, window, opened.view.zone)
    if answers.empty:
        nothing_here(newest, opened, nothing)
        return None
    return answers


def _freshness_line(newest: datetime, window: Window, zone: str) -> None:
    """Until when there is data, how old that is, and which range is shown."""
    now = utc_now()
    age = (now - newest).total_seconds()
    kind = "hg-stale" if age > _STALE_SECONDS else ""
    style = f' style="--bad:{BAD[shade()]}"' if kind else ""
    st.html(
        f'<div class="hg-line hg-fresh"{style}><span>Data until <b>{words.moment(newest, zone, now=now)}</b>, '
        f'<span class="{kind}">{words.ago(now - newest)}</span></span>'
        f'<span class="hg-note">{escape(words.window(window.start, window.end, zone))} '
        f"({escape(zone)}), at most {window.step_seconds} s old</span></div>"
    )


def nothing_at_all() -> None:
    """No attempt has ever been counted."""
    st.info(
        "**There is no data yet.** Attempts appear here as soon as the service sends and `heliograph ingester` runs. "
        "To look around with simulated traffic, run `heliograph demo`; to load files, `heliograph ingest FILE`."
    )


def nothing_here(newest: datetime, opened: Opened, nothing: str = _NOTHING) -> None:
    """Data, but not in this range or not with these filters."""
    what = " that matches the filters" if opened.view.filter_key() else ""
    until = words.moment(newest, opened.view.zone, now=utc_now())
    st.info(
        f"**{nothing} in this range{what}.** The newest attempt of all is from {until}. Choose another range above."
    )
