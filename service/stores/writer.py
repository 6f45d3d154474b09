"""What the writing lane does: everything that has gathered, in one transaction; new or not is known for every fact.

Plain INSERTs, all rows of a table in one statement, and only where a key is taken row by row. `INSERT IGNORE` would
hide values that do not fit, and with `ON DUPLICATE KEY UPDATE` the driver's row count is 1 whether the row is new or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Table, func, insert, select, tuple_
from sqlalchemy.exc import DBAPIError

from service.facts import AnyFact, Fact, IdempotencyAnswer, IdempotencyClaim
from service.stores import CheckOrder, CheckVerdict, Claim, schema
from service.stores.database import Contended, Database, is_duplicate
from service.stores.derive import facts_of_verdict, next_verdict
from service.stores.faults import FactRefused, StoreFault


class WriteFacts(msgspec.Struct, frozen=True):
    """One caller's facts: all of them, or none."""

    facts: tuple[AnyFact, ...]


Order = WriteFacts | CheckOrder | IdempotencyClaim
Done = list[bool] | CheckVerdict | Claim
Kind = TypeVar("Kind", bound=Fact)
_Key = tuple[type[Fact], tuple[object, ...]]


class Writer:
    """The work function of the writing lane."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, orders: Sequence[Order]) -> list[Done | BaseException]:
        """An answer for each order. When a value cannot be stored, halving finds whose it is; the others are written."""
        try:
            return list(self._database.run(lambda connection: _write(connection, orders), writes=True))
        except FactRefused as refused:
            if len(orders) == 1:
                return [refused]
            middle = len(orders) // 2
            return self(orders[:middle]) + self(orders[middle:])
        except StoreFault as fault:
            return [fault.again() for _ in orders]


def _write(connection: Connection, orders: Sequence[Order]) -> list[Done]:
    facts = [fact for order in orders for fact in _facts_of(order)]
    fresh = _insert(connection, facts)
    verdicts = iter(_check(connection, [order for order in orders if isinstance(order, CheckOrder)]))
    claims = iter(_claims(connection, [order for order in orders if isinstance(order, IdempotencyClaim)]))
    answers: list[Done] = []
    for order in orders:
        if isinstance(order, WriteFacts):
            answers.append([_take(fresh, fact) for fact in order.facts])
        else:
            answers.append(next(verdicts) if isinstance(order, CheckOrder) else next(claims))
    return answers


def _facts_of(order: Order) -> Sequence[AnyFact]:
    if isinstance(order, WriteFacts):
        return order.facts
    return [order] if isinstance(order, IdempotencyClaim) else []


def _take(fresh: set[_Key], fact: AnyFact) -> bool:
    """Whether the fact is new; told to the first who asks, for two callers may have brought the same one."""
    key = (type(fact), fact.key)
    if key not in fresh:
        return False
    fresh.remove(key)
    return True


def _insert(connection: Connection, facts: Iterable[AnyFact]) -> set[_Key]:
    """Insert what is not there, and return the keys of what was not."""
    rows: dict[type[Fact], dict[tuple[object, ...], AnyFact]] = {}
    for fact in facts:
        rows.setdefault(type(fact), {}).setdefault(fact.key, fact)
    fresh: set[_Key] = set()
    for kind, table in schema.TABLES.items():
        if kind in rows:
            ordered = sorted(rows[kind].values(), key=attrgetter("key"))  # the same order everywhere: fewer deadlocks
            fresh.update((kind, fact.key) for fact in _insert_rows(connection, table, ordered))
    return fresh


def _insert_rows(connection: Connection, table: Table, facts: Sequence[AnyFact]) -> list[AnyFact]:
    statement = insert(table)
    if len(facts) > 1:
        connection.exec_driver_sql("SAVEPOINT rows_of_one_table")
        try:
            connection.execute(statement, [schema.row_of(fact) for fact in facts])
            return list(facts)
        except DBAPIError as error:
            if not is_duplicate(error):
                raise
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT rows_of_one_table")
    return [fact for fact in facts if _insert_row(connection, table, fact)]


def _insert_row(connection: Connection, table: Table, fact: AnyFact) -> bool:
    try:
        connection.execute(insert(table), schema.row_of(fact))
    except DBAPIError as error:
        if not is_duplicate(error):
            raise
        return False
    return True


def _check(connection: Connection, orders: Sequence[CheckOrder]) -> list[CheckVerdict]:
    """Count all `orders` in their order. The row of the request is the lock between instances."""
    if not orders:
        return []
    ids = sorted({order.request_id for order in orders})
    locked = select(schema.requests.c.id).where(schema.requests.c.id.in_(ids)).order_by(schema.requests.c.id)
    connection.execute(locked.with_for_update()).all()
    counts = _counts(connection, ids)
    approved = set(
        connection.scalars(select(schema.approvals.c.request_id).where(schema.approvals.c.request_id.in_(ids)))
    )
    verdicts: list[CheckVerdict] = []
    facts: list[AnyFact] = []
    for order in orders:
        counted, last = counts.get(order.request_id, (0, 0))
        verdict = next_verdict(order, counted=counted, last=last, approved=order.request_id in approved)
        verdicts.append(verdict)
        facts += facts_of_verdict(order, verdict)
        if verdict.check:
            counts[order.request_id] = (counted + 1, verdict.check)
        if verdict.result == "approved":
            approved.add(order.request_id)
    if len(_insert(connection, facts)) != len(facts):
        raise Contended("another instance counted a check at the same moment")
    return verdicts


def _counts(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    checks = schema.checks.c
    query = select(checks.request_id, func.count(), func.max(checks.check)).where(checks.request_id.in_(ids))
    return {row[0]: (row[1], row[2]) for row in connection.execute(query.group_by(checks.request_id))}


def _claims(connection: Connection, claims: Sequence[IdempotencyClaim]) -> list[Claim]:
    """Who holds the keys, now that all `claims` were inserted where nobody had."""
    if not claims:
        return []
    keys = sorted({claim.key for claim in claims}, key=str)
    holders = {row.key: row for row in _select(connection, IdempotencyClaim, keys)}
    answers = {row.key: row for row in _select(connection, IdempotencyAnswer, keys)}
    return [
        Claim(
            ours=holders[claim.key].request_id == claim.request_id,
            holder=holders[claim.key],
            answer=answers.get(claim.key),
        )
        for claim in claims
    ]


def _select(connection: Connection, kind: type[Kind], keys: Sequence[tuple[object, ...]]) -> list[Kind]:
    table = schema.TABLES[kind]
    columns = [table.c[name] for name in kind.key_fields]
    query = select(table).where(tuple_(*columns).in_(keys))
    return [kind(**row._mapping) for row in connection.execute(query)]
