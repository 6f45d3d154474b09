"""A little traffic, the same every time: two providers, three carriers (one unknown), receipts for nine of ten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from core.events import AnyEvent, Receipt, Send, Verify, encode_lines
from core.ids import uuid7_from
from core.warehouse import Warehouse

PROVIDERS = ("aurora", "beacon")
CARRIERS = ("Vodafone", "O2", "")
_EVERY = timedelta(minutes=10)


def load(warehouse: Warehouse, *, until: datetime, hours: int, delivered_of_ten: int = 9, phone_hash: str = "") -> int:
    """Insert the traffic of the hours before `until`; returns how many attempts that is."""
    sends: list[AnyEvent] = []
    receipts: list[AnyEvent] = []
    checks: list[AnyEvent] = []
    for number, (at, provider, carrier) in enumerate(_moments(until, hours)):
        request = uuid7_from(at, f"{at.isoformat()}{provider}{carrier}{number}")
        names = {"provider": provider, "country": "DE", "region": "Berlin", "app": "shop", "purpose": "login"}
        sends.append(
            Send(
                at=at,
                request_id=request,
                attempt=1,
                category="code",
                cause="first",
                outcome="accepted",
                carrier=carrier,
                template="login",
                phone_hash=phone_hash,
                **names,
            )
        )
        status = "delivered" if number % 10 < delivered_of_ten else "failed"
        receipts.append(Receipt(at=at + timedelta(seconds=4), request_id=request, attempt=1, status=status))
        if status == "delivered":
            checks.append(
                Verify(at=at + timedelta(seconds=20), request_id=request, attempt=1, check=1, result="approved")
            )
    for kind, events in (("send", sends), ("receipt", receipts), ("verify", checks)):
        warehouse.insert_json(f"{kind}_events", encode_lines(events))
    return len(sends)


def _moments(until: datetime, hours: int) -> Iterator[tuple[datetime, str, str]]:
    at = until - timedelta(hours=hours)
    while at < until:
        for provider in PROVIDERS:
            for place, carrier in enumerate(CARRIERS):
                # Vodafone has three times the traffic of the unknown carrier.
                for _ in range(len(CARRIERS) - place):
                    yield at, provider, carrier
        at += _EVERY
