"""A kept report sent again: the button for operators on the Reports page, and for everybody what became of earlier wishes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from app import cached, controls, deeds, gate, words
from app.data.basics import NOT_THERE
from core.archive import SentReport, report_of
from core.clock import utc_now
from core.errors import WarehouseRefused, WarehouseUnavailable
from core.wishes import Wish

LOOK_SECONDS = 5
"""How often the page looks what became of a wish."""

_SHOWN = 5
_TAKEN_UP_WITHIN = timedelta(minutes=1)
_ENDED_WITHIN = timedelta(minutes=11)
"""A mail server may take ten minutes to say that it has taken a message."""
_NEWS = timedelta(hours=1)


def draw(report: SentReport, zone: str) -> None:
    """Draw it, and again every few seconds: what becomes of a wish is seen without loading the page anew."""
    st.fragment(_draw, run_every=LOOK_SECONDS)(report, zone)


def _draw(report: SentReport, zone: str) -> None:
    try:
        wishes = [wish for wish in cached.resends() if report_of(wish.about) == report.id]
    except (WarehouseUnavailable, WarehouseRefused) as error:
        if not (isinstance(error, WarehouseRefused) and error.code in NOT_THERE):
            st.warning(
                "The warehouse does not answer, so it is not known whether somebody asked for this report again, and "
                f"nobody can ask now. {controls.plain(str(error))}."
            )
            return
        wishes = []
    now = utc_now()
    _ask(report, waits=any(_waits(wish, now) for wish in wishes), wishes=len(wishes))
    for place, wish in enumerate(reversed(wishes[-_SHOWN:])):
        _tell(wish, zone, now, is_latest=place == 0)


def _waits(wish: Wish, now: datetime) -> bool:
    return not wish.answer and now - wish.asked_at < cached.DAY


def _ask(report: SentReport, *, waits: bool, wishes: int) -> None:
    if not gate.is_operator():
        st.caption("Only operators can have it sent again: `[dashboard] operators` in the settings names them.")
        return
    recipients = cached.settings().mail.recipients
    if not recipients:
        st.caption("It cannot be sent again: nobody is named in `[mail] recipients` of the settings.")
        return
    # Under another key after each wish, so that it closes.
    with st.popover("Send again", disabled=waits, icon=":material/outgoing_mail:", key=f"{_form(report)}-{wishes}"):
        _confirm(report, recipients)
    deeds.refusal(_form(report))


def _confirm(report: SentReport, recipients: Sequence[str]) -> None:
    people = "the recipient" if len(recipients) == 1 else f"the {words.count(len(recipients))} recipients"
    st.markdown(f"As it stands below, with today's date, to {people} in `[mail] recipients`:")
    st.markdown("\n".join(f"- `{one}`" for one in recipients))
    day = {"daily": "", "weekly": "--week ", "monthly": "--month "}[report.kind]
    st.caption(
        f"`heliograph report --again {day}--day {report.begins}` makes it anew instead, from what is known of that time by now."
    )
    st.button("Send it", on_click=deeds.attempt, args=(_form(report), _send, report.id))


def _form(report: SentReport) -> str:
    return f"resend-{report.id}"


def _send(report_id: str) -> str:
    deeds.send_again(report_id)
    return "A scheduler takes it up within seconds."


def _tell(wish: Wish, zone: str, now: datetime, *, is_latest: bool) -> None:
    who = f"asked for by {controls.plain(wish.asked_by)} at {words.moment(wish.asked_at, zone, now=now)}"
    if wish.answer and wish.ended_at:
        what = "**Not sent again**" if wish.failed else "**Sent again**"
        ended = words.moment(wish.ended_at, zone, now=now)
        line = f"{what} at {ended}, {who}: {controls.plain(wish.answer)}."
        if not is_latest or now - wish.ended_at > _NEWS:
            st.caption(line)
        elif wish.failed:
            st.error(line)
        else:
            st.success(line)
    elif not _waits(wish, now):
        st.caption(f"**Given up**, {who}: no scheduler took it up within a day.")
    elif wish.begun_at:
        _tell_begun(wish.begun_at, who, zone, now)
    elif now - wish.asked_at < _TAKEN_UP_WITHIN:
        st.info(f"**To be sent again**, {who}. A scheduler takes it up within seconds.")
    else:
        since = words.lasting(now - wish.asked_at)
        st.warning(
            f"**To be sent again**, {who}. Nothing has taken it up for {since}: is `heliograph scheduler` running, with the "
            "same warehouse? It is sent as soon as one does, within a day."
        )


def _tell_begun(begun_at: datetime, who: str, zone: str, now: datetime) -> None:
    since = words.moment(begun_at, zone, now=now)
    if now - begun_at < _ENDED_WITHIN:
        st.info(f"**Being sent** since {since}, {who}.")
    else:
        st.warning(
            f"**Begun** at {since} and not ended, {who}. The scheduler may have been stopped meanwhile: one that runs begins "
            "again. Is `heliograph scheduler` running?"
        )
