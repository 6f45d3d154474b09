"""Journals of several instances, replayed in any order, any number of times, beside each other and beside live traffic, leave one store."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from core.journal import Journal
from core.settings.servers import Store as StoreSettings
from service.facts import AnyFact, Check, EncryptedNumber, Request
from service.failover.journaling import encode
from service.failover.replay import replay
from service.stores import schema
from service.stores.sql import SqlStore
from tests.service.stores import facts
from tests.service.stores.conftest import fresh_database
from tests.service.stores.facts import NOW

INSTANCES = 3
EXAMPLES = {"sqlite": 12, "mariadb": 4}
PHASES = [Phase.explicit, Phase.generate]  # a store is made for each example: shrinking one would take minutes


def facts_of_one_request(number: int) -> list[AnyFact]:
    """What three instances wrote down about one request: checks 2 and 3 were counted twice, on stores that could not see each other."""
    request = facts.request()
    twice = [facts.check(request, 2, at=NOW + timedelta(seconds=n, microseconds=number)) for n in range(3)]
    return [
        request,
        *(row for n in (1, 2) for row in (facts.attempt(request, n), facts.outcome(request, n))),
        facts.receipt(request, 1),
        facts.receipt(request, 1, stage="interim:SENT"),
        facts.check(request, 1),
        *twice,
        facts.check(request, 3),
        facts.approval(request, 3),
        facts.opt_out(request.phone_hash),
        EncryptedNumber(request_id=request.id, at=NOW, key_id="k", ciphertext=b"\0\xff"),
    ]


def same(fact: AnyFact) -> tuple[object, ...]:
    """What makes two facts the same. A check counted under a number that was taken gets the next one, so its number
    depends on who came first; when it was made and what came of it does not."""
    if isinstance(fact, Check):
        return (Check, fact.request_id, fact.at, fact.attempt, fact.result)
    return (type(fact), fact)


class World:
    """Facts that three instances journaled, some of them more than one, and some that arrive live meanwhile."""

    def __init__(self, draw: Any, folder: Path) -> None:
        self.facts = [fact for number in range(draw(st.integers(1, 4))) for fact in facts_of_one_request(number)]
        owners = st.sets(st.integers(0, INSTANCES), min_size=1)  # the last one is live traffic
        kept: list[list[AnyFact]] = [[] for _ in range(INSTANCES + 1)]
        for fact in draw(st.permutations(self.facts)):
            for owner in draw(owners):
                kept[owner].append(fact)
        self.live = kept.pop()
        self.folders = [folder / str(number) for number in range(INSTANCES)]
        for place, rows in zip(self.folders, kept, strict=True):
            write_journals(place, rows, cuts=draw(st.integers(0, 2)))

    def again(self, name: str, number: int) -> Path:
        """The journals of one instance, as they were before anyone replayed them."""
        copy = self.folders[number].with_name(f"{name}-{number}")
        shutil.copytree(self.folders[number], copy)
        return copy


def write_journals(folder: Path, rows: Sequence[AnyFact], *, cuts: int) -> None:
    folder.mkdir(parents=True)
    journal = Journal(folder, file_bytes_max=1 << 20, total_bytes_max=1 << 30)
    for part in range(cuts + 1):
        if payloads := [encode(fact, NOW) for fact in rows[part :: cuts + 1]]:
            journal.append(payloads)
        journal.rotate()


async def write_live(store: SqlStore, rows: Sequence[AnyFact]) -> None:
    """As the service does: a check that finds its number taken was counted under the next one by the store itself."""
    for row in rows:
        if isinstance(row, Check):
            continue
        await store.write([row])
        await asyncio.sleep(0)


def stored(url: str) -> list[AnyFact]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        rows = [
            kind(**row._mapping) for kind, table in schema.TABLES.items() for row in connection.execute(select(table))
        ]
    engine.dispose()
    return rows


def url_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder / 'store.sqlite3'}"
    return fresh_database(request.getfixturevalue("mariadb_server"))


@pytest.mark.parametrize("kind", list(EXAMPLES))
def test_any_order_any_number_of_times_beside_each_other_and_live_traffic(kind, request, tmp_path_factory):
    @settings(max_examples=EXAMPLES[kind], deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
    @given(data=st.data())
    def holds(data: Any) -> None:
        folder = tmp_path_factory.mktemp("world")
        world, url = World(data.draw, folder), url_of(kind, folder, request)
        order = data.draw(st.permutations([*range(INSTANCES), *range(INSTANCES)]))
        beside = data.draw(st.integers(1, len(order)))
        asyncio.run(run(world, url, order, beside))
        expect(world, stored(url))

    holds()


async def run(world: World, url: str, order: Sequence[int], beside: int) -> None:
    """The first replays run beside each other and beside live traffic, twice over one folder too; the others follow."""
    store, other = (SqlStore(StoreSettings(url=url, read_timeout_seconds=30)) for _ in range(2))
    first = world.again("first", order[0])
    await asyncio.gather(
        replay(first, store),
        replay(first, other),
        write_live(store, world.live),
        *(replay(world.again(str(n), number), other) for n, number in enumerate(order[1:beside])),
    )
    for n, number in enumerate(order[beside:]):
        await replay(world.again(f"later-{n}", number), store)
    await store.close()
    await other.close()


def expect(world: World, rows: list[AnyFact]) -> None:
    """Everything that some journal or live traffic held, each once; checks numbered from 1 without a gap."""
    journaled = [fact for fact in world.facts if not isinstance(fact, Check) or fact not in world.live]
    found = [same(row) for row in rows]

    assert len(found) == len(set(found))
    assert {same(fact) for fact in journaled} <= set(found) <= {same(fact) for fact in world.facts}
    for request in (fact for fact in world.facts if isinstance(fact, Request)):
        numbers = sorted(row.check for row in rows if isinstance(row, Check) and row.request_id == request.id)
        assert len(numbers) == len(set(numbers))
