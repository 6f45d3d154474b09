"""What providers push to us: delivery receipts, and messages from handsets. Good rows are kept, bad ones counted.

The provider is answered once both the store and the journal of events have it; if either refuses, the provider is told
to come again. That it may come twice, late or out of order changes nothing.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import structlog

from core.clock import Clock
from core.errors import InvalidNumber, UnknownProvider
from core.events import Inbound, Keyword, Receipt
from core.numbers import NumberHash, read
from service.facts import AnyFact, DeliveryReceipt, InboundMessage, OptOut
from service.keywords import keyword_of
from service.providers.base.provider import Provider
from service.providers.base.pushed import Acknowledgement, InboundRow, ReceiptRow
from service.publisher import Publisher
from service.stores import Store

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Taken:
    """How many rows were kept and how many could not be read, and what the provider wants to hear."""

    good: int
    bad: int
    reply: Acknowledgement


class Receipts:
    """The entrance for providers."""

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider],
        store: Store,
        publisher: Publisher,
        number_hash: NumberHash,
        clock: Clock,
    ) -> None:
        self._providers = providers
        self._store = store
        self._publisher = publisher
        self._number_hash = number_hash
        self._clock = clock

    async def take(self, provider: str, headers: Mapping[str, str], body: bytes) -> Taken:
        """Keep the receipts of a body. Raises `UnknownProvider`, `ForgedReceipt`, `ReceiptUnreadable`, `Unavailable`."""
        adapter = self._adapter(provider)
        rows, bad = adapter.receipts(headers, body)
        now = self._clock()
        facts = {fact.key: fact for fact in (receipt_fact(provider, row, now) for row in reversed(rows))}
        await self._keep(list(facts.values()), [_receipt_event(provider, row, now) for row in rows])
        return Taken(len(rows), len(bad), adapter.receipt_reply)

    async def take_inbound(self, provider: str, headers: Mapping[str, str], body: bytes) -> Taken:
        """Keep the messages of a body, and opt their senders out or in. Raises like `take`."""
        adapter = self._adapter(provider)
        rows, bad = adapter.inbound(headers, body)
        now = self._clock()
        facts: list[AnyFact] = []
        events: list[Inbound] = []
        for row in rows:
            phone_hash = self._phone_hash(row)
            if phone_hash is None:
                continue
            keyword = keyword_of(row.text)
            message_hash = _message_hash(provider, row.message_id)
            facts += _inbound_facts(provider, message_hash, phone_hash, now, keyword)
            events.append(
                Inbound(at=now, provider=provider, message_hash=message_hash, phone_hash=phone_hash, keyword=keyword)
            )
        await self._keep(facts, events)
        unreadable = len(rows) - len(events)
        if unreadable:
            _log.warning("inbound messages from no number", provider=provider, rows=unreadable)
        return Taken(len(events), len(bad) + unreadable, adapter.receipt_reply)

    def _adapter(self, provider: str) -> Provider:
        adapter = self._providers.get(provider)
        if adapter is None:
            raise UnknownProvider("no provider of this name is configured")
        return adapter

    def _phone_hash(self, row: InboundRow) -> str | None:
        for text in (row.number, f"+{row.number}"):
            try:
                return self._number_hash(read(text).e164)
            except InvalidNumber:
                continue
        return None

    async def _keep(self, facts: Sequence[AnyFact], events: Sequence[Receipt | Inbound]) -> None:
        if facts:
            await asyncio.gather(self._store.write(facts), self._publisher.tell(events))


def receipt_fact(provider: str, row: ReceiptRow, at: datetime) -> DeliveryReceipt:
    """The fact of a receipt: one final, and one interim a status."""
    return DeliveryReceipt(
        request_id=row.request_id,
        attempt=row.attempt,
        stage=f"interim:{row.raw_status}" if row.status == "pending" else "final",
        at=at,
        provider=provider,
        status=row.status,
        error_class=row.error_class,
        raw_status=row.raw_status,
        raw_code=row.raw_code,
        carrier=row.carrier,
        provider_at=row.provider_at,
    )


def _receipt_event(provider: str, row: ReceiptRow, at: datetime) -> Receipt:
    return Receipt(
        at=at,
        provider=provider,
        carrier=row.carrier,
        request_id=row.request_id,
        attempt=row.attempt,
        status=row.status,
        error_class=row.error_class,
        raw_status=row.raw_status,
        raw_code=row.raw_code,
        provider_at=row.provider_at,
    )


def _inbound_facts(provider: str, message_hash: str, phone_hash: str, at: datetime, keyword: Keyword) -> list[AnyFact]:
    message = InboundMessage(
        provider=provider, message_hash=message_hash, phone_hash=phone_hash, at=at, keyword=keyword
    )
    if keyword == "stop" or keyword == "start":
        return [message, OptOut(phone_hash=phone_hash, message_hash=message_hash, at=at, keyword=keyword)]
    return [message]


def _message_hash(provider: str, message_id: str) -> str:
    """Vendors have put numbers into message ids: only a digest of them is kept."""
    return hmac.digest(provider.encode(), message_id.encode(), sha256).hex()[:32]
