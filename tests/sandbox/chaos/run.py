"""A small run in which all is well, as the load wrote it down and as the stores hold it; tests break one thing in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pandas as pd

from core.ids import RequestIds
from core.numbers import NumberHash
from sandbox.chaos.checker import Findings, judge
from sandbox.chaos.evidence import FACTS, TOLD, Evidence
from sandbox.chaos.ledger import Call, Ledger
from sandbox.chaos.recount import as_told
from service.providers.base.references import reference_of
from service.stores import schema

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HASH = NumberHash("a secret of the tests, long enough")
READER = "somebody who wrote STOP"
new_id = RequestIds(lambda: NOW)


def rows(table: str, *given: dict[str, Any]) -> pd.DataFrame:
    """A frame with all columns of a table; what is not given is None."""
    return pd.DataFrame(list(given), columns=[column.name for column in schema.metadata.tables[table].columns])


@dataclass
class Run:
    """One verification: sent, entered wrongly, entered rightly, delivered; and one STOP."""

    request_id: UUID = field(default_factory=new_id)
    ledger: Ledger = field(default_factory=Ledger)
    facts: dict[str, pd.DataFrame] = field(default_factory=dict)
    events: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    told: dict[str, pd.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one, when = {"request_id": self.request_id, "attempt": 1}, NOW
        self.call("verify", attempt=1, key="k")
        self.call("check", result="wrong")
        self.call("check", result="approved", is_right=True)
        self.ledger.submissions[reference_of(self.request_id, 1)] = 1
        self.ledger.receipts.add((self.request_id, 1))
        self.ledger.finals[(self.request_id, 1)] = "delivered"
        self.ledger.stops.add(READER)
        self.facts = {
            "requests": rows("requests", {"id": self.request_id, "at": when, "category": "code"}),
            "attempts": rows("attempts", one | {"at": when, "provider": "aurora", "cause": "first"}),
            "outcomes": rows("outcomes", one | {"at": when, "outcome": "accepted", "error_class": ""}),
            "receipts": rows(
                "receipts", one | {"stage": "final", "at": when, "status": "delivered", "error_class": ""}
            ),
            "checks": rows("checks", self.check_row(1, "wrong"), self.check_row(2, "approved")),
            "approvals": rows("approvals", {"request_id": self.request_id, "at": when, "check": 2, "attempt": 1}),
            "inbound": rows("inbound", {"provider": "aurora", "message_hash": "m", "keyword": "stop"}),
            "opt_outs": rows("opt_outs", {"phone_hash": HASH(READER), "message_hash": "m", "keyword": "stop"}),
            "encrypted_numbers": rows("encrypted_numbers", {"request_id": self.request_id}),
        }
        assert set(self.facts) == set(FACTS)
        self.events = {
            "send_events": [(self.request_id, 1)],
            "receipt_events": [(self.request_id, 1, "final")],
            "verify_events": [(self.request_id, 1, "wrong"), (self.request_id, 2, "approved")],
            "inbound_events": [("aurora", "m")],
        }
        self.told = dict(zip(TOLD, as_told(self.facts), strict=True))
        self.told["finals"] = self.told["receipt_events"].copy()

    def call(self, kind: str, *, status: int = 200, **fields: Any) -> Call:
        """Write down one more call."""
        given = {"instance": "a", "at": NOW.timestamp(), "seconds": 0.01, "request_id": self.request_id}
        call = Call(kind=kind, status=status, **(given | fields))
        self.ledger.calls.append(call)
        return call

    def check_row(self, number: int, result: str) -> dict[str, Any]:
        """A row of the checks."""
        at = NOW + timedelta(seconds=number)
        return {
            "request_id": self.request_id,
            "check": number,
            "at": at,
            "attempt": 1,
            "result": result,
            "source": "check",
        }

    def drop(self, table: str) -> None:
        """The store has lost a table's rows."""
        self.facts[table] = self.facts[table].iloc[:0]

    def judged(self) -> Findings:
        """What the checker says."""
        return judge(self.ledger, Evidence(self.facts, self.events, self.told), number_hash=HASH)
