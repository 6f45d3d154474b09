"""Delta's side of its format: JSON with token, nonce and signature in; nested receipts out, one a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hmac import compare_digest
from secrets import token_hex
from uuid import UUID, uuid4

import msgspec
import numpy as np

from core.clock import Clock
from core.events import ErrorClass
from core.numbers import Number
from sandbox.providers.vendor import Call, CallRefused, Order, Reply, Vendor, code_for
from sandbox.world import PlannedReceipt

_REFUSALS: Mapping[ErrorClass, Sequence[str]] = {
    "number": ("recipient_invalid", "recipient_landline"),
    "blocked": ("sender_not_allowed", "content_filtered"),
    "throttled": ("rate_exceeded", "recipient_rate_exceeded"),
    "account": ("funds_insufficient", "destination_not_enabled"),
    "opted_out": ("subscriber_opted_out",),
}
_FAILURES: Mapping[ErrorClass, Sequence[str]] = {
    "handset": ("subscriber_absent", "subscriber_memory_full"),
    "number": ("subscriber_unknown", "subscriber_barred"),
    "blocked": ("content_filtered",),
    "opted_out": ("subscriber_opted_out",),
    "throttled": ("recipient_rate_exceeded",),
    "route": ("network_unreachable", "network_error"),
    "provider": ("platform_error",),
    "expired": ("validity_ended",),
}
_WORDS = {"blocked": "rejected", "opted_out": "rejected", "expired": "expired"}
_NONCES_MAX = 100_000


class _Address(msgspec.Struct):
    number: str


class _Sender(msgspec.Struct):
    name: str = ""


class _Content(msgspec.Struct):
    text: str


class _Message(msgspec.Struct):
    reference: str
    to: _Address
    content: _Content
    sender: _Sender = msgspec.field(name="from", default_factory=_Sender)


class Delta(Vendor):
    """The vendor."""

    def __init__(self, *, account: str, secret: str, clock: Clock, rng: np.random.Generator) -> None:
        super().__init__(account=account, secret=secret, clock=clock, rng=rng)
        self._nonces: dict[str, None] = {}

    def order(self, call: Call) -> Order:
        self._admit(call)
        if call.path != "/v2/messages":
            raise CallRefused(Reply(404, b"not found", "text/plain"))
        try:
            message = msgspec.json.decode(call.body, type=_Message)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise CallRefused(_error(400, "body_invalid")) from None
        return Order(message.reference, message.to.number, message.content.text, message.sender.name)

    def yes(self, order: Order) -> Reply:
        message = {"uuid": _uuid(order), "reference": order.reference, "parts": 1, "state": {"name": "accepted"}}
        return Reply(202, msgspec.json.encode({"message": message}))

    def no(self, order: Order, code: str) -> Reply:
        return _error(422, code)

    def refusal_code(self, error_class: ErrorClass) -> str:
        return code_for(self, _REFUSALS, error_class, unlisted="moon_in_retrograde")

    def receipt(self, order: Order, planned: PlannedReceipt, at: datetime) -> bytes:
        state: dict[str, object] = {"name": {"pending": "buffered", "delivered": "delivered"}.get(planned.status, "")}
        if planned.status == "failed":
            code = code_for(self, _FAILURES, planned.error_class, unlisted="moon_in_retrograde")
            state = {"name": _WORDS.get(planned.error_class, "undeliverable"), "reason": {"code": code}}
        told: dict[str, object] = {
            "event": "message.state",
            "message": {"uuid": _uuid(order), "reference": order.reference},
            "state": state,
            "occurred_at": at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if planned.names_carrier:
            told["network"] = {"name": planned.names_carrier}
        return msgspec.json.encode(told)

    def inbound(self, number: Number, text: str) -> bytes:
        message = {"uuid": str(uuid4()), "from": {"number": number.e164}, "content": {"text": text}}
        return msgspec.json.encode({"event": "message.inbound", "message": message})

    def body(self, rows: Sequence[bytes]) -> bytes:
        return rows[0]

    def sign(self, path: str, body: bytes) -> dict[str, str]:
        timestamp, nonce = self.timestamp(), token_hex(16)
        return {
            "Content-Type": "application/json",
            "X-Delta-Timestamp": timestamp,
            "X-Delta-Nonce": nonce,
            "X-Delta-Signature": self._signature(timestamp, nonce, path, body),
        }

    def _admit(self, call: Call) -> None:
        if call.headers.get("authorization") != f"Bearer {self.account}":
            raise CallRefused(_error(401, "token_invalid"))
        timestamp, nonce = call.headers.get("x-delta-timestamp", ""), call.headers.get("x-delta-nonce", "")
        expected = self._signature(timestamp, nonce, call.path, call.body)
        signed = compare_digest(call.headers.get("x-delta-signature", "").encode(), expected.encode())
        if not signed or not self.recent(timestamp) or not self._fresh(nonce):
            raise CallRefused(_error(401, "signature_invalid"))

    def _fresh(self, nonce: str) -> bool:
        if nonce in self._nonces:
            return False
        self._nonces[nonce] = None
        if len(self._nonces) > _NONCES_MAX:
            del self._nonces[next(iter(self._nonces))]
        return True

    def _signature(self, timestamp: str, nonce: str, path: str, body: bytes) -> str:
        return "v1=" + self.hmac(f"{timestamp}.{nonce}.{path}.".encode() + body)


def _uuid(order: Order) -> str:
    return str(UUID(hex=order.message_id))


def _error(status: int, code: str) -> Reply:
    return Reply(status, msgspec.json.encode({"error": {"code": code}}))
