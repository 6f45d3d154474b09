"""Events told in a line each: who, what the provider answered, what came back. Seconds count from `START`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from core.events import Event, Receipt, Send, Verify, encode_lines
from core.ids import uuid7_from
from core.warehouse import Warehouse

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

TABLES = {"send": "send_events", "receipt": "receipt_events", "verify": "verify_events", "inbound": "inbound_events"}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def tell(warehouse: Warehouse, events: Iterable[Event]) -> None:
    """Insert events in their order, neighbours of one kind together."""
    run: list[Event] = []
    for event in events:
        if run and run[0].kind != event.kind:
            warehouse.insert_json(TABLES[run[0].kind], encode_lines(run))
            run = []
        run.append(event)
    if run:
        warehouse.insert_json(TABLES[run[0].kind], encode_lines(run))


class Request:
    """What happens to one request, collected as events."""

    def __init__(self, name: str, *, seconds: float = 0, **dimensions: str) -> None:
        self.seconds = seconds
        self.id = uuid7_from(at(seconds), name)
        self.events: list[Event] = []
        self.dimensions = {
            "provider": "aurora",
            "carrier": "north",
            "country": "DE",
            "region": "BE",
            "app": "shop",
            "purpose": "login",
            "template": "code",
        } | dimensions

    def sent(self, outcome: str = "accepted", *, attempt: int = 1, after: float = 0, **fields: Any) -> Request:
        """An attempt, `after` seconds into the request."""
        cause = "first" if attempt == 1 else "resend"
        told = {"category": "code", "cause": cause} | self.dimensions | fields
        moment = at(self.seconds + after)
        self.events.append(Send(request_id=self.id, attempt=attempt, at=moment, outcome=outcome, **told))  # type: ignore[arg-type]
        return self

    def receipt(self, status: str, after: float, *, attempt: int = 1, **fields: Any) -> Request:
        """A receipt, `after` seconds into the request."""
        moment = at(self.seconds + after)
        self.events.append(Receipt(request_id=self.id, attempt=attempt, at=moment, status=status, **fields))  # type: ignore[arg-type]
        return self

    def check(self, result: str, after: float, *, attempt: int = 1, **fields: Any) -> Request:
        """A check, `after` seconds into the request; `attempt` is the one whose code was entered, 0 for nobody's."""
        number = 1 + sum(event.kind == "verify" for event in self.events)
        moment = at(self.seconds + after)
        told = {"check": number} | fields
        self.events.append(Verify(request_id=self.id, attempt=attempt, at=moment, result=result, **told))  # type: ignore[arg-type]
        return self


def all_of(*requests: Request) -> list[Event]:
    return [event for request in requests for event in request.events]
