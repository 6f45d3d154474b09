"""F16: the disk of the journals is full, broken or slow. Without durability nothing is answered 2xx, and no file is synced again after it failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from sandbox.chaos.cluster import INSTANCES
from sandbox.chaos.faults.hooked import NO_ANSWER, hooked
from sandbox.chaos.nemesis import FAILS_OVER, STAYS, Around, Fault, Field
from sandbox.chaos.proxy import DOWN
from sandbox.hooked import SYNCED_AGAIN_SUFFIX

_TRY_AGAIN = NO_ANSWER | {503}


def disk(word: str, *, while_down: bool) -> Around:
    """Both instances journal on a disk that does what the word says, while MySQL is away or not."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        control = field.cluster.folder / f"disk-{word}"
        async with AsyncExitStack() as stack:
            for name in INSTANCES:  # one after the other: the other one serves
                member = field.cluster.members[name]
                await stack.enter_async_context(hooked(member, "--disk", str(control)))
            field.begins()
            if while_down:
                await field.trouble("mysql", DOWN)
                await asyncio.sleep(4.0)
            control.write_text(word)
            yield
            control.write_text("")
            await field.heal("mysql")
        if control.with_suffix(SYNCED_AGAIN_SUFFIX).exists():
            field.fail("I1", "a file was synced again after its sync had failed")

    return around


_disk = partial(Fault, victim="disk", restarts_instances=True, tolerates=_TRY_AGAIN)

FAULTS = (
    _disk(
        number="F16a",
        title="fsync of the journals fails (EIO), stores well",
        around=disk("eio", while_down=False),
        expects=STAYS,
    ),
    _disk(
        number="F16b",
        title="fsync fails (EIO) while MySQL is down",
        around=disk("eio", while_down=True),
        expects=FAILS_OVER,
    ),
    _disk(
        number="F16c",
        title="the journals' disk is full while MySQL is down",
        around=disk("full", while_down=True),
        expects=FAILS_OVER,
    ),
    _disk(
        number="F16d",
        title="fsync takes 300 ms while MySQL is down",
        around=disk("slow", while_down=True),
        expects=FAILS_OVER,
        tolerates=NO_ANSWER,
    ),
)
