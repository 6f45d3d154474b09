"""How fast journals are drained after both stores were lost under load, and how long live calls take meanwhile.

MariaDB and Valkey are killed (-9) under callers who send and check without a pause, and come back when enough is
journaled; every call that was answered must be in MariaDB afterwards, once.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from uuid import UUID

import sqlalchemy
import structlog
import uvloop
from sqlalchemy.pool import NullPool

from core.clock import utc_now
from core.errors import HeliographError
from core.ids import RequestIds
from core.journal import backlog_bytes
from core.settings.servers import Failover as FailoverSettings
from core.settings.servers import Journal as JournalSettings
from core.settings.servers import Mirror as MirrorSettings
from core.settings.servers import Store as StoreSettings
from sandbox.servers import Server, start_mariadb, start_valkey
from service.facts import Attempt, Request
from service.failover import STORE_FOLDER, Failover, Status
from service.failover.presumption import Presumption
from service.request_ids import SealedIds
from service.stores import CheckOrder, CheckSubject
from service.stores.redis import RedisStore
from service.stores.sql import SqlStore

_LOOK_SECONDS = 0.02
_PRESUMPTION = Presumption(
    ids=SealedIds("a secret of the benchmark, long enough", clock=utc_now), lifetime_seconds=600, attempts_max=7
)


@dataclass
class Phase:
    """Calls that began in one phase: a new verification with its first attempt, and one check of it."""

    name: str
    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def __str__(self) -> str:
        p50, p99 = (f"{self._quantile(share) * 1000:6.0f} ms" for share in (0.5, 0.99))
        return f"{self.name:22} {len(self.seconds):6} calls   p50 {p50}   p99 {p99}   {self.failed} failed"

    def _quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


class Load:
    """Callers without a pause; `phase` takes the calls that begin now."""

    def __init__(self, failover: Failover, *, callers: int) -> None:
        self._failover, self._callers = failover, callers
        self._ids = RequestIds(utc_now)
        self.phases = [Phase("healthy")]
        self.checked: list[UUID] = []
        self._goes_on = True

    def begin(self, name: str) -> None:
        """From now on calls count in a phase of this name."""
        self.phases.append(Phase(name))

    async def run(self) -> None:
        """Call until `stop`."""
        await asyncio.gather(*(self._go_on() for _ in range(self._callers)))

    def stop(self) -> None:
        """Let every caller finish."""
        self._goes_on = False

    async def more(self, count: int) -> None:
        """Until so many more calls were answered."""
        goal = len(self.checked) + count
        await _until(lambda: len(self.checked) >= goal)

    async def _go_on(self) -> None:
        while self._goes_on:
            phase, started = self.phases[-1], monotonic()
            try:
                await self._call()
            except HeliographError:
                phase.failed += 1
            phase.seconds.append(monotonic() - started)

    async def _call(self) -> None:
        store, now, number = self._failover, utc_now(), secrets.token_hex(16)
        request = _request(self._ids(), number)
        await store.living(app=request.app, phone_hash=number, purpose=request.purpose, now=now)
        await store.sends_since(phone_hash=number, category="code", since=now - timedelta(days=1))
        attempt = Attempt(request_id=request.id, attempt=1, at=now, provider="aurora", cause="first", phone_hash=number)
        await store.write([request, attempt])
        await store.candidates(CheckSubject(app=request.app, now=utc_now(), request_id=request.id))
        order = CheckOrder(request_id=request.id, at=utc_now(), attempt=1, expired=False, checks_max=5)
        await store.check(order)
        self.checked.append(request.id)


def _request(request_id: UUID, number: str) -> Request:
    now = utc_now()
    return Request(
        id=request_id,
        at=now,
        kind="verification",
        category="code",
        app="shop",
        purpose="login",
        template="code",
        locale="en",
        phone_hash=number,
        country="DE",
        region="Hessen",
        carrier="Nordnetz",
        expires_at=now + timedelta(minutes=10),
    )


async def lose_both(folder: Path, *, callers: int, requests: int) -> None:
    """The whole story, told at its end."""
    database, memory = start_mariadb(folder / "mariadb"), start_valkey(folder / "valkey")
    primary = SqlStore(StoreSettings(url=database.url))
    await primary.prepare()
    failover = Failover(
        primary=primary,
        backup=RedisStore(MirrorSettings(url=memory.url)),
        settings=FailoverSettings(),
        journal=JournalSettings(folder=folder / "journal"),
        presumption=_PRESUMPTION,
    )
    await failover.start()
    load = Load(failover, callers=callers)
    calling = asyncio.create_task(load.run())
    try:
        await load.more(500)
        records, seconds = await _outage(failover, load, database, memory, folder, requests)
        load.begin("after")
        await load.more(500)
    finally:
        load.stop()
        await calling
        await failover.close()
    for phase in load.phases:
        print(phase)
    print(f"{records} records of the journal were drained in {seconds:.1f} s: {records / seconds:.0f} a second")
    print(_judge(load, database))
    database.kill()
    memory.kill()


async def _outage(
    failover: Failover, load: Load, database: Server, memory: Server, folder: Path, requests: int
) -> tuple[int, float]:
    journal = folder / "journal" / STORE_FOLDER
    database.kill()
    memory.kill()
    load.begin("detection")
    await _until(lambda: failover.status is Status.BOTH_FATAL)
    load.begin("both stores down")
    await load.more(requests)
    database.restart()
    memory.restart()
    await _until(lambda: failover.status is not Status.BOTH_FATAL)
    load.begin("one store is back")
    records = sum(path.read_bytes().count(b"\n") - 1 for path in journal.glob("*.journal"))
    while failover.status is not Status.RECOVERING:
        try:
            await failover.recover()
        except HeliographError:
            await asyncio.sleep(_LOOK_SECONDS)
    load.begin("drain")
    began = monotonic()
    await _until(lambda: not backlog_bytes(journal))
    seconds = monotonic() - began
    load.begin("others may replay yet")
    await _until(lambda: failover.status is Status.HEALTHY)
    return records, seconds


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # a file, a status, a count: nobody sets an event for them
        await asyncio.sleep(_LOOK_SECONDS)


def _judge(load: Load, database: Server) -> str:
    with sqlalchemy.create_engine(database.url, poolclass=NullPool).connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT request_id FROM checks")).scalars()
        found = Counter(UUID(bytes=row) for row in rows)
        requests = {UUID(bytes=row) for row in connection.execute(sqlalchemy.text("SELECT id FROM requests")).scalars()}
    lost = sum(row not in requests or row not in found for row in load.checked)
    doubled = sum(found[row] > 1 for row in load.checked)
    return f"{len(load.checked)} calls answered; {lost} lost, {doubled} counted twice"


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=16, help="callers without a pause (16)")
    parser.add_argument("--requests", type=int, default=2500, help="calls answered while both stores are down (2500)")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(lose_both(Path(folder), callers=given.callers, requests=given.requests))


if __name__ == "__main__":
    main()
