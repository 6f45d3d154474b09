"""The door of the dashboard: signing in, being turned away, signing out; and who looks, for every page to ask."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import access, cached, controls
from app.access import OperatorsOnly, Person, Refused

_HERE = Path(__file__).parent


def is_open() -> bool:
    """Whether the pages may be shown; else what stands in their place has been drawn."""
    found = _found()
    if isinstance(found, Person):
        if found.address:
            st.html(_HERE / "link_followed.html", unsafe_allow_javascript=True)
            _badge(found)
        return True
    st.title("Heliograph", anchor=False)
    if found is None:
        _sign_in()
    else:
        _turn_away(found)
    return False


def operator() -> Person:
    """Who does something that only operators may. Raises `OperatorsOnly`."""
    found = _found()
    if not isinstance(found, Person) or not found.is_operator:
        raise OperatorsOnly("only operators may do this", hint="they stand in [dashboard] operators of the settings")
    return found


def is_operator() -> bool:
    """Whether to draw what operators may do; doing it asks again."""
    found = _found()
    return isinstance(found, Person) and found.is_operator


def _found() -> Person | Refused | None:
    # Streamlit tells the address of a connection, and none when it comes from the machine itself.
    is_local = not isinstance(st.context.ip_address, str)
    host = st.context.headers.get("Host")
    if host is not None and not access.is_asked_for_here(host):
        is_local = False
    return access.admit(cached.settings().dashboard, st.user.to_dict(), is_local=is_local)


def _sign_in() -> None:
    st.markdown("How every channel of verification codes works, for those who run it.")
    st.html(_HERE / "link_kept.html", unsafe_allow_javascript=True)
    names = access.providers(st.secrets["auth"])
    for name in names or [""]:
        st.button(
            f"Sign in with {name}" if name else "Sign in",
            key=f"sign-in-{name}",
            type="primary",
            icon=":material/login:",
            on_click=st.login,
            args=(name,) if name else (),
        )


def _turn_away(found: Refused) -> None:
    st.warning(f"**You cannot see this dashboard.** {controls.plain(found.reason)}.")
    if not cached.settings().dashboard.sign_in_file:
        st.caption("To open it to others, set `sign_in_file` under `[dashboard]` in the settings: docs/dashboard.md.")
        return
    st.caption("Whoever runs it can put you on the list: `viewers` or `operators` under `[dashboard]` in the settings.")
    st.button("Sign out", icon=":material/logout:", on_click=st.logout)


def _badge(person: Person) -> None:
    """Who is signed in, in the corner of every page."""
    with (
        st.container(key="person"),
        st.popover(controls.plain(person.name), icon=":material/account_circle:", type="tertiary", width="content"),
    ):
        role = "Operator: may silence, comment, retry and send again." if person.is_operator else "Viewer: may look."
        st.markdown(f"**{controls.plain(person.name)}**  \n{controls.plain(person.address)}")
        st.caption(role)
        st.button("Sign out", icon=":material/logout:", on_click=st.logout)
