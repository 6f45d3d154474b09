"""Beacon's side of its format: signed JSON in, receipts in batches with the codes of CMPP gateways, in China's time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from hmac import compare_digest
from uuid import uuid4

import msgspec
import phonenumbers

from core.events import ErrorClass
from core.numbers import Number
from sandbox.providers.vendor import Call, CallRefused, Order, Reply, Vendor, code_for
from sandbox.world import PlannedReceipt

_REFUSALS: Mapping[ErrorClass, Sequence[str]] = {
    "number": ("InvalidParameter.Number",),
    "blocked": ("InvalidParameter.Template", "InvalidParameter.Signature", "Rejected.BlackList"),
    "throttled": ("LimitExceeded.Number", "LimitExceeded.Rate"),
    "account": ("Account.Balance",),
    "opted_out": ("Rejected.Unsubscribed",),
}
_FAILURES: Mapping[ErrorClass, Sequence[tuple[str, str]]] = {
    "handset": (("UNDELIV", "MK:0004"), ("UNDELIV", "MK:0005"), ("UNDELIV", "MI:0013"), ("UNDELIV", "MI:0024")),
    "number": (("UNDELIV", "MK:0001"), ("UNDELIV", "MN:0001")),
    "blocked": (("REJECTD", "DB:0141"), ("REJECTD", "DB:0142"), ("UNDELIV", "MB:1077")),
    "opted_out": (("REJECTD", "DB:0144"),),
    "throttled": (("UNDELIV", "MB:1042"), ("REJECTD", "DB:0108")),
    "route": (("UNDELIV", "MB:0069"), ("UNDELIV", "DB:0119"), ("UNDELIV", "MN:0041")),
    "provider": (("UNDELIV", "DB:0309"),),
    "expired": (("EXPIRED", ""), ("EXPIRED", "MI:0029")),
    "unknown": (("UNDELIV", "XA:9999"),),
}
_CHINA = timezone(timedelta(hours=8))


class _Message(msgspec.Struct, rename="pascal"):
    phone_number_set: list[str]
    content: str
    session_context: str
    sign_name: str = ""


class Beacon(Vendor):
    """The vendor."""

    batches = True
    acknowledgement = b'{"code":0,"msg":"ok"}'

    def order(self, call: Call) -> Order:
        timestamp = call.headers.get("x-beacon-timestamp", "")
        expected = self._signature(timestamp, call.path, call.body)
        signed = compare_digest(call.headers.get("x-beacon-signature", "").encode(), expected.encode())
        if not signed or not self.recent(timestamp) or call.headers.get("x-beacon-key") != self.account:
            raise CallRefused(_error("Account.Unauthorized"))
        if call.path != "/v3/sms/send":
            raise CallRefused(Reply(404, b"not found", "text/plain"))
        try:
            message = msgspec.json.decode(call.body, type=_Message)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise CallRefused(_error("InvalidParameter.Body")) from None
        if len(message.phone_number_set) != 1:
            raise CallRefused(_error("InvalidParameter.Number"))
        return Order(message.session_context, message.phone_number_set[0], message.content, message.sign_name)

    def yes(self, order: Order) -> Reply:
        return _status(order, "Ok", "send success")

    def no(self, order: Order, code: str) -> Reply:
        return _status(order, code, "send failed")

    def refusal_code(self, error_class: ErrorClass) -> str:
        return code_for(self, _REFUSALS, error_class, unlisted="FailedOperation.Unlisted")

    def receipt(self, order: Order, planned: PlannedReceipt, at: datetime) -> bytes:
        word, code = {"pending": ("ENROUTE", ""), "delivered": ("DELIVRD", "000")}.get(planned.status, ("", ""))
        if not word:
            choices = _FAILURES.get(planned.error_class, _FAILURES["unknown"])
            word, code = choices[int(self._rng.integers(len(choices)))]
        row = {
            "sid": order.message_id,
            "session": order.reference,
            "mobile": order.number.removeprefix("+"),
            "report_status": word,
            "errcode": code,
            "user_receive_time": at.astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S"),
        }
        return msgspec.json.encode(row)

    def inbound(self, number: Number, text: str) -> bytes:
        parsed = phonenumbers.parse(number.e164)
        row = {
            "serial": uuid4().hex,
            "nationcode": str(parsed.country_code),
            "mobile": phonenumbers.national_significant_number(parsed),
            "content": text,
        }
        return msgspec.json.encode(row)

    def body(self, rows: Sequence[bytes]) -> bytes:
        return b"[" + b",".join(rows) + b"]"

    def sign(self, path: str, body: bytes) -> dict[str, str]:
        timestamp = self.timestamp()
        return {
            "Content-Type": "application/json",
            "X-Beacon-Timestamp": timestamp,
            "X-Beacon-Signature": self._signature(timestamp, path, body),
        }

    def _signature(self, timestamp: str, path: str, body: bytes) -> str:
        return self.hmac("\n".join((timestamp, path, sha256(body).hexdigest())).encode())


def _status(order: Order, code: str, message: str) -> Reply:
    status = {
        "SerialNo": order.message_id if code == "Ok" else "",
        "PhoneNumber": order.number,
        "Fee": 1 if code == "Ok" else 0,
        "SessionContext": order.reference,
        "Code": code,
        "Message": message,
    }
    answer = {"Response": {"SendStatusSet": [status], "RequestId": uuid4().hex}}
    return Reply(200, msgspec.json.encode(answer))


def _error(code: str) -> Reply:
    answer = {"Response": {"Error": {"Code": code, "Message": "refused"}, "RequestId": uuid4().hex}}
    return Reply(200, msgspec.json.encode(answer))
