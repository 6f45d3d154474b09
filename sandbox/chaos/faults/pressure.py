"""F24: ten times the load. Refusals must come early and say when to come back, memory must stay flat, and then all is well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.chaos.cluster import INSTANCES
from sandbox.chaos.nemesis import Fault, Field

FACTOR = 10
MEMORY_MAX_MB = 400
"""More than any instance needs with a thousand calls in hand (about 150 MB here)."""
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


FAULTS = (
    Fault(
        number="F24",
        title=f"{FACTOR} times the load",
        around=tenfold,
        victim="load",
        seconds=60.0,
        quick_seconds=10.0,
        tolerates=frozenset({429, 503}),
    ),
)
