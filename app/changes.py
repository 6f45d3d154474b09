"""A metric's table with what it was earlier beside it, for whoever compares: in columns, and in words who changed by more than
chance. For whoever does not, nothing more is asked of the warehouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app import cached, controls, tables, words
from app.cached import About
from app.data.earlier import Earlier, against, gone
from app.filters import NO_COMPARISON, View
from app.tables import More
from app.timeframe import COMPARED, Window
from metrics.catalogue import Metric

Named = Callable[[pd.DataFrame], pd.DataFrame]
"""Gives a table's rows the names that people read."""

_JUDGED = (
    "Better or worse is called only what is more than chance: by chance alone any row of the table would be one time in a hundred. "
    "A median has changed when it did so by a tenth, on 100 messages."
)


@dataclass(frozen=True)
class Held:
    """A table held against an earlier period: how the columns begin that `app.data.earlier.against` put into it, and the word for
    that period."""

    table: pd.DataFrame
    compare: str
    when: str

    def column(self, name: str) -> pd.Series[Any]:
        """`before`, `before_n`, `change` or `judged`."""
        return self.table[f"{self.compare}_{name}"]


def questions(view: View, window: Window, *of_tables: tuple[str, ...]) -> list[About[Any]]:
    """What tables with these dimensions ask to be held against the earlier period."""
    if view.compared(NO_COMPARISON) == NO_COMPARISON:
        return []
    return [_question(view, window, dimensions) for dimensions in of_tables]


def _question(view: View, window: Window, dimensions: tuple[str, ...]) -> About[Earlier]:
    return cached.earlier.about(
        window,
        view.zone,
        view.filter_key(),
        slug=view.metric,
        dimensions=dimensions,
        compare=view.compared(NO_COMPARISON),
    )


def table(
    view: View,
    window: Window,
    totals: pd.DataFrame,
    dimensions: tuple[str, ...],
    *,
    shown: Metric,
    named: Named,
    key: str | None = None,
    chosen: Callable[[], None] | None = None,
) -> pd.DataFrame:
    """Draw a table as `app.data.basics.totals` makes it (see `app.tables.readings`), and return it as a file should have it."""
    compare = view.compared(NO_COMPARISON)
    if compare == NO_COMPARISON:
        plain = named(totals)
        tables.readings(shown, plain, dimensions, key=key, chosen=chosen)
        return plain
    earlier = _question(view, window, dimensions)()
    both = named(against(shown, totals, earlier.totals, dimensions, compare=compare))
    is_young = earlier.same_age and not both["settled"].all()
    held = Held(both, compare, words.earlier(words.COMPARED_TITLES[compare], same_age=is_young))
    then = window.earlier(COMPARED[compare])
    st.caption(
        f"Changes are against {held.when}: {words.window(then.start, then.end, view.zone)}. A click on a heading sorts by it."
    )
    lines = told(shown, held, named(gone(totals, earlier.totals, dimensions)), dimensions)
    st.markdown("\n".join(f"- {controls.plain(line)}" for line in lines))
    tables.readings(shown, both, dimensions, key=key, chosen=chosen, more=_more(shown, held))
    return both


def told(shown: Metric, held: Held, lost: pd.DataFrame, dimensions: tuple[str, ...]) -> list[str]:
    """Who is worse and who better, what changed most first; and who had attempts then and has none now (`lost`)."""
    largest_first = held.column("change").abs().sort_values(ascending=False, kind="stable").index
    rows = held.table.loc[largest_first].to_dict("records")
    lines = []
    for verdict in ("worse", "better"):
        moved = [_moved(shown, held, row, dimensions) for row in rows if row[f"{held.compare}_judged"] == verdict]
        if moved:
            lines.append(f"{verdict.capitalize()} by more than chance: {words.listed(moved)}")
    if held.column("judged").isna().all():
        lines.append(f"Nothing has a value both now and {held.when}.")
    elif not lines:
        lines.append("Nothing changed by more than chance.")
    if len(lost):
        names = [f"{_name(row, dimensions)} ({words.count(int(row['volume']))})" for row in lost.to_dict("records")]
        lines.append(f"Attempts {words.COMPARED_TITLES[held.compare]} and none in this range: {words.listed(names)}")
    return lines


def _moved(shown: Metric, held: Held, row: Mapping[Any, Any], dimensions: tuple[str, ...]) -> str:
    moved = words.change(row["value"], row[f"{held.compare}_before"], shown.unit)
    return f"{_name(row, dimensions)} {words.arrow(moved)} {moved}"


def _name(row: Mapping[Any, Any], dimensions: tuple[str, ...]) -> str:
    return " / ".join(row[name] for name in dimensions)


def _more(shown: Metric, held: Held) -> More:
    when, was, moved, number = (
        words.COMPARED_TITLES[held.compare],
        held.column("before"),
        held.column("change"),
        "%.2f s",
    )
    if shown.unit == "ratio":
        (was, number), moved = tables.percents(was, 2), moved * 100
    change, judged, before, before_n = (f"{held.compare}_{name}" for name in ("change", "judged", "before", "before_n"))
    column, unit = st.column_config, "points" if shown.unit == "ratio" else "s"
    nearest = moved.round(2) + 0.0  # a column would write the sign of -0.0
    return More(
        pd.DataFrame({change: nearest, judged: _judged(shown, held), before: was}),
        {
            change: column.NumberColumn("Change", format=f"%+.2f {unit}", help=f"Against {held.when}."),
            judged: column.TextColumn("Judged", help=_JUDGED),
        },
        {
            before: column.NumberColumn(when.capitalize(), format=number, help=f"The value {held.when}."),
            before_n: column.NumberColumn(f"n {when}", format="localized"),
        },
    )


def _judged(shown: Metric, held: Held) -> list[str | None]:
    """How each change is judged, with its arrow; where there is none because of the earlier side alone, that."""
    sides = zip(held.table["value"], held.column("before"), held.column("judged"), strict=True)
    return [
        f"{words.arrow(words.change(now, before, shown.unit))} {judged}"
        if words.defined(now) and words.defined(before)
        else f"no value {words.COMPARED_TITLES[held.compare]}"
        if words.defined(now)
        else None
        for now, before, judged in sides
    ]
