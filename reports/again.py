"""Sends kept reports again when operators ask for it on the dashboard: a mail a wish, however many schedulers run.

Whoever holds the lock of a report works on it, and its history says which wishes came to their end: the warehouse, in which
they are, cannot compare and set. A crash between the mail server's yes and the mark sends it a second time, with the same
Message-ID.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from email.message import EmailMessage

import structlog

from core import wishes
from core.archive import kept_mail, once_more, report_of
from core.errors import HeliographError, MailPartlyTaken, MailUnavailable, WarehouseRefused, WarehouseUnavailable
from core.mail import address
from core.redact import described
from core.warehouse import Warehouse
from core.wishes import RESEND, Wish
from reports.delivery import Office
from reports.errors import LedgerUnavailable, OtherRecipients, ReportGone
from reports.ledger import FAILED, HANDING_OVER, SENT, Claim, Entry

_log = structlog.get_logger(__name__)

ASKED_WITHIN = timedelta(days=1)
"""An older wish nobody waits for any more."""

_BY = "scheduler"


class Resender:
    """Takes up what operators ask for. A report goes as it was sent, to the `recipients` of the settings and to nobody else."""

    def __init__(self, office: Office, recipients: Sequence[str], *, open_warehouse: Callable[[], Warehouse]) -> None:
        self._office = office
        self._recipients = recipients
        self._open_warehouse = open_warehouse
        self._is_away = False

    def run(self) -> None:
        """Look once for wishes, and fulfil them. Raises nothing."""
        try:
            with closing(self._open_warehouse()) as warehouse:
                self._look(warehouse)
            self._is_away = False
        except (WarehouseUnavailable, WarehouseRefused) as error:
            if not self._is_away:
                _log.warning("reports to be sent again wait", reason=str(error), hint=error.hint)
            self._is_away = True

    def _look(self, warehouse: Warehouse) -> None:
        same: dict[str, list[Wish]] = {}
        for wish in self._waiting(warehouse):
            same.setdefault(wish.about, []).append(wish)
        for about, group in same.items():
            try:
                self._fulfil(warehouse, about, group)
            except (ReportGone, OtherRecipients, LedgerUnavailable) as error:
                self._answer(warehouse, about, _told(error), failed=True)
            except (WarehouseUnavailable, WarehouseRefused):
                raise
            except Exception as error:  # noqa: BLE001  # one report that breaks must not hold up the others
                _log.error("report not sent again", report=report_of(about), reason=described(error))
                self._answer(warehouse, about, described(error), failed=True)

    def _waiting(self, warehouse: Warehouse) -> Sequence[Wish]:
        since = self._office.clock() - ASKED_WITHIN
        return [wish for wish in wishes.asked(warehouse, RESEND, since=since) if not wish.answer]

    def _fulfil(self, warehouse: Warehouse, about: str, group: Sequence[Wish]) -> None:
        mail = self._mail(about)
        entry = self._office.ledger.kept(report_of(about))
        with entry.claim() as claim:
            if claim is None:
                return  # another scheduler is at it, or the morning's report is on its way
            ended = [(wish, row) for wish in group if (row := claim.end_of(str(wish.id)))]
            for wish, row in ended:
                self._end(warehouse, wish, row["told"], failed=row["what"] == FAILED)
            if not ended:
                told, failed = self._send(warehouse, entry, claim, group, mail)
                self._answer(warehouse, about, told, failed=failed)

    def _mail(self, about: str) -> EmailMessage:
        report = report_of(about)
        mail = kept_mail(self._office.settings.reports.folder, report)
        if mail is None:
            hint = "it can be made anew: `heliograph report --again --day …`"
            raise ReportGone(f"the report {report} is not kept in the scheduler's [reports] folder", hint=hint)
        if about != once_more(report, self._recipients):
            raise OtherRecipients(
                "the scheduler has other [mail] recipients than the dashboard",
                hint="give both the same settings, and start them again",
            )
        return mail

    def _send(
        self, warehouse: Warehouse, entry: Entry, claim: Claim, group: Sequence[Wish], mail: EmailMessage
    ) -> tuple[str, bool]:
        """How it came out in words, and whether it failed."""
        now, names = self._office.clock(), " ".join(str(wish.id) for wish in group)
        for wish in group:
            wishes.begin(warehouse, RESEND, wish, by=_BY, now=now)
        if claim.was_cut_off:
            _log.warning("an earlier hand-over of this report was cut off; it may arrive twice", report=entry.name)
        name, sender = f"{entry.name}.{group[0].id}", self._office.settings.mail.sender
        address(mail, name=name, at=now, sender=sender, recipients=self._recipients)
        claim.note(HANDING_OVER, wishes=names)
        try:
            self._office.mailer.send(mail)
        except MailPartlyTaken as error:
            refused = _people(error.waiting)
            told, what = f"sent, but for {refused}: the mail server refused them for now", SENT
            _log.warning("report not sent again to all", report=entry.name, refused=refused)
        except MailUnavailable as error:
            told, what = _told(error), FAILED
            _log.warning("report not sent again", report=entry.name, reason=str(error), hint=error.hint)
        else:
            told, what = f"sent to {_people(self._recipients)}", SENT
            _log.info("report sent again", report=entry.name, wishes=len(group))
        try:
            claim.note(what, wishes=names, told=told)
        except LedgerUnavailable as error:
            # The answer in the warehouse says it, too; raised on, it would say that nothing was sent.
            _log.error("how it came out could not be noted", report=entry.name, reason=str(error))
        return told, what == FAILED

    def _answer(self, warehouse: Warehouse, about: str, text: str, *, failed: bool) -> None:
        """To all who have asked by now: who asks for a report while it is being sent gets this one."""
        for wish in self._waiting(warehouse):
            if wish.about == about:
                self._end(warehouse, wish, text, failed=failed)

    def _end(self, warehouse: Warehouse, wish: Wish, text: str, *, failed: bool) -> None:
        wishes.answer(warehouse, RESEND, wish, text, by=_BY, now=self._office.clock(), failed=failed)


def _told(error: HeliographError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


def _people(recipients: Sequence[str]) -> str:
    return "1 recipient" if len(recipients) == 1 else f"{len(recipients)} recipients"
