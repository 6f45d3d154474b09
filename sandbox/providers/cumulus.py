"""Cumulus' side of its format: forms in, a line of text out, receipts as signed CSV lines in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hmac import compare_digest
from urllib.parse import parse_qsl, quote
from uuid import uuid4

from core.events import ErrorClass
from core.numbers import Number
from sandbox.providers.vendor import Call, CallRefused, Order, Reply, Vendor, code_for
from sandbox.world import PlannedReceipt

_REFUSALS: Mapping[ErrorClass, Sequence[str]] = {
    "number": ("110", "111"),
    "blocked": ("120", "121"),
    "throttled": ("130",),
    "account": ("102",),
    "opted_out": ("112",),
    "route": ("140",),
}
_FAILURES: Mapping[ErrorClass, Sequence[tuple[str, str]]] = {
    "handset": (("2", "10"), ("2", "11")),
    "number": (("2", "12"), ("2", "13")),
    "blocked": (("5", "20"), ("5", "21")),
    "opted_out": (("5", "22"),),
    "throttled": (("2", "32"),),
    "route": (("2", "30"), ("2", "31")),
    "provider": (("2", "90"),),
    "expired": (("3", "0"), ("3", "40")),
    "unknown": (("2", "77"),),
}


class Cumulus(Vendor):
    """The vendor."""

    batches = True
    acknowledgement = b"OK"

    def order(self, call: Call) -> Order:
        if call.path != "/sms/submit":
            raise CallRefused(Reply(404, b"not found", "text/plain"))
        try:
            form = dict(parse_qsl(call.body.decode(), errors="strict", max_num_fields=32))
        except ValueError:
            raise CallRefused(_line("ERR:199")) from None
        reference, stamp = form.get("id", ""), form.get("stamp", "")
        expected = self.hmac(f"{self.account}:{stamp}:{reference}".encode())
        if not compare_digest(form.get("token", "").encode(), expected.encode()) or not self.recent(stamp):
            raise CallRefused(_line("ERR:101"))
        return Order(reference, "+" + form.get("to", ""), form.get("text", ""), form.get("from", ""), reference)

    def yes(self, order: Order) -> Reply:
        return _line(f"OK:{order.reference}")

    def no(self, order: Order, code: str) -> Reply:
        return _line(f"ERR:{code}")

    def refusal_code(self, error_class: ErrorClass) -> str:
        return code_for(self, _REFUSALS, error_class, unlisted="177")

    def receipt(self, order: Order, planned: PlannedReceipt, at: datetime) -> bytes:
        status, reason = {"pending": ("4", "0"), "delivered": ("1", "0")}.get(planned.status, ("", ""))
        if not status:
            choices = _FAILURES.get(planned.error_class, _FAILURES["unknown"])
            status, reason = choices[int(self._rng.integers(len(choices)))]
        return f"{order.reference},{status},{reason},{int(at.timestamp())}".encode()

    def inbound(self, number: Number, text: str) -> bytes:
        return f"{uuid4().hex},{number.e164.removeprefix('+')},{quote(text, safe='')}".encode()

    def body(self, rows: Sequence[bytes]) -> bytes:
        return b"\n".join(rows) + b"\n"

    def sign(self, path: str, body: bytes) -> dict[str, str]:
        return {"Content-Type": "text/csv", "X-Signature": self.hmac(path.encode() + b"\n" + body)}


def _line(text: str) -> Reply:
    return Reply(200, text.encode(), "text/plain")
