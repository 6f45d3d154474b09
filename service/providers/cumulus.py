"""Cumulus: forms in, one line of text out; receipts as CSV lines in batches, sometimes before the answer.

It takes our reference for its own id of the message, and knows only numbers for everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import unquote, urlencode

import aiohttp

from core.events import ErrorClass
from service.errors import ReceiptUnreadable
from service.providers.base.fields import RowUnreadable, seconds_utc
from service.providers.base.provider import Provider
from service.providers.base.pushed import Acknowledgement, InboundRow, ReceiptRow, Statuses, inbound_row, receipt_row
from service.providers.base.submission import WRONG_REFERENCE, Answer, AnswerUnreadable, Submission

STATUSES: Statuses = {
    "0": ("pending", ""),  # accepted by the SMSC
    "1": ("delivered", ""),  # delivered to the handset
    "2": ("failed", "unknown"),  # not delivered
    "3": ("failed", "expired"),  # expired
    "4": ("pending", ""),  # buffered at the SMSC
    "5": ("failed", "blocked"),  # rejected by the SMSC
}

CODES: Mapping[str, ErrorClass] = {
    # in receipts: reason
    "10": "handset",  # absent subscriber
    "11": "handset",  # memory capacity exceeded
    "12": "number",  # unknown subscriber
    "13": "number",  # teleservice not provisioned
    "20": "blocked",  # firewall: sender
    "21": "blocked",  # firewall: content
    "22": "opted_out",  # do-not-disturb register
    "30": "route",  # no response from the MSC
    "31": "route",  # interconnect down
    "32": "throttled",  # congestion
    "40": "expired",  # validity period ended
    "90": "provider",  # platform error
    # in answers: ERR
    "101": "account",  # unknown user or bad token
    "102": "account",  # out of credit
    "103": "account",  # IP not on the list
    "110": "number",  # destination malformed
    "111": "number",  # destination not covered
    "112": "opted_out",  # destination on the stop list
    "120": "blocked",  # sender not registered
    "121": "blocked",  # text not allowed
    "130": "throttled",  # too many messages
    "140": "route",  # route closed
    "190": "provider",  # platform error
}


class Adapter(Provider):
    """Speaks to Cumulus."""

    receipt_reply = Acknowledgement(b"OK", "text/plain")

    async def _submit(self, session: aiohttp.ClientSession, submission: Submission) -> Answer:
        stamp = str(int(self.clock().timestamp()))
        form = {
            "user": self.settings.account,
            "stamp": stamp,
            "token": self._signature(f"{self.settings.account}:{stamp}:{submission.reference}".encode()),
            "id": submission.reference,
            "to": submission.number.removeprefix("+"),
            "from": submission.sender,
            "text": submission.text,
        }
        answer = await self._post(
            session,
            "/sms/submit",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        verdict, separator, value = answer.body.decode("latin-1").strip().partition(":")
        if verdict == "ERR" and value.isdecimal():
            return Answer("rejected", CODES.get(value, "unknown"), value)
        if verdict != "OK" or not separator or answer.status >= 400:
            self._unreadable(answer)
        if value != submission.reference:
            raise AnswerUnreadable(WRONG_REFERENCE)
        return self._accepted(value)

    def _verify(self, headers: Mapping[str, str], body: bytes, path: str) -> None:
        # No time is signed: a batch that is played again tells the same facts, and a fact is kept once.
        self._demand(self._signature(path.encode() + b"\n" + body), headers.get("x-signature", ""))

    def _rows(self, body: bytes) -> Sequence[bytes]:
        rows = [line for line in body.splitlines() if line.strip()]
        if not rows:
            raise ReceiptUnreadable("the batch is empty")
        return rows

    def _receipt(self, row: bytes) -> ReceiptRow:
        reference, status, reason, at = _columns(row, 4)
        return receipt_row(
            reference=reference,
            status=status,
            code="" if reason == "0" else reason,
            statuses=STATUSES,
            codes=CODES,
            provider_at=_time(at),
        )

    def _inbound(self, row: bytes) -> InboundRow:
        message_id, digits, text = _columns(row, 3)
        if not digits.isdecimal():
            raise RowUnreadable("the second column is not digits")
        # Texts are percent-encoded, so that a comma or a line break in one cannot shift its neighbours.
        return inbound_row(message_id=message_id, number=f"+{digits}", text=unquote(text, errors="strict"))


def _columns(row: bytes, count: int) -> list[str]:
    columns = [column.strip() for column in row.decode().split(",")]
    if len(columns) != count:
        raise RowUnreadable(f"{len(columns)} columns instead of {count}")
    return columns


def _time(text: str) -> datetime | None:
    return seconds_utc(int(text)) if text.isdecimal() and len(text) <= 11 else None
