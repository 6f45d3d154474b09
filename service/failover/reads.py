"""What the store that stays up is asked: each read by the store that serves, and put together with what others know while
a journal waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from functools import reduce
from typing import TypeVar
from uuid import UUID

from core.events import Category
from service.facts import ApiKey, RequestState
from service.failover.choosing import Choosing
from service.failover.key_copies import KeyCopies
from service.failover.stateless import StatelessStore
from service.stores import Earlier, SendSubject, Store
from service.stores.derive import is_living, merge, newest, with_told
from service.stores.faults import Unknowable, without_the_mirror

Answer = TypeVar("Answer")


class Reads:
    """The reading half of a `Store`."""

    def __init__(self, choosing: Choosing, stateless: StatelessStore, *, keys: KeyCopies) -> None:
        self._choosing, self._stateless, self._keys = choosing, stateless, keys

    async def request(self, request_id: UUID) -> RequestState | None:
        def call(store: Store) -> Awaitable[RequestState | None]:
            return store.request(request_id)

        async def on_primary() -> RequestState | None:
            if self._choosing.may_lie_elsewhere(request_id):
                first, theirs = await asyncio.gather(self._choosing.run_master(call), self._in_backup(call))
                return reduce(merge, [theirs, *await self._remembered(call)], with_told(first, theirs))
            first = await self._choosing.run_master(call)
            if first is None and self._choosing.is_merging:  # it may come from an instance whose clock is ahead
                return reduce(merge, await self._elsewhere(call), first)
            return first

        async def on_backup() -> RequestState | None:
            return reduce(merge, await self._remembered(call), await self._choosing.run_backup(call))

        return await self._choosing.serve(on_primary, on_backup, lambda: call(self._stateless))

    async def brief(self, request_id: UUID) -> RequestState | None:
        return await self._read(lambda store: store.brief(request_id), merge)

    async def living(self, *, app: str, phone_hash: str, purpose: str, now: datetime) -> RequestState | None:
        def call(store: Store) -> Awaitable[RequestState | None]:
            return store.living(app=app, phone_hash=phone_hash, purpose=purpose, now=now)

        async def newest_of(states: Iterable[RequestState | None]) -> RequestState | None:
            found = {state.request.id for state in states if state is not None}
            # One store may know of an approval that the other has not heard of.
            known = [await self.request(request_id) for request_id in found]
            return newest(state for state in known if state is not None and is_living(state, now))

        async def on_primary() -> RequestState | None:
            first = await self._choosing.run_master(call)
            return await newest_of([first, *await self._elsewhere(call)]) if self._choosing.is_merging else first

        async def on_backup() -> RequestState | None:
            first, remembered = await self._choosing.run_backup(call), await call(self._stateless)
            is_same = remembered is None or (first is not None and first.request.id == remembered.request.id)
            return first if is_same else await newest_of([first, remembered])

        return await self._choosing.serve(on_primary, on_backup, lambda: call(self._stateless))

    async def sends_since(self, *, phone_hash: str, category: Category, since: datetime) -> list[datetime]:
        def call(store: Store) -> Awaitable[list[datetime]]:
            return store.sends_since(phone_hash=phone_hash, category=category, since=since)

        return await self._read(call, lambda one, other: sorted((Counter(one) | Counter(other)).elements()))

    async def earlier(self, subject: SendSubject, *, by_parts: Callable[[], Awaitable[Earlier]]) -> Earlier:
        """In one question of the primary store while it knows all, else `by_parts`."""

        async def on_primary() -> Earlier:
            if self._choosing.is_merging:
                return await by_parts()
            return await self._choosing.run_master(lambda store: store.earlier(subject))

        return await self._choosing.serve(on_primary, by_parts, by_parts)

    async def opted_out(self, phone_hash: str) -> bool:
        # Until the journals are drained a stop in either counts: a message too few bothers nobody.
        return await self._read(lambda store: store.opted_out(phone_hash), lambda one, other: one or other)

    async def api_key(self, key_hash: str) -> ApiKey | None:
        async def on_primary() -> ApiKey | None:
            key = await self._choosing.run_master(lambda store: store.api_key(key_hash))
            self._keys.heard(key_hash, key)
            return key

        async def on_backup() -> ApiKey | None:
            return await self._choosing.run_backup(lambda store: store.api_key(key_hash)) or self._keys.get(key_hash)

        return await self._choosing.serve(on_primary, on_backup, lambda: self._stateless.api_key(key_hash))

    async def _read(
        self,
        call: Callable[[Store], Awaitable[Answer]],
        together: Callable[[Answer, Answer], Answer],
    ) -> Answer:
        async def on_primary() -> Answer:
            if not self._choosing.is_merging:
                return await self._choosing.run_master(call)
            first, others = await asyncio.gather(self._choosing.run_master(call), self._elsewhere(call))
            return reduce(together, others, first)

        async def on_backup() -> Answer:
            return reduce(together, await self._remembered(call), await self._choosing.run_backup(call))

        return await self._choosing.serve(on_primary, on_backup, lambda: call(self._stateless))

    async def _elsewhere(self, call: Callable[[Store], Awaitable[Answer]]) -> list[Answer]:
        """What the backup and this instance know; nothing from the one that does not, for the primary store answers."""
        known: list[Answer] = []
        with without_the_mirror():
            known.append(await self._choosing.run_elsewhere(call))
        return known + await self._remembered(call)

    async def _in_backup(self, call: Callable[[Store], Awaitable[Answer | None]]) -> Answer | None:
        with without_the_mirror():
            return await self._choosing.run_elsewhere(call)
        return None

    async def _remembered(self, call: Callable[[Store], Awaitable[Answer]]) -> list[Answer]:
        with suppress(Unknowable):
            return [await call(self._stateless)]
        return []
