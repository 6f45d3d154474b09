"""Aurora's side of its format: JSON and basic auth in, signed forms out, one a call; it often names the carrier."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from hmac import compare_digest
from urllib.parse import parse_qsl, urlencode

import msgspec

from core.events import ErrorClass
from core.numbers import Number
from sandbox.providers.vendor import Call, CallRefused, Order, Reply, Vendor, code_for
from sandbox.world import PlannedReceipt

_REFUSALS: Mapping[ErrorClass, Sequence[str]] = {
    "number": ("52001", "52002"),
    "blocked": ("52004", "52005"),
    "throttled": ("52006",),
    "account": ("51003", "51004"),
    "opted_out": ("52003",),
}
_FAILURES: Mapping[ErrorClass, Sequence[str]] = {
    "handset": ("53001", "53002"),
    "number": ("53003",),
    "blocked": ("53004",),
    "opted_out": ("53009",),
    "throttled": ("53008",),
    "route": ("53005", "53006"),
    "provider": ("59001",),
    "expired": ("53007",),
}


class _Message(msgspec.Struct, rename={"to": "To", "body": "Body", "reference": "ClientReference", "sender": "From"}):
    to: str
    body: str
    reference: str
    sender: str = ""


class Aurora(Vendor):
    """The vendor."""

    def order(self, call: Call) -> Order:
        expected = "Basic " + b64encode(self.account.encode() + b":" + self._secret).decode()
        if not compare_digest(call.headers.get("authorization", "").encode(), expected.encode()):
            raise CallRefused(_failed(401, "51001", ""))
        if call.path != f"/accounts/{self.account}/messages.json":
            raise CallRefused(Reply(404, b"not found", "text/plain"))
        try:
            message = msgspec.json.decode(call.body, type=_Message)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise CallRefused(Reply(400, b"not a message", "text/plain")) from None
        return Order(message.reference, message.to, message.body, message.sender)

    def yes(self, order: Order) -> Reply:
        answer = {
            "sid": "SM" + order.message_id,
            "status": "queued",
            "error_code": None,
            "client_reference": order.reference,
        }
        return Reply(201, msgspec.json.encode(answer))

    def no(self, order: Order, code: str) -> Reply:
        return _failed(400, code, order.reference)

    def refusal_code(self, error_class: ErrorClass) -> str:
        return code_for(self, _REFUSALS, error_class, unlisted="58888")

    def receipt(self, order: Order, planned: PlannedReceipt, at: datetime) -> bytes:
        words = {"pending": "sent", "delivered": "delivered", "failed": "undelivered"}
        form = {
            "MessageSid": "SM" + order.message_id,
            "MessageStatus": words[planned.status],
            "ClientReference": order.reference,
            "Timestamp": at.isoformat(timespec="seconds"),
        }
        if planned.status == "failed":
            form["ErrorCode"] = code_for(self, _FAILURES, planned.error_class, unlisted="59999")
        if planned.names_carrier:
            form["Carrier"] = planned.names_carrier
        return urlencode(form).encode()

    def inbound(self, number: Number, text: str) -> bytes:
        order = Order("", number.e164, text)
        return urlencode({"MessageSid": "SM" + order.message_id, "From": number.e164, "Body": text}).encode()

    def body(self, rows: Sequence[bytes]) -> bytes:
        return rows[0]

    def sign(self, path: str, body: bytes) -> dict[str, str]:
        timestamp = self.timestamp()
        pairs = sorted(parse_qsl(body.decode(), keep_blank_values=True))
        return {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Aurora-Timestamp": timestamp,
            "X-Aurora-Signature": self.hmac("\n".join((timestamp, path, urlencode(pairs))).encode()),
        }


def _failed(status: int, code: str, reference: str) -> Reply:
    answer = {"sid": None, "status": "failed", "error_code": int(code), "client_reference": reference}
    return Reply(status, msgspec.json.encode(answer))
