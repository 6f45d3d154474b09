"""The Funnel asks three questions: the steps of all codes, the steps by a dimension, the causes of what was lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from app.data.basics import FilterKey
from app.data.beside import beside
from app.timeframe import Window
from core.warehouse import Warehouse
from metrics.funnel import FunnelQuestion, causes, steps


@dataclass(frozen=True)
class FunnelData:
    """`whole`: counts by step, none when no code was submitted. `parts`: a row a value of the dimension. `causes`: a row a
    cause, largest first, at most eight a step."""

    whole: dict[str, int]
    parts: pd.DataFrame
    causes: pd.DataFrame

    @property
    def empty(self) -> bool:
        return not self.whole


def answer(
    warehouse: Warehouse, window: Window, filters: FilterKey, *, dimension: str | None, now: datetime
) -> FunnelData:
    """All that the page draws."""
    question = FunnelQuestion(start=window.start, end=window.end, filters=dict(filters))
    split = replace(question, dimension=dimension)
    parts = beside(steps, warehouse, split) if dimension else None
    lost = beside(causes, warehouse, question, now=now)
    whole = steps(warehouse, question)
    return FunnelData(
        whole={} if whole.empty else {str(step): int(count) for step, count in whole.iloc[0].items()},
        parts=parts.result() if parts else pd.DataFrame(),
        causes=lost.result(),
    )
