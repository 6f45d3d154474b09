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
from core import retries
from core.clock import utc_now
from core.errors import HeliographError
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
        retries.ask(warehouse, reason=reason, by=person.signature, now=utc_now())


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
