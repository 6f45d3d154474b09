"""A metric's values in a table: each with its sample, how far chance may have moved it, and whether it has settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app import words
from core.words import points
from metrics.catalogue import Metric

_ROWS_MAX = 30
_WIDTH, _WIDTH_MORE = 1000, 1350
DRAWN_MAX = 500
"""Rows a browser is given: of some thousand carriers or templates it would be megabytes, and nobody reads them."""


@dataclass(frozen=True)
class More:
    """Columns beside those that every table has, a row each of its rows: as they are drawn, and how, by their place."""

    columns: pd.DataFrame
    behind_value: Mapping[str, Any]
    behind_n: Mapping[str, Any]


def readings(
    shown: Metric,
    table: pd.DataFrame,
    dimensions: tuple[str, ...],
    *,
    key: str | None = None,
    chosen: Callable[[], None] | None = None,
    more: More | None = None,
) -> None:
    """Draw a table as `app.data.basics.totals` makes it; names are shown as they stand. `chosen` is called when somebody
    chooses a row, which `chosen_row` then tells by the `key`."""
    table = largest(table)
    seen = table.assign(
        settled=["settled" if done else "settling" for done in table["settled"]],
    )
    number = "%.2f s"
    if shown.unit == "ratio":
        seen["value"], number = percents(table["value"], 2)
        seen["between"] = [
            words.between(None if pd.isna(value) else float(value), int(n))
            for value, n in zip(table["value"], table["n"], strict=True)
        ]
    wide = 200 if len(dimensions) == 1 and not more else 130  # so that a telephone shows the value beside them
    first, last = (more.behind_value, more.behind_n) if more else ({}, {})
    seen = seen.assign(**{str(name): column for name, column in more.columns.items()}) if more else seen
    columns = (*dimensions, "value", *first, "between", "p95", "n", *last, "volume", "settled")
    st.dataframe(
        seen,
        key=key,
        on_select=chosen or "ignore",
        selection_mode="single-row",
        hide_index=True,
        width=_WIDTH_MORE if more else _WIDTH,
        height="content" if len(table) <= _ROWS_MAX else 1000,
        placeholder=words.UNDEFINED,
        column_config={
            **{name: st.column_config.TextColumn(words.DIMENSION_TITLES[name], width=wide) for name in dimensions},
            "value": st.column_config.NumberColumn(_title(shown), format=number, help=words.explained(shown)),
            "between": st.column_config.TextColumn("95 % between", help=words.BETWEEN),
            "p95": st.column_config.NumberColumn("p95", format=number),
            "n": st.column_config.NumberColumn("n", format="localized", help="The sample the value is computed from."),
            "volume": st.column_config.NumberColumn("Attempts submitted", format="localized"),
            "settled": st.column_config.TextColumn("State", help="Settled: the value will hardly move any more."),
            **first,
            **last,
        },
        column_order=[column for column in columns if column in seen],
    )


def percents(shares: pd.Series[float], places: int) -> tuple[pd.Series[float], str]:
    """A column of shares in hundredths, and its format: with as many decimals, or with more where one that is not all would read
    as 100 or one that is not nothing as 0."""
    told = [None if pd.isna(share) else points(float(share), places) for share in shares]
    most = max((len(text.partition(".")[2]) for text in told if text), default=places)
    values = [float("nan") if pd.isna(share) else float(points(float(share), most)) for share in shares]
    return pd.Series(values, index=shares.index, dtype="float64"), f"%.{most}f %%"


def largest(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table by volume that a browser is given, with a caption on those it is not."""
    if len(table) > DRAWN_MAX:
        told = f"{words.count(len(table) - DRAWN_MAX)} smaller ones are not shown"
        st.caption(f"These are the {DRAWN_MAX} largest of {words.count(len(table))}; {told}. The CSV has all of them.")
    return table.head(DRAWN_MAX)


def chosen_row(key: str, names: Sequence[str]) -> str | None:
    """The name of the row that was chosen in the table of that key, whose rows have these names."""
    state: Mapping[str, Any] = st.session_state[key]
    rows = state["selection"]["rows"]
    return names[rows[0]] if rows and rows[0] < len(names) else None


def _title(shown: Metric) -> str:
    return f"{shown.title}, p50" if "p95" in shown.extras else shown.title
