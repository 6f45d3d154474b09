"""What operators said and can say: silences and maintenance windows with who and why, deployments, and the forms to add to them.

What was typed stays until it was said; a refusal stands in the form, in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import cast
from zoneinfo import ZoneInfo

import streamlit as st

from app import cached, controls, deeds, gate, words
from app.filters import View
from app.timeframe import CUSTOM, Window
from core.clock import utc_now
from core.errors import BadInput
from core.events import DIMENSIONS
from metrics.detection import deployments
from metrics.detection.deployments import AHEAD_MAX, deployment
from metrics.detection.incidents import Incident, Scope, where
from metrics.detection.words import Word, WordKind
from metrics.values import Values

DURATIONS = {
    "30 minutes": timedelta(minutes=30),
    "1 hour": timedelta(hours=1),
    "4 hours": timedelta(hours=4),
    "12 hours": timedelta(hours=12),
    "1 day": timedelta(days=1),
    "3 days": timedelta(days=3),
}
KINDS = {"silence": "Silence", "maintenance": "Maintenance window"}
SCOPE_BOX, DEPLOYMENT_BOX = "word-box", "deployed-box"
"""Under these names a session knows whether the forms are open."""

_THIS, _SCOPE = "this incident", "everything in its scope"
_WORD_ZONE = "spoken-zone"
_TEXT_MAX = 2_000
_ROWS_MAX = 50
_LISTED_MOST, _LETTERS = 5, 60


def standing(view: View) -> None:
    """The list of what holds now or will, and the form for more of it."""
    st.subheader("Silences and maintenance", anchor=False)
    found = cached.standing()
    if not found:
        st.caption("None holds or is to come: every incident is told.")
    _rows(found, view.zone)
    if gate.is_operator():
        label = "Silence a scope or announce maintenance"
        _foldable(label, partial(_scope_form, view), icon=":material/notifications_off:", key=SCOPE_BOX)


def deployed(view: View, window: Window) -> None:
    """The deployments of the range, the newest first, and the form to note one."""
    st.subheader("Deployments", anchor=False)
    found = cached.deployments(until_noted(view, window), view.filter_key())
    if not found:
        st.caption("None was noted in this range. Pipelines note them with `heliograph deployment`.")
    _rows(found[::-1], view.zone, name="withdraw-deployment")
    if gate.is_operator():
        _foldable(
            "Note a deployment", partial(_deployment_form, view), icon=":material/rocket_launch:", key=DEPLOYMENT_BOX
        )


def until_noted(view: View, window: Window) -> Window:
    """The range, and where it moves with time all that may be noted by now: its end lags, and pipelines announce some."""
    return window if view.range == CUSTOM else replace(window, end=window.end + AHEAD_MAX)


def of_incident(one: Incident, zone: str) -> None:
    """What keeps an incident quiet, and the forms to silence it and to comment on it."""
    st.subheader("Silence and comment", anchor=False)
    now = utc_now()
    quiet = [word for word in cached.standing() if word.quiets(incident_id=one.id, scope=one.scope, at=now)]
    if not quiet:
        st.caption("No silence covers it: alerts are sent.")
    _rows(quiet, zone)
    if gate.is_operator():
        _incident_form(one)
        _comment_form(one)


def line(word: Word, zone: str) -> str:
    """A word of an operator for a timeline, as text."""
    ends = words.moment(word.end, zone, now=utc_now()) if word.end else "further notice"
    why = f": {word.text}" if word.text else ""
    if word.kind in KINDS:
        return f"{word.said_by} silenced it until {ends}{why}"
    if word.kind == "withdrawn":
        return f"{word.said_by} ended a silence{why}"
    return f"{word.said_by}{why}"


def listed(found: Sequence[Word], zone: str) -> str:
    """Deployments in one text, the newest first; the rest counted."""
    now = utc_now()
    newest = [
        _deployment(replace(word, text=words.cut(word.text, _LETTERS)), zone, now)
        for word in found[::-1][:_LISTED_MOST]
    ]
    rest = len(found) - len(newest)
    return f"Deployed: {'; '.join(newest)}{f'; and {rest} before' if rest else ''}."


def beside(word: Word, one: Incident) -> str:
    """A deployment and how long it was before or after an incident began."""
    return deployments.beside(word, one, lasting=words.lasting)


def _deployment(word: Word, zone: str, now: datetime) -> str:
    at = words.moment(word.start, zone, now=now) if word.start else words.UNDEFINED
    return f"{at} {word.text}, {where(word.scope or {})}"


def _rows(found: Sequence[Word], zone: str, *, name: str = "withdraw") -> None:
    now = utc_now()
    deeds.refusal(name)
    for word in found[:_ROWS_MAX]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_row(word, zone, now), width="stretch")
            if gate.is_operator():
                st.button(
                    "Withdraw",
                    key=f"withdraw-{word.id}",
                    help="It no longer holds; who said it and that it was withdrawn stay on record.",
                    on_click=_withdraw,
                    args=(name, word),
                )
    if len(found) > _ROWS_MAX:
        st.caption(f"and {len(found) - _ROWS_MAX} more")


def _row(word: Word, zone: str, now: datetime) -> str:
    if word.kind == "deployment":
        return controls.plain(f"{_deployment(word, zone, now)}; noted by {word.said_by}")
    what = "of one incident" if word.incident_id else where(word.scope or {})
    starts = f"from {words.moment(word.start, zone, now=now)} " if word.start and word.start > now else ""
    until = words.moment(word.end, zone, now=now) if word.end else words.UNDEFINED
    told = f"{what} {starts}until {until}; {word.said_by}: {word.text or 'no reason told'}"
    return f"**{KINDS.get(word.kind, word.kind)}** {controls.plain(told)}"


def _foldable(label: str, form: Callable[[], None], *, icon: str, key: str) -> None:
    """A form behind its label, drawn from when it is first opened: the page waits for none of its dozen widgets. What was
    typed stays when it is closed again."""
    box = st.expander(label, icon=icon, key=key, on_change="rerun")
    was_opened = f"{key}-was-opened"
    if box.open:
        st.session_state[was_opened] = True
    if st.session_state.get(was_opened):
        with box:
            form()


def _scope_form(view: View) -> None:
    """Scope and times are those of the page until others are chosen."""
    now = utc_now().astimezone(ZoneInfo(view.zone)).replace(tzinfo=None, second=0, microsecond=0)
    if st.session_state.get(_WORD_ZONE, view.zone) != view.zone:
        _clear("word-start", "word-end")  # they were times of another clock
    st.session_state[_WORD_ZONE] = view.zone
    st.session_state.setdefault("word-start", now)
    st.session_state.setdefault("word-end", now + timedelta(hours=1))
    with st.form("word-scope", border=False):
        st.segmented_control(
            "Kind",
            list(KINDS),
            format_func=KINDS.__getitem__,
            key="word-kind",
            default="silence",
            required=True,
            help="A silence keeps alerts back; in a maintenance window incidents are expected.",
        )
        left, right = st.columns(2)
        left.datetime_input(f"From ({view.zone})", key="word-start", step=timedelta(minutes=1))
        right.datetime_input(f"To ({view.zone})", key="word-end", step=timedelta(minutes=1))
        _scope_choices(view, "word")
        st.checkbox("Everything, whatever the channel", key="word-everything")
        st.text_input("Why", key="word-why", max_chars=_TEXT_MAX, placeholder="Others read it beside the silence.")
        deeds.refusal("scope")
        st.form_submit_button("Save", type="primary", on_click=deeds.attempt, args=("scope", _scoped, view.zone))


def _deployment_form(view: View) -> None:
    """It was now, and concerned everything that the page shows, until something else is chosen."""
    with st.form("deployed", border=False):
        left, right = st.columns(2)
        left.text_input("What", key="deployed-what", max_chars=_TEXT_MAX, placeholder="checkout 4.2")
        right.datetime_input(
            f"At ({view.zone}); now when empty", key="deployed-at", value=None, step=timedelta(minutes=1)
        )
        _scope_choices(view, "deployed")
        deeds.refusal("deployed")
        st.form_submit_button("Note", type="primary", on_click=deeds.attempt, args=("deployed", _noted, view.zone))


def _scope_choices(view: View, form: str) -> None:
    found = controls.choices(view) or {}
    columns = st.columns(2)
    for place, name in enumerate(DIMENSIONS):
        key = f"{form}-{name}"
        st.session_state.setdefault(key, list(view.filters.get(name, ())))
        with columns[place % 2]:
            controls.choose(name, found.get(name, Values()), key=key, typed=True)


def _incident_form(one: Incident) -> None:
    name = f"quiet-{one.id}"
    with st.form(name):
        left, right = st.columns(2)
        left.selectbox(
            "Silence", [_THIS, _SCOPE], key=f"{name}-what", help=controls.plain(f"Its scope: {where(one.scope)}.")
        )
        right.selectbox("For", list(DURATIONS), index=1, key=f"{name}-for")
        st.text_input("Why", key=f"{name}-why", max_chars=_TEXT_MAX, placeholder="Others read it beside the silence.")
        deeds.refusal(name)
        st.form_submit_button("Silence", on_click=deeds.attempt, args=(name, _quieted, one, name))


def _comment_form(one: Incident) -> None:
    name = f"comment-{one.id}"
    with st.form(name):
        st.text_area("Comment", key=f"{name}-text", max_chars=_TEXT_MAX, placeholder="It stands in the timeline.")
        deeds.refusal(name)
        st.form_submit_button("Comment", on_click=deeds.attempt, args=(name, _commented, one, name))


def _scoped(zone: str) -> str:
    """Say what the form holds. Raises `BadInput`."""
    state = st.session_state
    scope = _chosen_scope("word")
    if not scope and not state["word-everything"]:
        raise BadInput("choose what it covers, or tick that it covers everything")
    if scope and state["word-everything"]:
        raise BadInput("it covers either what was chosen or everything; take one of them back")
    start, end = (_moment(state[name], zone) for name in ("word-start", "word-end"))
    if start is None or end is None:
        raise BadInput("say from when and until when")
    if end <= utc_now():
        raise BadInput("its end is over already")
    kind = cast("WordKind", state["word-kind"])
    deeds.tell(Word(kind, "", _why("word-why"), scope=scope, start=start, end=end))
    _clear("word-start", "word-end", "word-why", "word-everything", *(f"word-{name}" for name in DIMENSIONS))
    return f"{KINDS[kind]} {where(scope)} is set."


def _noted(zone: str) -> str:
    """Note what the form holds. Raises `BadInput`."""
    state, now = st.session_state, utc_now()
    at = _moment(state["deployed-at"], zone) or now
    said = deeds.tell(deployment(state["deployed-what"], at=at, scope=_chosen_scope("deployed"), said_by="", now=now))
    _clear("deployed-what", "deployed-at", *(f"deployed-{name}" for name in DIMENSIONS))
    return f"{said.text} is noted."


def _chosen_scope(form: str) -> Scope:
    state = st.session_state
    return {name: tuple(state[f"{form}-{name}"]) for name in DIMENSIONS if state.get(f"{form}-{name}")}


def _quieted(one: Incident, name: str) -> str:
    """Say what the form holds. Raises `BadInput`."""
    state, now = st.session_state, utc_now()
    is_one, span = state[f"{name}-what"] == _THIS, state[f"{name}-for"]
    scope, incident_id = ({}, one.id) if is_one else (one.scope, "")
    text = _why(f"{name}-why")
    deeds.tell(Word("silence", "", text, scope=scope, start=now, end=now + DURATIONS[span], incident_id=incident_id))
    _clear(f"{name}-why")
    return f"Silenced for {span}."


def _commented(one: Incident, name: str) -> str:
    """Say what the form holds. Raises `BadInput`."""
    text = st.session_state[f"{name}-text"].strip()
    if not text:
        raise BadInput("write the comment first")
    deeds.tell(Word("comment", "", text, incident_id=one.id))
    _clear(f"{name}-text")
    return "The comment stands in the timeline."


def _withdraw(name: str, word: Word) -> None:
    deeds.attempt(name, _withdrawn, word)


def _withdrawn(word: Word) -> str:
    deeds.tell(Word("withdrawn", "", incident_id=word.incident_id, refers_to=word.id))
    return "It was withdrawn."


def _why(key: str) -> str:
    text: str = st.session_state[key].strip()
    if not text:
        raise BadInput("say why: others will wonder")
    return text


def _moment(local: datetime | None, zone: str) -> datetime | None:
    return local.replace(tzinfo=ZoneInfo(zone)) if local else None


def _clear(*keys: str) -> None:
    for key in keys:
        st.session_state.pop(key, None)
