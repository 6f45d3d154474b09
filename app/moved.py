"""What else moved where an incident is: the other metrics in its scope while it lasted, against the same span a week before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from app import cached, controls, words
from app.data.incidents import Moved
from app.timeframe import fixed
from metrics.catalogue import METRICS, Metric
from metrics.detection.incidents import Incident
from metrics.readings import verdict

_MINUTE = 60


def draw(one: Incident, *, now: datetime) -> None:
    """Draw it."""
    st.subheader("What else moved there", anchor=False)
    end = one.resolved_at or datetime.fromtimestamp(now.timestamp() // _MINUTE * _MINUTE, UTC)
    if end <= one.onset:
        st.caption("It has not lasted for a minute yet.")
        return
    scope = tuple((name, tuple(values)) for name, values in sorted(one.scope.items()))
    found = cached.moved(fixed(one.onset, end), scope)
    lines = told(found, without=one.metric)
    st.markdown("\n".join(f"- {controls.plain(line)}".replace(" %", "\N{NO-BREAK SPACE}%") for line in lines))
    age = " and at this age" if found.same_age else ""
    st.caption(
        f"All messages of its scope while it lasted, against the same span a week before{age}; named is what is more than chance."
    )


def told(found: Moved, *, without: str) -> list[str]:
    """A line a metric that moved by more than chance; then which did not, and which cannot be compared."""
    others = [entry for entry in METRICS if entry.slug != without]
    lines, calm, unknown = [], [], []
    for entry in others:
        now, before = found.now[entry.slug], found.before[entry.slug]
        judged = verdict(entry, now, before, judged_together=len(others))
        if now.value is None or before.value is None:
            unknown.append(entry)
        elif judged:
            lines.append(
                f"{entry.title}: {words.figure(now.value, entry.unit)} (n {words.count(now.n)}) after "
                f"{words.figure(before.value, entry.unit)} (n {words.count(before.n)}), "
                f"{words.change(now.value, before.value, entry.unit)}: {judged}"
            )
        else:
            calm.append(entry)
    if calm:
        lines.append(f"Within chance: {_named(calm)}")
    if unknown:
        lines.append(f"Without a value now or then: {_named(unknown)}")
    return lines


def _named(metrics: Sequence[Metric]) -> str:
    return ", ".join(entry.title[:1].lower() + entry.title[1:] for entry in metrics)
