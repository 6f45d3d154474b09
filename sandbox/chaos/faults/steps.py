"""F14: a program killed (-9) at every step at which a crash is told apart, enumerated in `core.hooks.STEPS`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from core.hooks import STEPS
from sandbox.chaos.faults.hooked import NO_ANSWER, hooked, until
from sandbox.chaos.nemesis import FAILS_OVER, STAYS, Around, Fault, Field
from sandbox.chaos.proxy import DOWN

_DEATH_SECONDS = 20.0
_TIMES = 5
"""A step that comes with every batch is let pass a few times: some calls were answered, and others are under way."""
_ONCE = ("replay", "cut-over")
"""These come a few times in a recovery at most."""


async def killed_in(field: Field, name: str, step: str) -> None:
    """Run a member until it dies in the step, and start it again as it was."""
    member = field.cluster.members[name]
    times = 1 if step.startswith(_ONCE) else _TIMES
    async with hooked(member, "--dies-in", step, "--times", str(times)):
        if step.startswith(_ONCE):
            await field.operator.recover()
        if await until(lambda: not member.is_up, seconds=_DEATH_SECONDS):
            field.note(f"{name} killed in {step}")
        else:
            field.fail("I6", f"{name} never came to the step {step}, so it was not killed there")


def walk(*steps: str, member: str = "a") -> Around:
    """Kill the member in these steps, one after the other."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        field.begins()
        for step in steps:
            await killed_in(field, member, step)
        yield

    return around


def walk_while_down(*steps: str) -> Around:
    """The same while MySQL is away, so that writes are journaled; it is back for what happens in a recovery."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        field.begins()
        await field.trouble("mysql", DOWN)
        await asyncio.sleep(4.0)  # both have found out, and have journals
        if steps[0].startswith(_ONCE):
            await field.heal("mysql")
        for step in steps:
            await killed_in(field, "a", step)
        yield
        await field.heal("mysql")

    return around


@asynccontextmanager
async def workers(field: Field) -> AsyncIterator[None]:
    """The ingester between insert and acknowledgement, the encryptor between encryption, store and acknowledgement."""
    field.begins()
    await killed_in(field, "ingester", "ingest-ack")
    for step in ("encrypt-store", "encrypt-ack"):
        await killed_in(field, "encryptor", step)
    yield


def _fault(letter: str, title: str, around: Around, expects: Sequence[str]) -> Fault:
    return Fault(
        number=f"F14{letter}",
        title=title,
        victim="program",
        around=around,
        expects=expects,
        seconds=4.0,
        tolerates=NO_ANSWER,
        restarts_instances=True,
    )


def _starting(prefix: str) -> list[str]:
    return [step for step in STEPS if step.startswith(prefix)]


FAULTS = (
    _fault(
        "a", "killed around a write of the store's journal", walk_while_down(*_starting("store-journal")), FAILS_OVER
    ),
    _fault("b", "killed in a replay, before its write", walk_while_down("replay-write"), FAILS_OVER),
    _fault("c", "killed in a replay, committed and not marked", walk_while_down("replay-mark"), FAILS_OVER),
    _fault("d", "killed in the cut-over, recovering", walk_while_down("cut-over-recovering"), FAILS_OVER),
    _fault("e", "killed in the cut-over, recovered", walk_while_down("cut-over-recovered"), FAILS_OVER),
    _fault("f", "killed around a write of the events' journal", walk(*_starting("events-journal")), STAYS),
    _fault("g", "killed after publish, before its mark", walk("publish-mark"), STAYS),
    _fault("h", "ingest and encryptor killed before they acknowledge", workers, STAYS),
)
