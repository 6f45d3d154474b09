"""One transaction a row on 8 threads against the store's write lane with 64 callers, side by side."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop
from pydantic import SecretStr
from sqlalchemy import create_engine, insert

from core.clock import utc_now
from core.ids import RequestIds
from core.settings.servers import Store as StoreSettings
from sandbox.errors import ServerMissing
from sandbox.servers import start_mariadb
from service.facts import Attempt
from service.stores.schema import attempts, metadata, row_of
from service.stores.sql import SqlStore

ROWS = 10_000
ROUNDS = 3
THREADS = 8
CALLERS = 64
PATIENCE_SECONDS = 60.0


def facts(count: int) -> list[Attempt]:
    """Attempts that nobody has written yet."""
    ids = RequestIds(utc_now)
    return [
        Attempt(request_id=ids(), attempt=1, at=utc_now(), provider="alpha", cause="first", phone_hash="0" * 32)
        for _ in range(count)
    ]


def plain(url: str) -> float:
    """Rows a second, each in a transaction of its own."""
    engine = create_engine(url, pool_size=THREADS)
    metadata.create_all(engine)

    def write(fact: Attempt) -> None:
        with engine.begin() as connection:
            connection.execute(insert(attempts), row_of(fact))

    rows = facts(ROWS // 5)
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, rows))
    seconds = time.perf_counter() - began
    engine.dispose()
    return len(rows) / seconds


async def laned(url: str) -> float:
    """Rows a second through the store, one row a call."""
    # Patient: on a machine that stalls, slow is an answer too.
    store = SqlStore(StoreSettings(url=SecretStr(url), read_timeout_seconds=PATIENCE_SECONDS), clock=utc_now)
    await store.prepare()
    waiting = facts(ROWS)

    async def caller() -> None:
        while waiting:
            await store.write([waiting.pop()])

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    seconds = time.perf_counter() - began
    await store.close()
    return ROWS / seconds


def compare(name: str, url: str) -> None:
    """Print a line a round, and the ratio of the best."""
    best_plain = best_laned = 0.0
    for number in range(1, ROUNDS + 1):
        one, many = plain(url), uvloop.run(laned(url))
        best_plain, best_laned = max(best_plain, one), max(best_laned, many)
        print(
            f"{name:8} round {number}: a transaction each {one:7.0f} rows/s   lane {many:7.0f} rows/s   × {many / one:.1f}"
        )
    print(
        f"{name:8} best:    a transaction each {best_plain:7.0f} rows/s   lane {best_laned:7.0f} rows/s   × {best_laned / best_plain:.1f}"
    )


def main() -> None:
    """Run it on what the machine has."""
    with tempfile.TemporaryDirectory() as folder:
        compare("SQLite", f"sqlite:///{Path(folder) / 'store.sqlite3'}")
        try:
            server = start_mariadb(Path(folder) / "mariadb")
        except ServerMissing as missing:
            print(f"{missing}; {missing.hint}", file=sys.stderr)
            return
        try:
            compare("MariaDB", server.url)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
