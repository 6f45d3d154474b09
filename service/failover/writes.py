"""What is done to the store that stays up: writes, checks and claims of Idempotency-Keys, each by the store that serves.

What the primary store took, the backup is told; what it did not take is journaled durably before it is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar, cast
from uuid import UUID

import msgspec

from core.errors import Overloaded, Unavailable
from service.facts import (
    AnyFact,
    Approval,
    AttemptOutcome,
    Check,
    DeliveryReceipt,
    IdempotencyAnswer,
    IdempotencyClaim,
    RequestState,
)
from service.failover.choosing import Choosing
from service.failover.mirroring import Mirroring
from service.failover.owed import Owed
from service.failover.recent import Recent
from service.failover.stateless import StatelessStore
from service.failover.together import Together
from service.stores import CheckOrder, CheckVerdict, Claim, Store
from service.stores.derive import as_standing, facts_of_verdict
from service.stores.faults import without_the_mirror

Answer = TypeVar("Answer")

_OF_WHAT_IS_OUT = (AttemptOutcome, IdempotencyAnswer)
_MIRROR_WAIT_SECONDS = 0.05
"""What a check waits for its copy: a code counted here must not be guessed anew on the backup."""


class Writes:
    """The writing half of a `Store`. `record` makes facts durable, `remember` takes those that nothing does now, `recent` is what
    this instance remembers. `on_doubt` hears of a request of which a check may be counted although its caller was not told.
    """

    def __init__(
        self,
        choosing: Choosing,
        stateless: StatelessStore,
        *,
        together: Together,
        owed: Owed,
        record: Callable[[Sequence[AnyFact]], Coroutine[Any, Any, None]],
        remember: Callable[[Sequence[AnyFact]], None],
        recent: Recent,
        mirroring: Mirroring,
        on_doubt: Callable[[UUID], None],
    ) -> None:
        self._on_doubt = on_doubt
        self._choosing, self._stateless = choosing, stateless
        self._together, self._owed, self._record = together, owed, record
        self._remember = remember
        self._recent, self._mirroring = recent, mirroring

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        async def on_primary() -> list[bool]:
            receipts = [fact for fact in facts if isinstance(fact, DeliveryReceipt)]
            for request_id in {receipt.request_id for receipt in receipts}:
                if self._choosing.may_lie_elsewhere(request_id):
                    # with the final receipt that may have come before this one
                    await self._together.bring_home(request_id)
            if self._choosing.is_merging:
                await self._together.reserve(facts, may_lie_elsewhere=self._choosing.may_lie_elsewhere)
            told = await self._choosing.run_master(lambda store: store.write(facts))
            self._keep_warm(facts)
            overtaken = await self._overtaken(receipts)
            return [is_new and fact.key not in overtaken for fact, is_new in zip(facts, told, strict=True)]

        async def on_backup() -> list[bool]:
            # Side by side: the caller waits for the slower of the two.
            others = [fact for fact in facts if not isinstance(fact, DeliveryReceipt)]
            told, _ = await _both(self._choosing.run_backup(lambda store: store.write(facts)), self._record(others))
            receipts = await self._as_kept(facts, told)
            await self._record(receipts)
            self._recent.add([*others, *receipts])
            return told

        async def on_neither() -> list[bool]:
            told = await self._stateless.write(facts)
            self._mirroring.soon(facts)
            return told

        try:
            return await self._choosing.serve(on_primary, on_backup, on_neither)
        except (Unavailable, Overloaded):
            if await self._kept_all_the_same(facts):
                return [True for _ in facts]
            raise

    async def _overtaken(self, receipts: Sequence[DeliveryReceipt]) -> set[tuple[object, ...]]:
        """The keys of those in whose place another stands, of which others were told from the backup meanwhile."""
        if not receipts:
            return set()
        await self._owed.hear()  # a commit may take longer than what was heard before it is good
        standing = await self._together.overtaken(
            [receipt for receipt in receipts if self._choosing.may_lie_elsewhere(receipt.request_id)]
        )
        if standing:
            await self._choosing.run_master(lambda store: store.keep_first(standing))
        self._recent.add(standing)
        for receipt in standing:
            self._on_doubt(receipt.request_id)
        return {receipt.key for receipt in standing}

    async def _kept_all_the_same(self, facts: Sequence[AnyFact]) -> bool:
        """What tells of a message that is out already is journaled when no store takes it in time: nobody decides by it,
        and to refuse it would lose it. True when that was all. Raises `StoreUnavailable` when no disk takes it either; it is
        kept in memory until one does.
        """
        outcomes = [fact for fact in facts if isinstance(fact, _OF_WHAT_IS_OUT)]
        try:
            await self._record(outcomes)
        except Unavailable:
            self._remember(outcomes)
            raise
        self._keep_warm(outcomes)
        return bool(outcomes) and len(outcomes) == len(facts)

    async def check(self, order: CheckOrder) -> CheckVerdict:
        async def on_primary(order: CheckOrder = order) -> CheckVerdict:
            if self._choosing.may_lie_elsewhere(order.request_id):
                verdict = await self._together.check(order)
                self._recent.add(facts_of_verdict(order, verdict))
                return verdict
            verdict = await self._choosing.run_master(lambda store: store.check(order))
            facts = facts_of_verdict(order, verdict)
            self._recent.add(facts)
            await self._mirroring.within(facts, seconds=_MIRROR_WAIT_SECONDS)
            await self._owed.hear()  # a commit may take longer than what was heard before it is good
            if self._choosing.may_lie_elsewhere(order.request_id):
                return await self._together.confirm(order, verdict)
            return verdict

        async def on_backup() -> CheckVerdict:
            verdict = await self._together.check_backup(order)
            facts = facts_of_verdict(order, verdict) or await self._approved_before(order, verdict)
            self._recent.add(facts)
            await self._record(facts)
            return verdict

        async def on_neither() -> CheckVerdict:
            verdict = await self._stateless.check(order)
            self._mirroring.soon(facts_of_verdict(order, verdict))
            return verdict

        again = partial(on_primary, msgspec.structs.replace(order, again=True))
        try:
            return await self._choosing.serve(on_primary, on_backup, on_neither, again=again)
        except BaseException:
            self._on_doubt(order.request_id)
            raise

    async def claim(self, claim: IdempotencyClaim) -> Claim:
        async def on_primary() -> Claim:
            held = await self._held_elsewhere(claim) if self._choosing.is_merging else None
            if held is not None:
                return held
            taken = await self._choosing.run_master(lambda store: store.claim(claim))
            self._keep_warm([taken.holder])
            await self._owed.hear()  # a commit may take longer than what was heard before it is good
            if taken.ours and self._choosing.is_merging:
                return await self._held_elsewhere(claim) or taken
            return taken

        async def on_backup() -> Claim:
            if (held := self._recent.held(claim)) is not None:
                return held  # the backup may have lost it
            taken = await self._choosing.run_backup(lambda store: store.claim(claim))
            self._recent.add([taken.holder])
            await self._record([claim] if taken.ours else [])
            return taken

        async def on_neither() -> Claim:
            taken = await self._stateless.claim(claim)
            self._mirroring.soon([taken.holder])
            return taken

        return await self._choosing.serve(on_primary, on_backup, on_neither)

    async def _held_elsewhere(self, claim: IdempotencyClaim) -> Claim | None:
        """Who holds a key by a claim that the primary store may not have yet."""
        if (held := self._recent.held(claim)) is not None:
            return held
        with without_the_mirror():
            held = await self._choosing.run_elsewhere(lambda store: store.claim(claim))
        return None if held is None or held.ours else held

    async def _as_kept(self, facts: Sequence[AnyFact], told: Sequence[bool]) -> list[DeliveryReceipt]:
        """The receipts among `facts`, each as the backup holds it.

        Journals of several instances are replayed in any order: a receipt that came second, journaled as it came, might
        be the first that the primary store hears of, and a final state would go back.
        """
        receipts = [fact for fact in facts if isinstance(fact, DeliveryReceipt)]
        second = {
            fact.request_id
            for fact, new in zip(facts, told, strict=True)
            if isinstance(fact, DeliveryReceipt) and not new
        }
        kept: dict[tuple[object, ...], DeliveryReceipt] = {}
        for request_id in second:
            state = await self._choosing.run_backup(partial(_request_in, request_id=request_id))
            kept |= {receipt.key: receipt for receipt in (state.receipts if state else ())}
        return [as_standing(kept.get(receipt.key, receipt), receipt) for receipt in receipts]

    async def _approved_before(self, order: CheckOrder, verdict: CheckVerdict) -> list[Check | Approval]:
        """What a caller is told of must be durable: whoever approved may have failed to journal it."""
        if verdict.result != "already_approved":
            return []
        state = await self._choosing.run_backup(partial(_request_in, request_id=order.request_id))
        if state is None or state.approval is None:
            return []
        return [*(row for row in state.checks if row.check == state.approval.check), state.approval]

    def _keep_warm(self, facts: Sequence[AnyFact]) -> None:
        """What the primary store took, the others must know before they have to answer for it."""
        self._recent.add(facts)
        self._mirroring.soon(facts)


def _request_in(store: Store, *, request_id: UUID) -> Awaitable[RequestState | None]:
    return store.request(request_id)


async def _both(one: Coroutine[Any, Any, Answer], other: Coroutine[Any, Any, None]) -> tuple[Answer, None]:
    """Run both to their ends, and raise the first failure only then: a write half done would be journaled behind our back."""
    told, done = await asyncio.gather(one, other, return_exceptions=True)
    for result in (told, done):
        if isinstance(result, BaseException):
            raise result
    return cast("Answer", told), None
