"""Lets go of old facts in the primary store, a small batch at a time: keys of Idempotency-Keys first, then whole requests.

Keys and words of subscribers never grow old. A request goes by the time in its id, so that no index is needed for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, delete, or_, select, tuple_

from service.facts import (
    OWN_APP,
    Approval,
    Attempt,
    AttemptOutcome,
    Check,
    DeliveryReceipt,
    EncryptedNumber,
    InboundMessage,
    Request,
)
from service.stores import Cutoffs, schema

OWN_CLAIMS_KEPT = timedelta(days=3)
"""What instances claim for each other; longer than any of it is asked for."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF_REQUESTS = (EncryptedNumber, Approval, Check, DeliveryReceipt, AttemptOutcome, Attempt)


def purge_some(connection: Connection, cutoffs: Cutoffs, *, batch_max: int) -> int:
    """Delete at most `batch_max` rows, of the first table that has any; returns how many."""
    for table, where in _old(cutoffs):
        keys = _keys(connection, table, where, batch_max)
        if keys:
            columns = list(table.primary_key.columns)
            connection.execute(delete(table).where(tuple_(*columns).in_(keys)))
            return len(keys)
    return 0


def _old(cutoffs: Cutoffs) -> Sequence[tuple[Table, ColumnElement[bool]]]:
    """Tables in the order in which they are emptied: what belongs to a request before the request."""
    floor = first_id_at(cutoffs.facts)
    claims, answers = schema.claims, schema.answers
    inbound = schema.TABLES[InboundMessage]
    own = cutoffs.now - OWN_CLAIMS_KEPT
    is_old = (claims.c.at < cutoffs.claims) & or_(claims.c.app != OWN_APP, claims.c.at < own)
    rows: list[tuple[Table, ColumnElement[bool]]] = [
        (answers, answers.c.at < cutoffs.claims),
        (claims, is_old),
        (schema.probes, schema.probes.c.at < cutoffs.now - timedelta(days=1)),
        (inbound, inbound.c.at < cutoffs.facts),
    ]
    rows += [(schema.TABLES[kind], schema.TABLES[kind].c.request_id < floor) for kind in _OF_REQUESTS]
    rows.append((schema.TABLES[Request], schema.requests.c.id < floor))
    return rows


def _keys(connection: Connection, table: Table, where: ColumnElement[bool], most: int) -> list[tuple[object, ...]]:
    columns = list(table.primary_key.columns)
    return [tuple(row) for row in connection.execute(select(*columns).where(where).limit(most))]


def first_id_at(at: datetime) -> UUID:
    """The smallest id of a request made at `at`."""
    return UUID(int=max(0, (at - _EPOCH) // timedelta(milliseconds=1)) << 80)
