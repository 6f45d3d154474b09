"""What operators say about incidents: silences and maintenance windows by scope and time, comments; and what was deployed
when. Only ever added to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

import pandas as pd

from core.errors import BadInput
from core.events import DIMENSIONS
from core.ids import uuid7_from
from core.warehouse import Warehouse
from metrics.catalogue import known
from metrics.cohorts import text
from metrics.detection.incidents import Scope

WordKind = Literal["silence", "maintenance", "comment", "deployment", "withdrawn"]

_TEXT_MAX = 2_000


@dataclass(frozen=True)
class Word:
    """One thing an operator said. A silence keeps alerts quiet; in a maintenance window incidents are expected.

    Both hold for [start, end) and for the messages in `scope`; or for the one incident that `incident_id` names.
    A deployment was at `start`, of what `scope` names, and quiets nothing.
    """

    kind: WordKind
    said_by: str
    text: str = ""
    scope: Scope | None = None
    start: datetime | None = None
    end: datetime | None = None
    incident_id: str = ""
    refers_to: UUID | None = None
    said_at: datetime | None = None
    id: UUID | None = None

    def quiets(self, *, incident_id: str, scope: Scope, at: datetime) -> bool:
        """Whether it keeps quiet about an incident of this scope at that moment."""
        if self.kind not in ("silence", "maintenance"):
            return False
        if (self.start and at < self.start) or (self.end and at >= self.end):
            return False
        if self.incident_id:
            return self.incident_id == incident_id
        mine = self.scope or {}
        return all(name in scope and set(scope[name]) <= set(values) for name, values in mine.items())


def say(warehouse: Warehouse, word: Word, *, now: datetime) -> Word:
    """Write one word, and nothing else. Returns it with its id. Raises `BadInput`, `WarehouseUnavailable`."""
    check(word)
    made = uuid7_from(now, f"{word.said_by}\0{word.kind}\0{word.text}\0{word.incident_id}\0{_scope_text(word.scope)}")
    row = {
        "id": str(made),
        "said_at": text(now),
        "said_by": word.said_by[:100],
        "kind": word.kind,
        "scope": _scope_text(word.scope),
        "start": text(word.start) if word.start else None,
        "end": text(word.end) if word.end else None,
        "incident_id": word.incident_id,
        "refers_to": str(word.refers_to) if word.refers_to else None,
        "text": word.text,
    }
    warehouse.insert_json("operator_words", json.dumps(row).encode())
    return Word(**{**word.__dict__, "said_at": now, "id": made})


def words_at(warehouse: Warehouse, at: datetime, *, ahead: timedelta = timedelta(0)) -> Sequence[Word]:
    """The silences and maintenance windows that were not withdrawn and hold at that moment, or within the time ahead of
    it; oldest first."""
    sql = """
        SELECT * FROM operator_words
        WHERE kind IN ('silence', 'maintenance') AND (start IS NULL OR start <= {until:DateTime64(3, 'UTC')})
          AND (end IS NULL OR end > {at:DateTime64(3, 'UTC')})
          AND id NOT IN (SELECT assumeNotNull(refers_to) FROM operator_words WHERE kind = 'withdrawn' AND refers_to IS NOT NULL)
        ORDER BY said_at, id"""
    return _words(warehouse, sql, {"at": text(at), "until": text(at + ahead)})


def maintenance_between(warehouse: Warehouse, start: datetime, end: datetime) -> Sequence[Word]:
    """The maintenance windows that hold at any moment of [start, end) and were not withdrawn, oldest first."""
    sql = """
        SELECT * FROM operator_words
        WHERE kind = 'maintenance' AND (start IS NULL OR start < {end:DateTime64(3, 'UTC')})
          AND end > {start:DateTime64(3, 'UTC')}
          AND id NOT IN (SELECT assumeNotNull(refers_to) FROM operator_words WHERE kind = 'withdrawn' AND refers_to IS NOT NULL)
        ORDER BY said_at, id"""
    return _words(warehouse, sql, {"start": text(start), "end": text(end)})


def deployments_between(warehouse: Warehouse, start: datetime, end: datetime) -> Sequence[Word]:
    """The deployments in [start, end) that were not withdrawn, oldest first."""
    sql = """
        SELECT * FROM operator_words
        WHERE kind = 'deployment' AND start >= {start:DateTime64(3, 'UTC')} AND start < {end:DateTime64(3, 'UTC')}
          AND id NOT IN (SELECT assumeNotNull(refers_to) FROM operator_words WHERE kind = 'withdrawn' AND refers_to IS NOT NULL)
        ORDER BY start, said_at, id"""
    return _words(warehouse, sql, {"start": text(start), "end": text(end)})


def words_between(warehouse: Warehouse, start: datetime, end: datetime) -> Sequence[Word]:
    """Everything said in [start, end), withdrawn or not, oldest first."""
    sql = """
        SELECT * FROM operator_words
        WHERE said_at >= {start:DateTime64(3, 'UTC')} AND said_at < {end:DateTime64(3, 'UTC')} ORDER BY said_at, id"""
    return _words(warehouse, sql, {"start": text(start), "end": text(end)})


def comments_on(warehouse: Warehouse, incident_id: str) -> Sequence[Word]:
    """Everything said of one incident, oldest first."""
    sql = "SELECT * FROM operator_words WHERE incident_id = {incident_id:String} ORDER BY said_at, id"
    return _words(warehouse, sql, {"incident_id": incident_id})


def check(word: Word) -> None:
    """Whether it can be said. Raises `BadInput`."""
    known(word.kind, get_args(WordKind), what="kind of word")
    if not word.said_by.strip():
        raise BadInput("a word needs the name of who says it")
    if len(word.text) > _TEXT_MAX:
        raise BadInput(f"a word has at most {_TEXT_MAX} characters")
    for name in word.scope or {}:
        known(name, DIMENSIONS, what="dimension")
    for moment in (word.start, word.end):
        if moment is not None and moment.tzinfo is None:
            raise BadInput("start and end need a time zone")
    if word.start and word.end and word.start >= word.end:
        raise BadInput("a silence must begin before it ends")
    if word.kind in ("silence", "maintenance") and word.end is None:
        raise BadInput("a silence needs an end", hint="a silence for ever hides the next fault; say when it is over")
    if word.kind == "comment" and not word.incident_id:
        raise BadInput("a comment needs the incident it is about")
    if word.kind == "deployment" and not word.text.strip():
        raise BadInput("say what was deployed", hint='a name and a version, such as "checkout 4.2"')
    if word.kind == "deployment" and word.start is None:
        raise BadInput("a deployment needs its time")
    if word.kind == "withdrawn" and word.refers_to is None:
        raise BadInput("a withdrawal needs the word that it takes back")


def _words(warehouse: Warehouse, sql: str, parameters: Mapping[str, Any]) -> Sequence[Word]:
    return [_word(row) for row in warehouse.query_df(sql, parameters).to_dict("records")]


def _word(row: Mapping[Any, Any]) -> Word:
    return Word(
        kind=row["kind"],
        said_by=row["said_by"],
        text=row["text"],
        scope={name: tuple(values) for name, values in json.loads(row["scope"]).items()},
        start=_moment(row["start"]),
        end=_moment(row["end"]),
        incident_id=row["incident_id"],
        refers_to=row["refers_to"] if isinstance(row["refers_to"], UUID) else None,
        said_at=_moment(row["said_at"]),
        id=row["id"],
    )


def _scope_text(scope: Scope | None) -> str:
    return json.dumps({name: list(values) for name, values in sorted((scope or {}).items())}, ensure_ascii=False)


def _moment(value: pd.Timestamp | None) -> datetime | None:
    if value is None or pd.isna(value):
        return None
    moment: datetime = value.to_pydatetime()
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
