"""The questions of a preview on the Reports page: those of the report itself, asked as for its mail. Nothing is sent or kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.archive import Content
from core.clock import Clock
from core.settings import Settings
from core.warehouse import Warehouse
from reports.ledger import Ledger
from reports.spans import Span


@dataclass(frozen=True)
class Preview:
    """A report as its mail would be at `made_at`; `settling` of the ten figures may still move."""

    name: str
    subject: str
    content: Content
    made_at: datetime
    is_empty: bool
    settling: int


def preview(warehouse: Warehouse, settings: Settings, span: Span, *, clock: Clock) -> Preview:
    """Of a span that is over. Raises `BadInput` for another, `LedgerUnavailable`, `WarehouseUnavailable`, `WarehouseRefused`."""
    # What draws the pictures of mails adds a sixth to the start of the dashboard, for the few who look at a preview.
    from reports.making import make  # noqa: PLC0415

    ledger = Ledger(settings.reports.folder, clock=clock)
    report, mail = make(warehouse, span, ledger=ledger, settings=settings, now=clock())
    return Preview(
        name=f"preview-{span.kind}-{span.date}",
        subject=mail.subject,
        content=Content(mail.page(), {one.filename: one.content for one in mail.attachments}),
        made_at=report.made_at,
        is_empty=report.is_empty,
        settling=sum(bool(one.n) and not one.settled for one in report.figures.values()),
    )
