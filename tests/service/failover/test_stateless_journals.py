"""What two instances wrote down while no store lived gives one store, however their journals are replayed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import utc_now
from core.journal import Journal
from service.facts import AnyFact, Approval, Check, IdempotencyClaim, Request
from service.failover.journaling import encode
from service.failover.known_keys import KnownKeys
from service.failover.recent import Recent
from service.failover.replay import replay
from service.failover.stateless import StatelessStore
from service.stores import CheckOrder
from service.stores.memory import MemoryStore
from tests.service.failover.twins import PRESUMPTION
from tests.service.stores import facts
from tests.service.stores.facts import NOW

REQUESTS = 3
STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),  # the instance
        st.integers(0, REQUESTS - 1),
        st.sampled_from(["send", "claim", "wrong", "right", "delivered", "failed"]),
    ),
    max_size=25,
)


class Instance:
    """A service without a store; `journaled` is what it made durable, in order."""

    def __init__(self, folder: Path) -> None:
        self.journaled: list[AnyFact] = []
        self.store = StatelessStore(
            record=self._record,
            probe=lambda: asyncio.sleep(0),
            recent=Recent(),
            keys=KnownKeys(folder, clock=utc_now),
            presumption=PRESUMPTION,
            outage=lambda: NOW,
            maker=lambda _at: None,
            clock=utc_now,
        )

    async def _record(self, rows: Sequence[AnyFact]) -> None:
        self.journaled += rows

    async def do(self, what: str, request: Request, at: datetime) -> None:
        if what == "send":
            await self.store.write([request, facts.attempt(request), facts.outcome(request)])
        elif what == "claim":
            await self.store.claim(claim_of(request, at))
        elif what in ("delivered", "failed"):
            await self.store.write([facts.receipt(request, at=at, status=what)])
        else:
            attempt = 1 if what == "right" else 0
            await self.store.check(
                CheckOrder(request_id=request.id, at=at, attempt=attempt, expired=False, checks_max=5)
            )


def claim_of(request: Request, at: datetime) -> IdempotencyClaim:
    return IdempotencyClaim(
        app="shop", idempotency_key=request.phone_hash, at=at, fingerprint="f", request_id=request.id
    )


async def outage(steps: Sequence[tuple[int, int, str]], folder: Path) -> list[list[AnyFact]]:
    """What each of two instances journaled."""
    instances = [Instance(folder), Instance(folder)]
    requests = [facts.request() for _ in range(REQUESTS)]
    for number, (instance, place, what) in enumerate(steps):
        await instances[instance].do(what, requests[place], NOW + timedelta(seconds=number))
    return [instance.journaled for instance in instances]


def journal_in(folder: Path, rows: Sequence[AnyFact]) -> None:
    journal = Journal(folder, file_bytes_max=1 << 20, total_bytes_max=1 << 30)
    if rows:
        journal.append([encode(row, NOW) for row in rows])
    journal.close()


def same(fact: AnyFact) -> tuple[object, ...]:
    """Of two claims the first to come stays, and a check whose number is taken gets another."""
    if isinstance(fact, Check):
        return (Check, fact.request_id, fact.at, fact.attempt, fact.result)
    return (type(fact), fact.key) if isinstance(fact, IdempotencyClaim) else (type(fact), fact)


def firsts(rows: Iterable[AnyFact]) -> list[AnyFact]:
    """Of two receipts of one message, and of two approvals, the one that was made first."""
    oldest_last = sorted(rows, key=attrgetter("at"), reverse=True)
    checks = [row for row in oldest_last if isinstance(row, Check)]
    return [*checks, *{(type(row), row.key): row for row in oldest_last if not isinstance(row, Check)}.values()]


def told(store: MemoryStore) -> list[str]:
    return sorted(str(same(fact)) for fact in store.facts())


async def one_after_the_other(folders: Sequence[Path], store: MemoryStore) -> None:
    for folder in folders:
        await replay(folder, store)


async def beside_each_other(folders: Sequence[Path], store: MemoryStore) -> None:
    await asyncio.gather(*(replay(folder, store) for folder in folders))


async def from_one_folder(folders: Sequence[Path], store: MemoryStore) -> None:
    """Piece by piece in turn, as when both wrote short files into a folder that they share."""
    for number, file in enumerate(sorted(path for folder in folders for path in folder.glob("*.journal"))):
        place = folders[0].with_name(f"{folders[0].name}-{number}")
        place.mkdir()
        file.rename(place / file.name)
        await replay(place, store)


@pytest.mark.parametrize("how", [one_after_the_other, beside_each_other, from_one_folder])
def test_the_journals_of_two_instances_give_the_same_store_in_any_order_and_again(how, tmp_path_factory):
    @settings(max_examples=40, deadline=None)
    @given(steps=STEPS, data=st.data())
    def holds(steps: list[tuple[int, int, str]], data: Any) -> None:
        base = tmp_path_factory.mktemp("outage")
        asyncio.run(compare(steps, data, base, how))

    holds()


async def compare(steps: list[tuple[int, int, str]], data: Any, base: Path, how: Any) -> None:
    journaled = await outage(steps, base)
    plain, store = MemoryStore(), MemoryStore()
    for number, rows in enumerate(journaled):
        journal_in(base / f"plain-{number}", rows)
        await replay(base / f"plain-{number}", plain)
    for again in range(2):
        folders = [base / f"{again}-{number}" for number in range(2)]
        for folder, rows in zip(folders, journaled, strict=True):
            shuffled = data.draw(st.permutations(rows))
            cut = data.draw(st.integers(0, len(rows)))
            journal_in(folder, shuffled[:cut])
            journal_in(folder, shuffled[cut:])
        await how(data.draw(st.permutations(folders)), store)

    assert told(store) == told(plain)
    assert {same(row) for row in firsts(chain(*journaled))} == {same(row) for row in store.facts()}
    assert approved_once(store)


def approved_once(store: MemoryStore) -> bool:
    approved: list[UUID] = [row.request_id for row in store.facts() if isinstance(row, Approval)]
    return len(approved) == len(set(approved))
