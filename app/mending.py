"""Dead letters tried again: what operators ask for on the Operations page, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import cached, controls, deeds, gate, words
from core.clock import utc_now
from core.wishes import ALL, Wish

_FORM = "retry"
_SHOWN = 5


def letters(reasons: Sequence[str], zone: str) -> None:
    """The form, for operators, and the last wishes with their answers, for everybody."""
    wishes = cached.retries()
    if gate.is_operator() and reasons:
        _form(list(dict.fromkeys(reasons)), waits=any(not wish.answer for wish in wishes))
    now = utc_now()
    for wish in reversed(wishes[-_SHOWN:]):
        st.caption(controls.plain(_line(wish, words.moment(wish.asked_at, zone, now=now))))


def _form(reasons: Sequence[str], *, waits: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Letters to try again",
            [ALL, *reasons],
            format_func=lambda reason: reason or "all of them, of whatever range",
            key="retry-reason",
            width=420,
            help="After its cause was mended, an ingester upgraded for example. What was masked cannot be tried, and a file "
            "has to be loaded again.",
        )
        st.button(
            "Try again",
            disabled=waits,
            help="An earlier wish is not fulfilled yet." if waits else None,
            on_click=deeds.attempt,
            args=(_FORM, _ask),
        )
    deeds.refusal(_FORM)


def _ask() -> str:
    deeds.retry(st.session_state["retry-reason"])
    return "An ingester takes it up within seconds."


def _line(wish: Wish, at: str) -> str:
    what = f"“{wish.about}”" if wish.about else "all"
    done = wish.answer or "waits for an ingester; is `heliograph ingester` running?"
    return f"{at}: {wish.asked_by} asked to try {what} again: {done}"
