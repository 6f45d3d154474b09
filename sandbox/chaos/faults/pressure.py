"""F24: ten times the load: refusals must come early and say when to come back, memory must stay flat, and then all is well.
And no processor left: other programs take both, and neither store may be blamed for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

from sandbox.chaos.cluster import INSTANCES
from sandbox.chaos.faults.receipts import a_code, check_at_once
from sandbox.chaos.nemesis import Fault, Field
from sandbox.children import Process, launch

FACTOR = 10
MEMORY_MAX_MB = 400
"""More than any instance needs with a thousand calls in hand (about 150 MB here)."""
HOGS_A_PROCESSOR = 12
_NICENESS = 16
"""Of the service and its stores: from half way between it and ours the hogs leave them all a seventieth of a processor."""
_LOOK_SECONDS = 0.5
_MB = 1024 * 1024


@asynccontextmanager
async def tenfold(field: Field) -> AsyncIterator[None]:
    """Ten times the calls."""
    before = _memory_mb(field)
    watching = asyncio.create_task(_most_memory_mb(field))
    field.load.rate *= FACTOR
    try:
        yield
    finally:
        field.load.rate /= FACTOR
        watching.cancel()
    peak = await watching
    field.note(f"memory of the larger instance: {before:.0f} MB before, {peak:.0f} MB at most")
    if peak > MEMORY_MAX_MB:
        field.fail("I8", f"an instance took {peak:.0f} MB of memory, and may take {MEMORY_MAX_MB} MB")


def _memory_mb(field: Field) -> float:
    return max(field.cluster.members[name].memory_bytes() for name in INSTANCES) / _MB


async def _most_memory_mb(field: Field) -> float:
    most = 0.0
    try:
        while True:
            most = max(most, _memory_mb(field))
            await asyncio.sleep(_LOOK_SECONDS)
    except asyncio.CancelledError:
        return most


@asynccontextmanager
async def processors_taken(field: Field) -> AsyncIterator[None]:
    """Programs that do nothing else take the processors from the service and its stores, though not from whoever calls it,
    while one code is checked a hundred times at once."""
    sent = await a_code(field)
    argv = ["nice", "-n", str(_NICENESS // 2), "sh", "-c", "while :; do :; done"]
    with ExitStack() as taken:
        for number in range(HOGS_A_PROCESSOR * (os.cpu_count() or 1)):
            hog = Process(name=f"hog-{number}", argv=argv, is_ready=lambda _child: True)
            taken.callback(launch(hog, field.cluster.folder / "hogs").kill)
        field.begins()
        if sent is not None:
            await check_at_once(field, *sent)
        yield


FAULTS = (
    Fault(
        number="F24a",
        title=f"{FACTOR} times the load",
        around=tenfold,
        victim="load",
        seconds=60.0,
        quick_seconds=10.0,
        tolerates=frozenset({429, 503}),
    ),
    Fault(
        number="F24b",
        title="the processors are taken, 100 checks at once",
        around=processors_taken,
        victim="processors",
        plan=lambda plan: replace(plan, niceness=_NICENESS),
        judges_answers=False,
        seconds=15.0,
        quick_seconds=10.0,
        tolerates=frozenset({429, 503}),
    ),
)
