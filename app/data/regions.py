"""The Regions page asks two questions: one metric by country, and by country and region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from app.data.basics import VOLUME, FilterKey, totals
from app.data.beside import beside
from app.timeframe import Window
from core.warehouse import Warehouse
from metrics.query import Question, ask


@dataclass(frozen=True)
class RegionsData:
    """A row a country, and a row a country and region, by volume: names, value, n, settled, volume (and p95)."""

    countries: pd.DataFrame
    regions: pd.DataFrame

    @property
    def empty(self) -> bool:
        return self.countries.empty


def answer(
    warehouse: Warehouse,
    window: Window,
    zone: str,
    filters: FilterKey,
    *,
    slug: str,
    now: datetime,
    on_time_seconds: int,
) -> RegionsData:
    """All that the page draws."""

    def asked(*dimensions: str) -> pd.DataFrame:
        question = Question(
            metrics=tuple(dict.fromkeys((slug, VOLUME))),
            start=window.start,
            end=window.end,
            dimensions=dimensions,
            time_zone=zone,
            filters=dict(filters),
        )
        return totals(ask(warehouse, question, now=now, on_time_seconds=on_time_seconds), slug, dimensions)

    regions = beside(asked, "country", "region")
    return RegionsData(asked("country"), regions.result())
