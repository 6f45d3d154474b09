"""F17 and F25: what can go wrong in a replay, and journals and messages that an older version left."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from core.clock import utc_now
from core.ids import RequestIds
from core.journal import Journal
from core.queue import events_subject
from core.settings import CONFIG_VARIABLE
from sandbox.chaos.faults.queue import administration
from sandbox.chaos.nemesis import FAILS_OVER, Fault, Field
from sandbox.chaos.proxy import DOWN, latency
from sandbox.versions import VERSION_1
from service.facts import Check
from service.failover import STORE_FOLDER
from service.failover.journaling import encode
from service.failover.replay import REJECTED_SUFFIX
from service.publisher import EVENTS_FOLDER

_DOWN_SECONDS = 4.0
"""Until both instances have found out, and have journals."""
_BACK_SECONDS = 40.0
_NOTHING = "0 records of 0 files"
"""What the command says when it came too late."""


@asynccontextmanager
async def rejected(field: Field) -> AsyncIterator[None]:
    """Between good records lie one of no statement and one that the store can never take."""
    folder = field.cluster.journal("a") / STORE_FOLDER
    await field.trouble("mysql", DOWN)
    await asyncio.sleep(_DOWN_SECONDS)
    path = await asyncio.to_thread(_write_bad_records, folder)
    yield
    await field.heal("mysql")
    await field.operator.lead_back(within_seconds=_BACK_SECONDS)
    aside = path.with_suffix(REJECTED_SUFFIX)
    rows = aside.read_bytes().splitlines() if aside.exists() else []
    if len(rows) != 2:
        field.fail("I6", f"{len(rows)} records were set aside; 2 can never be replayed")
    field.note(f"set aside: {', '.join(msgspec.json.decode(row)['reason'] for row in rows)}")
    aside.unlink(missing_ok=True)  # as an operator does who has looked at it


def _write_bad_records(folder: Path) -> Path:
    now = utc_now()
    check = Check(
        request_id=RequestIds(utc_now)(), check=70_000, at=now, attempt=1, result="wrong"
    )  # 16 bits are its column
    other = encode(check, now).replace(b"insert_check", b"drop_every_table")
    before = set(folder.glob("*.journal"))
    journal = Journal(folder, file_bytes_max=1 << 20, total_bytes_max=1 << 40)
    journal.append([other, encode(check, now)])
    [path] = set(folder.glob("*.journal")) - before
    journal.close()
    return path


@asynccontextmanager
async def mysql_dies(field: Field) -> AsyncIterator[None]:
    """MySQL is killed while both instances replay, and comes back later."""
    await field.trouble("mysql", DOWN)
    await asyncio.sleep(_DOWN_SECONDS)
    await field.trouble("mysql", latency(150))  # so that a replay takes its time
    await _give_the_word(field)
    if not await field.operator.until_all("recovering", within_seconds=5.0):
        field.fail("I9", "the word to recover did not reach both instances before one was through")
    await asyncio.to_thread(field.cluster.members["mysql"].kill)
    yield
    await field.cluster.members["mysql"].restart()
    await field.heal("mysql")


@asynccontextmanager
async def by_hand(field: Field) -> AsyncIterator[None]:
    """An operator replays the journals of both instances with the command, beside the instances and beside himself."""
    await field.trouble("mysql", DOWN)
    await asyncio.sleep(_DOWN_SECONDS)
    yield
    await field.heal("mysql")
    await _give_the_word(field)
    ended = await asyncio.gather(*(_replay(field, name) for name in ("a", "b", "b", "a")))
    if any(status for status, _ in ended):
        field.fail("I6", f"a replay by hand ended with {[text for status, text in ended if status]}")
    found = [text for _, text in ended if _NOTHING not in text]
    field.note(
        f"by hand: {'; '.join(found) or 'nothing, the instances had replayed or held every file before it looked'}"
    )


async def _give_the_word(field: Field) -> None:
    for _ in range(100):
        if await field.operator.recover():
            return
        await asyncio.sleep(0.1)
    field.fail("I6", "nobody took the word to recover")


async def _replay(field: Field, instance: str) -> tuple[int, str]:
    environ = {
        "PATH": "/usr/bin:/bin",
        CONFIG_VARIABLE: str(field.cluster.stack.config),
        "PYTHONPATH": ":".join(sys.path),
        "HELIOGRAPH_JOURNAL_FOLDER": str(field.cluster.journal(instance)),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "core", "journal", "replay",
        env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, " / ".join(filter(None, map(str.strip, out.decode().splitlines())))


@asynccontextmanager
async def older(field: Field) -> AsyncIterator[None]:
    """A journal of each kind, and a message on the queue, as version 1 left them."""
    await field.trouble("mysql", DOWN)
    await asyncio.sleep(_DOWN_SECONDS)
    for name, part in (("store.journal", STORE_FOLDER), ("events.journal", EVENTS_FOLDER)):
        folder = field.cluster.journal("a") / part
        await asyncio.to_thread(shutil.copy, VERSION_1 / name, folder / f"20260301T120000.000000-{'0' * 16}.journal")
    async with administration(field) as server:
        body = await asyncio.to_thread((VERSION_1 / "events.jsonl").read_bytes)
        await server.publish(events_subject("send"), body)
    yield
    await field.heal("mysql")


FAULTS = (
    Fault(
        number="F17a",
        title="two records that can never be replayed",
        victim="mysql",
        around=rejected,
        expects=FAILS_OVER,
    ),
    Fault(
        number="F17b",
        title="MySQL killed while both instances replay",
        victim="mysql",
        around=mysql_dies,
        expects=("mysql_fatal", "recovering", *FAILS_OVER),
    ),
    Fault(
        number="F17c", title="replayed by hand beside the instances", victim="mysql", around=by_hand, expects=FAILS_OVER
    ),
    Fault(
        number="F25",
        title="journals and messages of an older version",
        victim="mysql",
        around=older,
        expects=FAILS_OVER,
    ),
)
