"""While a journal waits two stores know different things: what they know of a request is brought together before anything
is decided, checks are then decided by the backup alone, which every instance asks, and recorded in the primary store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

from service.facts import AnyFact, Approval, Attempt, Check, DeliveryReceipt, Request, RequestState
from service.failover.replay import OnRenumbered, write_facts
from service.stores import CheckOrder, CheckVerdict, Keeping, Store
from service.stores.derive import as_standing, facts_of, facts_of_verdict
from service.stores.faults import without_the_mirror

Answer = TypeVar("Answer")


class Run(Protocol):
    """Runs a call on one of the stores; failures are counted."""

    async def __call__(self, call: Callable[[Keeping], Awaitable[Any]], /) -> Any: ...  # noqa: ANN401  # as its call


class Together:
    """`remembered` is what this instance knows of a request itself; `elsewhere` asks the backup for what the primary store may
    not know, until it answers or is called down."""

    def __init__(
        self,
        *,
        primary: Run,
        backup: Run,
        elsewhere: Run,
        remembered: Callable[[UUID], RequestState | None],
        on_renumbered: OnRenumbered,
    ) -> None:
        self._on_renumbered = on_renumbered
        self._primary, self._backup, self._elsewhere = primary, backup, elsewhere
        self._remembered = remembered

    async def bring_home(self, request_id: UUID) -> None:
        """The primary store learns what it lacks. Raises `StoreUnavailable`."""
        mine, theirs = await asyncio.gather(self._primary(_asked(request_id)), self._in_backup(request_id))
        await self._bring_home(request_id, mine, theirs)

    async def check(self, order: CheckOrder) -> CheckVerdict:
        """Count a check where all instances do. Raises `StoreUnavailable`."""
        request_id = order.request_id
        mine, theirs = await asyncio.gather(self._primary(_asked(request_id)), self._in_backup(request_id))
        await self._bring_home(request_id, mine, theirs)
        with without_the_mirror():
            await self._make_up(self._elsewhere, _lacking(theirs, mine))
            verdict = await self._counted(order, self._elsewhere)
            return await self._recorded(order, verdict)
        counted: CheckVerdict = await self._primary(lambda store: store.check(order))
        return counted

    async def check_backup(self, order: CheckOrder) -> CheckVerdict:
        """Count a check on the backup, which may have lost what this instance remembers. Raises `MirrorUnavailable`."""
        return await self._counted(order, self._backup)

    async def confirm(self, order: CheckOrder, verdict: CheckVerdict) -> CheckVerdict:
        """The primary store has counted a check while another instance began to answer from the backup: who was first?"""
        facts = facts_of_verdict(order, verdict)
        if not facts:
            return verdict
        with without_the_mirror():
            await self._make_up(self._elsewhere, facts)
            return _first(order, verdict, await self._elsewhere(_asked(order.request_id)))
        return verdict

    async def overtaken(self, receipts: Sequence[DeliveryReceipt]) -> list[DeliveryReceipt]:
        """The receipts that others were told of while the primary store took its time for these, and that stand in their places."""
        standing: list[DeliveryReceipt] = []
        for request_id in {receipt.request_id for receipt in receipts}:
            theirs = await self._in_backup(request_id)
            held = {row.key: row for row in theirs.receipts} if theirs else {}
            ours = [row for row in receipts if row.request_id == request_id and row.key in held]
            standing += [as_standing(held[row.key], row) for row in ours if held[row.key].status != row.status]
        return standing

    async def reserve(self, facts: Sequence[AnyFact], *, may_lie_elsewhere: Callable[[UUID], bool]) -> None:
        """An attempt that is added to a request takes its number in the backup first. Raises `StoreUnavailable`."""
        begun = {fact.id for fact in facts if isinstance(fact, Request)}
        attempts = [fact for fact in facts if isinstance(fact, Attempt) and fact.request_id not in begun]
        added = [fact for fact in attempts if may_lie_elsewhere(fact.request_id)]
        if not added:
            return
        with without_the_mirror():
            told = await self._elsewhere(lambda store: store.write(added))
            for request_id in {fact.request_id for fact, is_new in zip(added, told, strict=True) if not is_new}:
                await self.bring_home(request_id)

    async def _counted(self, order: CheckOrder, run: Run) -> CheckVerdict:
        known = self._remembered(order.request_id)
        if known is not None and (known.checks or known.approval):
            await self._make_up(run, facts_of(known))
        verdict: CheckVerdict = await run(lambda store: store.check(order))
        return verdict

    async def _recorded(self, order: CheckOrder, verdict: CheckVerdict) -> CheckVerdict:
        facts = facts_of_verdict(order, verdict)
        await self._make_up(self._primary, facts)
        if verdict.result != "approved":
            return verdict
        return _first(order, verdict, await self._primary(_asked(order.request_id)))

    async def _bring_home(self, request_id: UUID, mine: RequestState | None, theirs: RequestState | None) -> None:
        lacking = [fact for known in (theirs, self._remembered(request_id)) for fact in _lacking(mine, known)]
        await self._make_up(self._primary, lacking)

    async def _in_backup(self, request_id: UUID) -> RequestState | None:
        with without_the_mirror():
            state: RequestState | None = await self._elsewhere(_asked(request_id))
            return state
        return None

    async def _make_up(self, run: Run, facts: Sequence[AnyFact]) -> None:
        if facts:
            await run(lambda store: write_facts(store, facts, on_renumbered=self._on_renumbered))


def _asked(request_id: UUID) -> Callable[[Store], Awaitable[RequestState | None]]:
    return lambda store: store.request(request_id)


def _lacking(state: RequestState | None, known: RequestState | None) -> list[AnyFact]:
    """What is known and not in `state`. Two stores may number the same check differently, and other checks alike."""
    if known is None:
        return []
    there = facts_of(state) if state else []
    keys = {(type(fact), fact.key) for fact in there if not isinstance(fact, Check)}
    checks = {_unnumbered(fact) for fact in there if isinstance(fact, Check)}
    return [
        fact
        for fact in facts_of(known)
        if (_unnumbered(fact) not in checks if isinstance(fact, Check) else (type(fact), fact.key) not in keys)
    ]


def _unnumbered(check: Check) -> Check:
    return msgspec.structs.replace(check, check=0)


def _first(order: CheckOrder, verdict: CheckVerdict, state: RequestState | None) -> CheckVerdict:
    """The verdict, unless another check is the one that approved."""
    approval: Approval | None = state.approval if state else None
    if verdict.result != "approved" or approval is None or (approval.at, approval.attempt) == (order.at, order.attempt):
        return verdict
    return CheckVerdict(check=0, result="already_approved", checks_left=verdict.checks_left)
