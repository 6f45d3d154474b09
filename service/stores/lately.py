"""What was written in a span of time, of the kinds that the warehouse is told of by whoever writes them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from service.facts import AnyFact, AttemptOutcome, Check, Fact
from service.stores import schema
from service.stores.old_facts import first_id_at

KINDS: tuple[type[Fact], ...] = (AttemptOutcome, Check)


def made_between(
    connection: Connection, *, begun: tuple[datetime, datetime], made: tuple[datetime, datetime]
) -> list[AnyFact]:
    """Outcomes and checks made within a span, of requests that were begun within another: those are found by their key."""
    found: list[AnyFact] = []
    for kind in KINDS:
        table = schema.TABLES[kind]
        request_id, at = table.c.request_id, table.c.at
        query = select(table).where(
            request_id >= first_id_at(begun[0]), request_id < first_id_at(begun[1]), at >= made[0], at <= made[1]
        )
        found += [kind(**row._mapping) for row in connection.execute(query)]  # type: ignore[misc]
    return found
