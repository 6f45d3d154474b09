"""Makes a report as its mail shows it, and sends nothing: for those who send it, and for those who only look at it."""

from __future__ import annotations

from datetime import datetime
from threading import Lock

from core.settings import Settings
from core.warehouse import Warehouse
from reports.gather import Report, gather
from reports.ledger import Ledger
from reports.render import Rendered, render
from reports.spans import Span

_DRAWING = Lock()
"""Matplotlib is not safe to use from several threads, and those who look at reports have one each."""


def make(
    warehouse: Warehouse, span: Span, *, ledger: Ledger, settings: Settings, now: datetime
) -> tuple[Report, Rendered]:
    """The report of `span`, rendered. Raises what `gather` raises, and `LedgerUnavailable`."""
    before = ledger.figures_of(span.previous)
    report = gather(warehouse, span, now=now, on_time_seconds=settings.metrics.on_time_seconds, of_previous=before)
    with _DRAWING:
        return report, render(report, dashboard_url=settings.reports.dashboard_url)
