"""Delta: JSON with a bearer token and a signature over nonce and time; receipts one a call, in nested objects.

It tells interim states, tells some receipts twice, and others late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from secrets import token_hex

import aiohttp
import msgspec

from core.events import ErrorClass
from service.errors import ForgedReceipt
from service.providers.base.fields import RowUnreadable, time_utc
from service.providers.base.provider import Provider
from service.providers.base.pushed import Acknowledgement, InboundRow, ReceiptRow, Statuses, inbound_row, receipt_row
from service.providers.base.submission import WRONG_REFERENCE, Answer, AnswerUnreadable, Submission

STATUSES: Statuses = {
    "accepted": ("pending", ""),
    "buffered": ("pending", ""),
    "delivered": ("delivered", ""),
    "undeliverable": ("failed", "unknown"),
    "expired": ("failed", "expired"),
    "rejected": ("failed", "blocked"),
}

CODES: Mapping[str, ErrorClass] = {
    "subscriber_absent": "handset",
    "subscriber_memory_full": "handset",
    "subscriber_unknown": "number",
    "subscriber_barred": "number",
    "subscriber_opted_out": "opted_out",
    "recipient_invalid": "number",
    "recipient_landline": "number",
    "content_filtered": "blocked",
    "sender_not_allowed": "blocked",
    "rate_exceeded": "throttled",
    "recipient_rate_exceeded": "throttled",
    "token_invalid": "account",
    "signature_invalid": "account",
    "funds_insufficient": "account",
    "destination_not_enabled": "account",
    "network_unreachable": "route",
    "network_error": "route",
    "validity_ended": "expired",
    "platform_error": "provider",
}


class _Taken(msgspec.Struct):
    uuid: str
    reference: str
    parts: int = 1


class _Error(msgspec.Struct):
    code: str


class _Answer(msgspec.Struct):
    message: _Taken | None = None
    error: _Error | None = None


class _Named(msgspec.Struct):
    name: str


class _Reason(msgspec.Struct):
    code: str = ""


class _State(msgspec.Struct):
    name: str
    reason: _Reason | None = None


class _Subject(msgspec.Struct):
    reference: str


class _Receipt(msgspec.Struct):
    event: str
    message: _Subject
    state: _State
    occurred_at: str = ""
    network: _Named | None = None


class _From(msgspec.Struct):
    number: str


class _Content(msgspec.Struct):
    text: str


class _InboundMessage(msgspec.Struct):
    uuid: str
    sender: _From = msgspec.field(name="from")
    content: _Content


class _Inbound(msgspec.Struct):
    event: str
    message: _InboundMessage


class Adapter(Provider):
    """Speaks to Delta."""

    receipt_reply = Acknowledgement(b'{"received":true}', "application/json")

    async def _submit(self, session: aiohttp.ClientSession, submission: Submission) -> Answer:
        path = "/v2/messages"
        message = {
            "reference": submission.reference,
            "to": {"number": submission.number},
            "from": {"name": submission.sender},
            "content": {"text": submission.text},
        }
        body = msgspec.json.encode(message)
        timestamp, nonce = str(int(self.clock().timestamp())), token_hex(16)
        headers = {
            "Authorization": f"Bearer {self.settings.account}",
            "Content-Type": "application/json",
            "X-Delta-Timestamp": timestamp,
            "X-Delta-Nonce": nonce,
            "X-Delta-Signature": self._sign(timestamp, nonce, path, body),
        }
        answer = await self._post(session, path, headers=headers, body=body)
        try:
            told = msgspec.json.decode(answer.body, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._unreadable(answer)
        if told.error is not None:
            return Answer("rejected", CODES.get(told.error.code, "unknown"), told.error.code)
        if told.message is None or answer.status >= 400:
            self._unreadable(answer)
        if told.message.reference != submission.reference:
            raise AnswerUnreadable(WRONG_REFERENCE)
        return self._accepted(told.message.uuid, segments=min(20, max(1, told.message.parts)))

    def _sign(self, timestamp: str, nonce: str, path: str, body: bytes) -> str:
        return "v1=" + self._signature(f"{timestamp}.{nonce}.{path}.".encode() + body)

    def _verify(self, headers: Mapping[str, str], body: bytes, path: str) -> None:
        timestamp, nonce = headers.get("x-delta-timestamp", ""), headers.get("x-delta-nonce", "")
        self._demand(self._sign(timestamp, nonce, path, body), headers.get("x-delta-signature", ""))
        # Nonces are not remembered: what is played again within five minutes tells the same fact, kept once.
        self._demand_recent(timestamp)
        if len(nonce) < 16:
            raise ForgedReceipt("the nonce is missing")

    def _rows(self, body: bytes) -> Sequence[bytes]:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        return [body]

    def _receipt(self, row: bytes) -> ReceiptRow:
        told = msgspec.json.decode(row, type=_Receipt)
        if told.event != "message.state":
            raise RowUnreadable("the event is not message.state")
        return receipt_row(
            reference=told.message.reference,
            status=told.state.name,
            code=told.state.reason.code if told.state.reason else "",
            statuses=STATUSES,
            codes=CODES,
            provider_at=time_utc(told.occurred_at),
            carrier=told.network.name if told.network else "",
        )

    def _inbound(self, row: bytes) -> InboundRow:
        told = msgspec.json.decode(row, type=_Inbound)
        if told.event != "message.inbound":
            raise RowUnreadable("the event is not message.inbound")
        message = told.message
        return inbound_row(message_id=message.uuid, number=message.sender.number, text=message.content.text)
