"""Makes a report and sends it once: claimed, handed over, marked, in this order.

A crash between the mail server's yes and the mark sends it a second time, with the same Message-ID; losing a report is
the worse of the two. Half a report is never sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import structlog

from core.clock import Clock
from core.errors import MailPartlyTaken
from core.mail import Mailer
from core.redact import described
from core.settings import Settings
from core.warehouse import Warehouse
from reports.errors import LedgerUnavailable, ReportGone
from reports.gather import Report
from reports.ledger import FAILED, Claim, Entry, Ledger
from reports.making import make
from reports.render import Rendered, message
from reports.spans import Span

_log = structlog.get_logger(__name__)

Result = Literal["sent", "sent before", "somebody else is at it"]


@dataclass(frozen=True)
class Delivery:
    """How a delivery ended. `at` is when it was sent, whoever did it."""

    result: Result
    at: datetime | None = None


@dataclass(frozen=True)
class Office:
    """What a report is made with. The warehouse is opened for each report, so that it may be down in between."""

    settings: Settings
    ledger: Ledger
    mailer: Mailer
    open_warehouse: Callable[[], Warehouse]
    clock: Clock

    def make(self, span: Span) -> tuple[Report, Rendered]:
        """The report of `span`, rendered. Raises what `making.make` raises."""
        warehouse = self.open_warehouse()
        try:
            return make(warehouse, span, ledger=self.ledger, settings=self.settings, now=self.clock())
        finally:
            warehouse.close()

    def deliver(self, span: Span, recipients: Sequence[str], *, again: bool = False) -> Delivery:
        """Send the report of `span`, unless it was sent to these recipients before; `again` sends it all the same.

        Raises what `make` raises, and `MailUnavailable`; the ledger then holds the reason, whatever it was.
        After `MailPartlyTaken` the next call brings the same mail to those who are left.
        """
        entry = self.ledger.entry(span, recipients)
        with entry.claim() as claim:
            if claim is None:
                return Delivery("somebody else is at it")
            left = () if again else entry.left
            if entry.sent_at and not again and not left:
                return Delivery("sent before", entry.sent_at)
            try:
                if left:
                    self._send_rest(entry, claim, left)
                else:
                    self._send(span, recipients, entry, claim)
            except Exception as error:
                claim.note(FAILED, reason=described(error))
                raise
            return Delivery("sent", self.clock())

    def _send(self, span: Span, recipients: Sequence[str], entry: Entry, claim: Claim) -> None:
        report, rendered = self.make(span)
        if claim.was_cut_off:
            _log.warning("an earlier hand-over of this report was cut off; it may arrive twice", report=entry.name)
        name = entry.name if not claim.times_sent else f"{entry.name}.{claim.times_sent}"
        mail = message(rendered, name=name, sender=self.settings.mail.sender, recipients=recipients, at=report.made_at)
        claim.hand_over(mail.as_bytes())
        try:
            self.mailer.send(mail)
        except MailPartlyTaken as error:
            self._mark(entry, claim, report, left=error.waiting)
            raise
        self._mark(entry, claim, report)

    def _send_rest(self, entry: Entry, claim: Claim, left: Sequence[str]) -> None:
        """The same mail to those whom the mail server refused for now, and to nobody who has it."""
        mail = entry.mail
        if mail is None:
            raise ReportGone(f"the report {entry.name} is not kept any more", hint="--again makes and sends it anew")
        try:
            self.mailer.send(mail, only=left)
        except MailPartlyTaken as error:
            claim.rest(left=error.waiting)
            raise
        claim.rest(left=())

    def _mark(self, entry: Entry, claim: Claim, report: Report, *, left: Sequence[str] = ()) -> None:
        try:
            claim.sent(left=left)
            self.ledger.keep_figures(report.span, report.figures)
        except LedgerUnavailable as error:
            # Raised on, it would be tried again, and the mail repeated for as long as the disk is full.
            _log.error("the report was sent, and that could not be noted", report=entry.name, reason=str(error))
