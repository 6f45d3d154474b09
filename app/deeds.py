"""What operators do from the dashboard. The only place in it that writes, and only the words that they say.

`attempt` does it in a callback: what was typed stays until it succeeded, and a refusal stands beside it in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import streamlit as st

from app import cached, controls, gate
from app.access import Person
from core import wishes
from core.archive import once_more, report_of
from core.clock import utc_now
from core.errors import BadInput, HeliographError
from core.warehouse import Warehouse, connect
from metrics.detection.words import Word, say


def tell(word: Word) -> Word:
    """Say a word in the name of whoever is signed in.

    Raises `OperatorsOnly`, `BadInput`, `WarehouseUnavailable`, `WarehouseRefused`; then nothing was said.
    """
    with _pen() as (warehouse, person):
        return say(warehouse, replace(word, said_by=person.signature), now=utc_now())


def retry(reason: str) -> None:
    """Ask for the dead letters of a reason, or all, to be tried again. Raises as `tell`."""
    with _pen() as (warehouse, person):
        wishes.ask(warehouse, wishes.RETRY, about=reason, by=person.signature, now=utc_now())


def send_again(report_id: str) -> None:
    """Ask for a kept report to be sent again to the recipients of the settings, unless somebody waits for that already.

    Raises as `tell`.
    """
    with _pen() as (warehouse, person):
        now = utc_now()
        for wish in wishes.asked(warehouse, wishes.RESEND, since=now - cached.DAY):
            if report_of(wish.about) == report_id and not wish.answer:
                raise BadInput(f"{wish.asked_by} has asked for it already", hint="it is sent once for both of you")
        about = once_more(report_id, cached.settings().mail.recipients)
        wishes.ask(warehouse, wishes.RESEND, about=about, by=person.signature, now=now)


@contextmanager
def _pen() -> Iterator[tuple[Warehouse, Person]]:
    person = gate.operator()
    warehouse = connect(cached.settings().warehouse)
    try:
        yield warehouse, person
    finally:
        warehouse.close()
    cached.forget_words()


def attempt(name: str, do: Callable[..., str], *args: object) -> None:
    """In a callback: do it and say so; or keep the reason why not, for `refusal`, until it is tried again."""
    st.session_state.pop(f"{name}-refused", None)
    try:
        st.toast(controls.plain(do(*args)), icon=":material/check_circle:", duration="long")
    except HeliographError as error:
        hint = f" ({error.hint})" if error.hint else ""
        st.session_state[f"{name}-refused"] = f"Nothing was changed: {error}{hint}."


def refusal(name: str) -> None:
    """Why the last attempt of this name did nothing, if it did nothing."""
    if told := st.session_state.get(f"{name}-refused"):
        st.error(controls.plain(told))
