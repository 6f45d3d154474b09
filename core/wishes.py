"""What operators ask another program to do, and what becomes of it. Rows are only ever added.

It promises nothing of who takes a wish up: whoever fulfils wishes sees to it that each is fulfilled once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from core.ids import uuid7_from
from core.warehouse import Warehouse


@dataclass(frozen=True)
class Sort:
    """A sort of wish: what its rows are called in `operator_words`, from being asked to its end."""

    asked: str
    begun: str
    done: str
    failed: str


RETRY = Sort("retry", "retrying", "retried", "not-retried")
"""Dead letters to be tried again, by an ingester."""
RESEND = Sort("resend", "resending", "resent", "not-resent")
"""A report to be sent again, by a scheduler."""

ALL = ""
"""What a wish is about that dead letters of every reason be tried again."""


@dataclass(frozen=True)
class Wish:
    """One wish: `about` says of what. `answer` is empty until its end, and then says how it came out."""

    id: UUID
    asked_at: datetime
    asked_by: str
    about: str
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    answer: str = ""
    failed: bool = False


def ask(warehouse: Warehouse, sort: Sort, *, about: str, by: str, now: datetime) -> Wish:
    """Ask for it. Raises `WarehouseUnavailable`, `WarehouseRefused`."""
    made = Wish(uuid7_from(now, f"{sort.asked}\0{by}\0{about}"), now, by, about)
    _add(warehouse, made.id, sort.asked, at=now, by=by, text=about)
    return made


def begin(warehouse: Warehouse, sort: Sort, wish: Wish, *, by: str, now: datetime) -> None:
    """Say that it was taken up."""
    made = uuid7_from(now, f"{sort.begun}\0{wish.id}\0{by}")
    _add(warehouse, made, sort.begun, at=now, by=by, text="", refers_to=wish.id)


def answer(
    warehouse: Warehouse, sort: Sort, wish: Wish, text: str, *, by: str, now: datetime, failed: bool = False
) -> None:
    """Say how it came out; from then on nobody takes it up again."""
    kind = sort.failed if failed else sort.done
    made = uuid7_from(now, f"{kind}\0{wish.id}\0{by}")
    _add(warehouse, made, kind, at=now, by=by, text=text, refers_to=wish.id)


def asked(warehouse: Warehouse, sort: Sort, *, since: datetime) -> Sequence[Wish]:
    """What was asked since then, oldest first. Where two answered, the first answer stands."""
    sql = f"""
        SELECT id, toUnixTimestamp64Milli(said_at), said_by, text, begun_ms, ended_ms, answer, ending
        FROM operator_words
        LEFT JOIN (
            SELECT
                assumeNotNull(refers_to) AS wish,
                maxIf(toUnixTimestamp64Milli(said_at), kind = '{sort.begun}') AS begun_ms,
                minIf(toUnixTimestamp64Milli(said_at), kind != '{sort.begun}') AS ended_ms,
                argMinIf(text, said_at, kind != '{sort.begun}') AS answer,
                argMinIf(toString(kind), said_at, kind != '{sort.begun}') AS ending
            FROM operator_words
            WHERE kind IN ('{sort.begun}', '{sort.done}', '{sort.failed}') AND refers_to IS NOT NULL
            GROUP BY wish
        ) AS since_then ON since_then.wish = operator_words.id
        WHERE kind = '{sort.asked}' AND said_at >= {{since:DateTime64(3, 'UTC')}}
        ORDER BY said_at, id"""
    rows = warehouse.query_rows(sql, {"since": _text(since)})
    return [
        Wish(id, _moment(at_ms), by, about, _moment(begun) if begun else None, _moment(ended) if ended else None, told,
             ending == sort.failed)
        for id, at_ms, by, about, begun, ended, told, ending in rows
    ]  # fmt: skip


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


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]
