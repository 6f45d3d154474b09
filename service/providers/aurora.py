"""Aurora: JSON over REST with basic auth; receipts as signed forms, one a call, that sometimes name the carrier."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode

import aiohttp
import msgspec

from core.events import ErrorClass
from service.errors import ReceiptUnreadable
from service.providers.base.fields import time_utc
from service.providers.base.provider import Provider
from service.providers.base.pushed import InboundRow, ReceiptRow, Statuses, inbound_row, receipt_row
from service.providers.base.submission import WRONG_REFERENCE, Answer, AnswerUnreadable, Submission

STATUSES: Statuses = {
    "queued": ("pending", ""),
    "sent": ("pending", ""),
    "delivered": ("delivered", ""),
    "undelivered": ("failed", "unknown"),
    "failed": ("failed", "unknown"),
}

CODES: Mapping[str, ErrorClass] = {
    "51001": "account",  # authentication failed
    "51002": "account",  # account suspended
    "51003": "account",  # balance exhausted
    "51004": "account",  # geographic permission not enabled
    "52001": "number",  # 'To' is not a valid phone number
    "52002": "number",  # 'To' is a landline
    "52003": "opted_out",  # recipient has unsubscribed
    "52004": "blocked",  # 'From' not allowed in this country
    "52005": "blocked",  # body violates content policy
    "52006": "throttled",  # queue of this sender is full
    "53001": "handset",  # unreachable destination handset
    "53002": "handset",  # handset memory exceeded
    "53003": "number",  # unknown destination handset
    "53004": "blocked",  # carrier filtered the message
    "53005": "route",  # carrier network failure
    "53006": "route",  # no route to carrier
    "53007": "expired",  # validity period passed
    "53008": "throttled",  # carrier throughput exceeded
    "53009": "opted_out",  # blocked by the subscriber
    "59001": "provider",  # internal failure
}


class _Message(msgspec.Struct):
    status: str
    sid: str | None = None
    error_code: int | None = None
    client_reference: str | None = None


class Adapter(Provider):
    """Speaks to Aurora."""

    async def _submit(self, session: aiohttp.ClientSession, submission: Submission) -> Answer:
        message = {"To": submission.number, "Body": submission.text, "ClientReference": submission.reference}
        if submission.sender:
            message["From"] = submission.sender
        answer = await self._post(
            session,
            f"/accounts/{self.settings.account}/messages.json",
            headers={"Authorization": self._basic(), "Content-Type": "application/json"},
            body=msgspec.json.encode(message),
        )
        try:
            told = msgspec.json.decode(answer.body, type=_Message)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._unreadable(answer)
        return self._read(submission, told, refused=answer.status >= 400)

    def _read(self, submission: Submission, told: _Message, *, refused: bool) -> Answer:
        if refused or told.error_code is not None:
            code = "" if told.error_code is None else str(told.error_code)
            return Answer("rejected", CODES.get(code, "unknown"), code)
        if told.client_reference != submission.reference:
            raise AnswerUnreadable(WRONG_REFERENCE)
        if STATUSES.get(told.status, ("failed", ""))[0] == "failed":
            raise AnswerUnreadable("unknown_status")
        return self._accepted(told.sid or "")

    def _basic(self) -> str:
        return "Basic " + b64encode(self.settings.account.encode() + b":" + self._secret).decode()

    def _verify(self, headers: Mapping[str, str], body: bytes, path: str) -> None:
        timestamp = headers.get("x-aurora-timestamp", "")
        signed = "\n".join((timestamp, path, urlencode(sorted(_form(body)))))
        self._demand(self._signature(signed.encode()), headers.get("x-aurora-signature", ""))
        self._demand_recent(timestamp)

    def _rows(self, body: bytes) -> Sequence[bytes]:
        if b"=" not in body:
            raise ReceiptUnreadable("the body is not a form")
        return [body]

    def _receipt(self, row: bytes) -> ReceiptRow:
        form = dict(_form(row))
        return receipt_row(
            reference=form.get("ClientReference", ""),
            status=form.get("MessageStatus", ""),
            code=form.get("ErrorCode", ""),
            statuses=STATUSES,
            codes=CODES,
            provider_at=time_utc(form.get("Timestamp", "")),
            carrier=form.get("Carrier", ""),
        )

    def _inbound(self, row: bytes) -> InboundRow:
        form = dict(_form(row))
        return inbound_row(
            message_id=form.get("MessageSid", ""), number=form.get("From", ""), text=form.get("Body", "")
        )


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=64)
    except UnicodeDecodeError:
        raise
    except ValueError:
        raise ReceiptUnreadable("the form has too many fields") from None
