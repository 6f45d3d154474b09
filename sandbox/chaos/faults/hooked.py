"""Members of the cluster run as `sandbox.hooked`: for the rows that kill a program in a step, or give it a disk that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from sandbox.chaos.cluster import Member, hooked_process
from sandbox.errors import ProcessDied

NO_ANSWER = frozenset({0})
"""What callers of an instance get who did not hear that it was killed."""
_POLL_SECONDS = 0.05


@asynccontextmanager
async def hooked(member: Member, *options: str) -> AsyncIterator[None]:
    """The member runs with these options while the block does, and as it was afterwards. One that dies while it starts
    has only come to its end early."""
    as_it_was = member.process
    await asyncio.to_thread(member.stop)
    member.process = hooked_process(as_it_was, *options)
    try:
        with suppress(ProcessDied):
            await asyncio.to_thread(member.start)
        yield
    finally:
        member.process = as_it_was
        await member.restart()


async def until(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Wait until it holds; False when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
