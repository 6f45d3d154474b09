"""Facts for tests: made of random words, the same for the same key, without any number or code."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

from core.ids import RequestIds
from service.facts import Approval, Attempt, AttemptOutcome, Check, DeliveryReceipt, OptOut, Request
from service.stores import CheckOrder

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
_ids = RequestIds(lambda: datetime.now(UTC))


def new_id() -> UUID:
    return _ids()


def new_hash() -> str:
    return secrets.token_hex(16)


def request(**fields: Any) -> Request:
    given = {
        "id": new_id(),
        "at": NOW,
        "kind": "verification",
        "category": "code",
        "app": "shop",
        "purpose": "login",
        "template": "code",
        "locale": "en",
        "phone_hash": new_hash(),
        "country": "DE",
        "region": "Hessen",
        "carrier": "Südnetz 中",
        "expires_at": NOW + timedelta(minutes=10),
    }
    return Request(**(given | fields))


def attempt(of: Request, number: int = 1, **fields: Any) -> Attempt:
    given = {"at": of.at + timedelta(seconds=number), "provider": "aurora", "cause": "first"}
    return Attempt(request_id=of.id, attempt=number, phone_hash=of.phone_hash, category=of.category, **(given | fields))


def outcome(of: Request, number: int = 1, **fields: Any) -> AttemptOutcome:
    given = {"at": of.at + timedelta(seconds=number), "outcome": "accepted", "provider_reference": f"r{number}"}
    return AttemptOutcome(request_id=of.id, attempt=number, **(given | fields))


def receipt(of: Request, number: int = 1, stage: str = "final", **fields: Any) -> DeliveryReceipt:
    status = "delivered" if stage == "final" else "pending"
    given = {"at": of.at + timedelta(seconds=5), "provider": "aurora", "status": status, "raw_status": "DELIVRD"}
    return DeliveryReceipt(request_id=of.id, attempt=number, stage=stage, **(given | fields))


def check(of: Request, number: int, **fields: Any) -> Check:
    given = {"at": of.at + timedelta(seconds=20 + number), "attempt": 0, "result": "wrong"}
    return Check(request_id=of.id, check=number, **(given | fields))


def approval(of: Request, number: int = 1, **fields: Any) -> Approval:
    given = {"at": of.at + timedelta(seconds=30), "attempt": 1}
    return Approval(request_id=of.id, check=number, **(given | fields))


def opt_out(phone_hash: str, **fields: Any) -> OptOut:
    given = {"message_hash": new_hash(), "at": NOW, "keyword": "stop"}
    return OptOut(phone_hash=phone_hash, **(given | fields))


def order(of: Request, *, attempt: int = 0, expired: bool = False, checks_max: int = 5, at: int = 0) -> CheckOrder:
    entered_at = of.at + timedelta(seconds=40, microseconds=at)
    return CheckOrder(request_id=of.id, at=entered_at, attempt=attempt, expired=expired, checks_max=checks_max)


def digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
