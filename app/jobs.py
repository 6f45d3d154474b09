"""What the scheduler has done: each of its jobs, when it last left something behind, and whether it seems to have stopped."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st

from app import cached, texts, words
from metrics.freshness import Runs

_LATE = timedelta(minutes=5)
"""Each minute is judged within seconds of its end, a heavy one in a minute or two."""


def draw(runs: Runs, zone: str, *, now: datetime) -> None:
    """Draw it."""
    st.subheader("Jobs of the scheduler", anchor=False)
    if runs.judged is None:
        st.info("No minute was judged yet: `heliograph scheduler` does it, and what stands below.")
    elif now - runs.judged > _LATE:
        st.warning(
            f"**No minute was judged for {words.lasting(now - runs.judged)}.** Is `heliograph scheduler` running? Without it "
            "nobody is alerted, and no report is sent."
        )
    report, when = _last_report()
    jobs = {
        "judge channels, and alert": ("each minute", runs.judged, "the last minute that was judged"),
        "roll up hours": ("each minute, what is due", runs.rolled_up, "without it long ranges are slow"),
        "merge days": ("each night, what is due", runs.merged, "four days after their end"),
        "send reports": ("each morning", when, report),
    }
    texts.table(
        "Jobs of the scheduler",
        [
            texts.Column("Job", list(jobs)),
            texts.Column("Due", [due for due, _, _ in jobs.values()]),
            texts.Column("Last", [_last(at, zone, now) for _, at, _ in jobs.values()]),
            texts.Column("About", [about for _, _, about in jobs.values()], "long"),
        ],
    )


def _last_report() -> tuple[str, datetime | None]:
    try:
        found = cached.last_report()
    except OSError as error:
        return f"the folder of the reports cannot be read: {error.strerror}", None
    return (found.subject, found.sent_at) if found else ("none is kept in this machine's folder", None)


def _last(at: datetime | None, zone: str, now: datetime) -> str:
    return f"{words.moment(at, zone, now=now)}, {words.ago(now - at)}" if at else words.UNDEFINED
