"""Lets go of old facts in the primary store, a small batch at a time: keys of Idempotency-Keys first, then whole requests.

Keys and words of subscribers never grow old. A request goes by the time in its id, so that no index is needed for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Table, delete, or_, select, tuple_

from service.facts import (
    FOLLOWS,
    OWN_APP,
    Approval,
    Attempt,
    AttemptOutcome,
    Check,
    DeliveryReceipt,
    EncryptedNumber,
    InboundMessage,
)
from service.stores import Cutoffs, schema

OWN_CLAIMS_KEPT = timedelta(days=3)
"""What instances claim for each other; longer than any of it is asked for."""
CHAINS_KEPT = timedelta(days=30)
"""A key that is used anew after its time is found by way of the old claim, so the last of a chain goes first. A key in daily
use would keep all of its claims: what is older than this goes, and then such a key may count anew once, a little early."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF_REQUESTS = (EncryptedNumber, Approval, Check, DeliveryReceipt, AttemptOutcome, Attempt)


def purge_some(connection: Connection, cutoffs: Cutoffs, *, batch_max: int) -> int:
    """Delete at most `batch_max` rows, of the first table that has any; returns how many."""
    for table, old in _old(cutoffs):
        keys = [tuple(row) for row in connection.execute(old.limit(batch_max))]
        if keys:
            connection.execute(delete(table).where(tuple_(*table.primary_key.columns).in_(keys)))
            return len(keys)
    return 0


def _old(cutoffs: Cutoffs) -> Sequence[tuple[Table, Select[Any]]]:
    """Tables in the order in which they are emptied, with their old keys: what belongs to a request before the request."""
    floor = first_id_at(cutoffs.facts)
    answers, probes, inbound = schema.answers, schema.probes, schema.TABLES[InboundMessage]
    rows = [
        (answers, _keys(answers).where(answers.c.at < cutoffs.claims)),
        (schema.claims, _old_claims(cutoffs)),
        (probes, _keys(probes).where(probes.c.at < cutoffs.now - timedelta(days=1))),
        (inbound, _keys(inbound).where(inbound.c.at < cutoffs.facts)),
    ]
    tables = [schema.TABLES[kind] for kind in _OF_REQUESTS]
    rows += [(table, _keys(table).where(table.c.request_id < floor)) for table in tables]
    return [*rows, (schema.requests, _keys(schema.requests).where(schema.requests.c.id < floor))]


def _old_claims(cutoffs: Cutoffs) -> Select[Any]:
    claims, following = schema.claims, schema.claims.alias()
    its_name = claims.c.idempotency_key.concat(FOLLOWS)
    follows = (following.c.app == claims.c.app) & (following.c.idempotency_key == its_name)
    return (
        _keys(claims)
        # NOT EXISTS would have MariaDB read the whole table for each batch.
        .outerjoin(following, follows)
        .where(claims.c.at < cutoffs.claims)
        .where(or_(claims.c.app != OWN_APP, claims.c.at < cutoffs.now - OWN_CLAIMS_KEPT))
        .where(or_(following.c.app.is_(None), claims.c.at < cutoffs.now - CHAINS_KEPT))
    )


def _keys(table: Table) -> Select[Any]:
    return select(*table.primary_key.columns)


def first_id_at(at: datetime) -> UUID:
    """The smallest id of a request made at `at`."""
    return UUID(int=max(0, (at - _EPOCH) // timedelta(milliseconds=1)) << 80)
