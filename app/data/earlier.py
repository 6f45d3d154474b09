"""What stood in a metric's table over the same span so much earlier: one question a table, asked only when somebody compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from app import words
from app.data.basics import VOLUME, FilterKey, at_same_age, number_of, totals
from app.timeframe import COMPARED, Window
from core.warehouse import Warehouse
from metrics.catalogue import Metric
from metrics.query import Question, ask
from metrics.readings import Reading, verdict


@dataclass(frozen=True)
class Earlier:
    """`totals`: a row a name (`app.data.basics.totals`), as it was known so much earlier when it is of the `same_age`."""

    totals: pd.DataFrame
    same_age: bool


def answer(
    warehouse: Warehouse,
    window: Window,
    zone: str,
    filters: FilterKey,
    *,
    slug: str,
    dimensions: tuple[str, ...],
    compare: str,
    now: datetime,
    on_time_seconds: int,
) -> Earlier:
    """The metric by these dimensions, over the span that lies `compare` before the window."""
    before = window.earlier(COMPARED[compare])
    question = Question(
        metrics=tuple(dict.fromkeys((slug, VOLUME))),
        start=before.start,
        end=before.end,
        dimensions=dimensions,
        time_zone=zone,
        filters=dict(filters),
    )
    same_age = at_same_age(window, now=now, on_time_seconds=on_time_seconds)
    then = now - COMPARED[compare]
    frame = ask(warehouse, question, now=then, on_time_seconds=on_time_seconds, as_then=same_age)
    return Earlier(totals(frame, slug, dimensions), same_age)


def against(
    shown: Metric, table: pd.DataFrame, earlier: pd.DataFrame, dimensions: Sequence[str], *, compare: str
) -> pd.DataFrame:
    """The table, and in four columns that begin with `compare` what each row was, of which n, how far it is from that, and whether
    that is `better` or `worse` by more than chance; what is undefined on either side has neither change nor judgement."""
    before, before_n, change, judged = (f"{compare}_{name}" for name in ("before", "before_n", "change", "judged"))
    then = earlier[[*dimensions, "value", "n"]].rename(columns={"value": before, "n": before_n})
    both = table.merge(then, how="left", on=list(dimensions))
    # A column of an answer without rows has no type, and a name that did not occur has no n: nothing was counted.
    both[before] = pd.to_numeric(both[before]).astype("float64")
    both[before_n] = pd.to_numeric(both[before_n]).fillna(0).astype("int64")
    both[change] = both["value"] - both[before]
    both[judged] = _judged(shown, both[["value", "n", before, before_n]])
    return both


def _judged(shown: Metric, sides: pd.DataFrame) -> list[str | None]:
    """By the rule of the Overview: as many comparisons are judged together as rows have both values."""
    pairs = [
        (Reading(number_of(value), int(n)), Reading(number_of(before), int(before_n)))
        for value, n, before, before_n in sides.itertuples(index=False)
    ]
    together = sum(now.value is not None and then.value is not None for now, then in pairs)
    return [
        None
        if now.value is None or then.value is None
        else verdict(shown, now, then, judged_together=together) or words.BY_CHANCE
        for now, then in pairs
    ]


def gone(table: pd.DataFrame, earlier: pd.DataFrame, dimensions: Sequence[str]) -> pd.DataFrame:
    """The rows of names that had attempts earlier and have none in the table."""
    found = earlier.merge(table[list(dimensions)], how="left", on=list(dimensions), indicator=True)
    return found[found["_merge"] == "left_only"].drop(columns="_merge")
