"""What providers push to us: delivery receipts, and messages from handsets. Good rows are kept, bad ones counted.

The provider is answered once both the store and the journal of events have it; if either refuses, the provider is told
to come again. That it may come twice, late or out of order changes nothing: what the warehouse is told is what the store
keeps, with the time of the first. No provider is believed about an attempt that went to another one: whoever was handed
the second attempt of a message can work out what the first is called.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import structlog

from core.clock import Clock
from core.errors import InvalidNumber, UnknownProvider
from core.events import Inbound, Keyword, Receipt
from core.numbers import NumberHash, read
from service.facts import AnyFact, DeliveryReceipt, InboundMessage, OptOut, RequestState
from service.keywords import keyword_of
from service.providers.base.provider import Provider
from service.providers.base.pushed import Acknowledgement, InboundRow, ReceiptRow
from service.publisher import Publisher
from service.stores import AT_ONCE, Store
from service.stores.faults import Unknowable

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
        told = [receipt_fact(provider, row, now) for row in rows]
        facts = list({fact.key: fact for fact in reversed(told)}.values())[::-1]  # of two with one key the first
        kept: list[DeliveryReceipt] = []
        for start in range(0, len(facts), AT_ONCE):  # a body may hold 12,000
            kept += await self._kept(await self._believed(facts[start : start + AT_ONCE]))
        await self._publisher.tell([receipt_event(fact) for fact in kept])
        keys = {fact.key for fact in kept}
        strange = sum(fact.key not in keys for fact in told)
        if strange:
            _log.warning("receipts of another provider's attempts", provider=provider, rows=strange)
        return Taken(len(told) - strange, len(bad) + strange, adapter.receipt_reply)

    async def _believed(self, facts: Sequence[DeliveryReceipt]) -> Sequence[DeliveryReceipt]:
        """Those of attempts that went to the provider who tells of them, as far as anybody knows where they went: without
        a store this instance knows its own alone.
        """
        if len(self._providers) == 1:
            return facts
        ids = {fact.request_id for fact in facts}
        states = dict(zip(ids, await asyncio.gather(*map(self._brief, ids)), strict=True))
        return [fact for fact in facts if _went_to(states[fact.request_id], fact) in (fact.provider, None)]

    async def _brief(self, request_id: UUID) -> RequestState | None:
        with suppress(Unknowable):
            return await self._store.brief(request_id)
        return None

    async def _state(self, request_id: UUID) -> RequestState | None:
        with suppress(Unknowable):
            return await self._store.request(request_id)
        return None

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
        for start in range(0, len(facts), AT_ONCE):
            await self._store.write(facts[start : start + AT_ONCE])
        await self._publisher.tell(events)
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

    async def _kept(self, facts: Sequence[DeliveryReceipt]) -> list[DeliveryReceipt]:
        """Write them; returns each as the store holds it. One that came before is told again, for the process that took
        it may have died before it told, but as it was then: its own time, and its status if it was the first final one.
        """
        if not facts:
            return []
        told = await self._store.write(facts)
        repeated = {fact.request_id for fact, is_new in zip(facts, told, strict=True) if not is_new}
        states = await asyncio.gather(*map(self._state, sorted(repeated)))
        held = {row.key: row for state in states if state is not None for row in state.receipts}
        return [fact if is_new else held.get(fact.key, fact) for fact, is_new in zip(facts, told, strict=True)]


def _went_to(state: RequestState | None, fact: DeliveryReceipt) -> str | None:
    attempts = state.attempts if state else ()
    return next((row.provider for row in attempts if row.attempt == fact.attempt), None)


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


def receipt_event(fact: DeliveryReceipt) -> Receipt:
    """What the warehouse is told of a receipt."""
    return Receipt(
        at=fact.at,
        provider=fact.provider,
        carrier=fact.carrier,
        request_id=fact.request_id,
        attempt=fact.attempt,
        status=fact.status,
        error_class=fact.error_class,
        raw_status=fact.raw_status,
        raw_code=fact.raw_code,
        provider_at=fact.provider_at,
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
