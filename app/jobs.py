"""What the scheduler has done: each of its jobs, when it last left something behind, and whether it seems to have stopped."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st

from app import cached, controls, texts, words
from metrics.freshness import Runs
from metrics.runs import Job, Run

_LATE = timedelta(minutes=5)
"""Each minute is judged within seconds of its end, a heavy one in a minute or two."""

_WORK = "When it last left something behind; a run may find nothing to do."


def stands_still(judged: datetime | None, *, now: datetime) -> bool:
    """Say so where detection has not come to these minutes, and tell whether it was said: nobody knows then that all is well."""
    if judged is None:
        st.info("**No minute was judged yet.** `heliograph scheduler` does it; without it no incident is found.")
    elif now - judged > _LATE:
        st.warning(
            f"**No minute was judged for {words.lasting(now - judged)}.** Is `heliograph scheduler` running? Without it no "
            "incident is found, nobody is alerted, and no report is sent. Where nothing was sent there is nothing to judge."
        )
    else:
        return False
    return True


def draw(runs: Runs, zone: str, *, now: datetime) -> None:
    """Draw it."""
    st.subheader("Jobs of the scheduler", anchor=False)
    stands_still(runs.judged, now=now)
    if runs.latest is None:
        st.info(
            "**The warehouse is still that of the version before**, which does not note how runs came out. `heliograph ingester` and "
            "`heliograph scheduler` bring it up to date when they start."
        )
    latest = runs.latest or {}
    report, when = _last_report()
    jobs: dict[Job, tuple[str, str, datetime | None, str]] = {
        "minute": ("judge channels, and alert", "each minute", runs.judged, "the last minute that was judged"),
        "rollup": ("roll up hours", "each minute, what is due", runs.rolled_up, "without it long ranges are slow"),
        "settling": ("merge days", "each night, what is due", runs.merged, "four days after their end"),
        "report": ("send reports", "each morning", when, report),
    }
    for job, (name, *_) in jobs.items():
        run = latest.get(job)
        if run is not None and run.failure:
            ended = words.moment(run.at, zone, now=now)
            st.warning(
                f"**The last run of “{name}” failed** at {ended}: {controls.plain(run.failure)}. It is tried again by itself; "
                "the log of `heliograph scheduler` says more."
            )
    texts.table(
        "Jobs of the scheduler",
        [
            texts.Column("Job", [name for name, *_ in jobs.values()]),
            texts.Column("Due", [due for _, due, _, _ in jobs.values()]),
            texts.Column("Last work", [_last(at, zone, now) for _, _, at, _ in jobs.values()], about=_WORK),
            texts.Column("Last run", [_ended(latest.get(job), zone, now) for job in jobs]),
            texts.Column("About", [about for *_, about in jobs.values()], "long"),
        ],
    )


def _ended(run: Run | None, zone: str, now: datetime) -> str:
    if run is None:
        return words.UNDEFINED
    return f"{'failed' if run.failure else 'well'}, {words.ago(now - run.at)}"


def _last_report() -> tuple[str, datetime | None]:
    try:
        found = cached.last_report()
    except OSError as error:
        return f"the folder of the reports cannot be read: {error.strerror}", None
    return (found.subject, found.sent_at) if found else ("none is kept in this machine's folder", None)


def _last(at: datetime | None, zone: str, now: datetime) -> str:
    return f"{words.moment(at, zone, now=now)}, {words.ago(now - at)}" if at else words.UNDEFINED
