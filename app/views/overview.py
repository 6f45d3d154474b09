"""The Overview: how is every channel right now? Ten tiles, each against the same span last week."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from app import cached, controls, shell, tiles
from app.banners import banner
from app.controls import Opened
from app.filters import View, write
from app.timeframe import Window


def page() -> None:
    """Draw it."""
    st.title("Overview", anchor=False)
    shell.live(controls.open_view(), _draw)


def _draw(opened: Opened, window: Window) -> None:
    view = opened.view
    newest = cached.newest()
    if newest is None:
        shell.nothing_at_all()
        return
    banner(cached.incidents(window, view.filter_key()).open, view)
    answers = cached.overview(window, view.zone, view.filter_key())
    shell.freshness_line(newest, window, view.zone)
    if answers.empty:
        shell.nothing_here(newest, opened)
        return
    # The tile adds its own metric to the link, so the view's is left out of it.
    link = "carriers?" + urlencode(write(replace(view, metric=View.metric)), doseq=True)
    st.html(
        tiles.board(
            answers,
            shade=shell.shade(),
            span_seconds=window.span.total_seconds(),
            on_time_seconds=cached.settings().metrics.on_time_seconds,
            link=link,
        )
    )
