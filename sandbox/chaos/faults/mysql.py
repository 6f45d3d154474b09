"""F1 to F11: the primary store dies, hangs, lies, is full, or is locked by others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.chaos.nemesis import FAILS_OVER, Fault, Field, needs_mysql


@asynccontextmanager
async def killed(field: Field) -> AsyncIterator[None]:
    """`kill -9`, and a start on the same folder."""
    mysql = field.cluster.members["mysql"]
    await asyncio.to_thread(mysql.kill)
    yield
    await mysql.restart()


FAULTS = (
    Fault(
        number="F1",
        title="MySQL killed (-9), restarted later",
        around=killed,
        expects=FAILS_OVER,
        seconds=10.0,
        impossible=needs_mysql,
    ),
)
