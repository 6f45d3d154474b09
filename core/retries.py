"""Dead letters to be tried again: what operators ask for, and what an ingester answers. Both are only ever added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from core.ids import uuid7_from
from core.warehouse import Warehouse

ALL = ""
"""The reason that stands for every reason."""

_ASKED, _ANSWERED = "retry", "retried"


@dataclass(frozen=True)
class Retry:
    """One wish to try the letters again that were given up for `reason`. `answer` is empty until it was fulfilled."""

    id: UUID
    asked_at: datetime
    asked_by: str
    reason: str
    answer: str = ""


def ask(warehouse: Warehouse, *, reason: str, by: str, now: datetime) -> Retry:
    """Ask for it; an ingester takes it up within seconds. Raises `WarehouseUnavailable`, `WarehouseRefused`."""
    made = Retry(uuid7_from(now, f"{_ASKED}\0{by}\0{reason}"), now, by, reason)
    _add(warehouse, made.id, _ASKED, at=now, by=by, text=reason)
    return made


def answer(warehouse: Warehouse, retry: Retry, text: str, *, by: str, now: datetime) -> None:
    """Say what became of it; from then on nobody takes it up again."""
    made = uuid7_from(now, f"{_ANSWERED}\0{retry.id}\0{by}")
    _add(warehouse, made, _ANSWERED, at=now, by=by, text=text, refers_to=retry.id)


def asked(warehouse: Warehouse, *, since: datetime) -> Sequence[Retry]:
    """What was asked since then, oldest first. Where two ingesters took it up, the first answer stands."""
    sql = f"""
        SELECT id, toUnixTimestamp64Milli(said_at), said_by, text, ifNull(answer, '')
        FROM operator_words
        LEFT JOIN (
            SELECT assumeNotNull(refers_to) AS answered, argMin(text, said_at) AS answer
            FROM operator_words WHERE kind = '{_ANSWERED}' AND refers_to IS NOT NULL GROUP BY answered
        ) AS answers ON answers.answered = operator_words.id
        WHERE kind = '{_ASKED}' AND said_at >= {{since:DateTime64(3, 'UTC')}}
        ORDER BY said_at, id"""
    rows = warehouse.query_rows(sql, {"since": _text(since)})
    return [
        Retry(id, datetime.fromtimestamp(at_ms / 1000, UTC), by, reason, told) for id, at_ms, by, reason, told in rows
    ]


def _add(
    warehouse: Warehouse, made: UUID, kind: str, *, at: datetime, by: str, text: str, refers_to: UUID | None = None
) -> None:
    row = {
        "id": str(made),
        "said_at": _text(at),
        "said_by": by[:100],
        "kind": kind,
        "scope": "{}",
        "refers_to": str(refers_to) if refers_to else None,
        "text": text,
    }
    warehouse.insert_json("operator_words", json.dumps(row).encode())


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]
