"""F22: one of the providers takes messages and says nothing, refuses, fails, or answers something else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from sandbox.chaos.nemesis import Fault, Field
from sandbox.providers import Sabotage

_VICTIM = 0
_FOR_EVER = 1_000_000
_RESTS = "provider rests"
P99_MAX_MS = 4_500.0
"""A provider may take three seconds to answer; then another one is asked."""


def spoilt(how: Sabotage) -> Callable[[Field], AbstractAsyncContextManager[None]]:
    """Every call to one provider is spoilt."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        victim = list(field.load.simulators.values())[_VICTIM]
        victim.sabotage(how, times=_FOR_EVER)
        yield
        victim.calm()

    return around


@asynccontextmanager
async def dark(field: Field) -> AsyncIterator[None]:
    """Half of the providers take messages, which arrive, and never answer."""
    names = list(field.load.simulators)
    field.load.carriers.dark.update(names[: len(names) // 2])
    yield
    field.load.carriers.dark.clear()


_provider = partial(
    Fault, victim="providers", seconds=12.0, quick_seconds=6.0, p99_max_ms=P99_MAX_MS, detection_max_seconds=None
)

FAULTS = (
    _provider(
        number="F22a", title="a provider takes messages and never answers", around=spoilt("timeout"), detected_by=_RESTS
    ),
    _provider(number="F22b", title="a provider answers 429", around=spoilt("throttle"), detected_by=_RESTS),
    _provider(number="F22c", title="a provider answers 500", around=spoilt("error"), detected_by=_RESTS),
    _provider(number="F22d", title="a provider answers garbage", around=spoilt("garbage"), detected_by=_RESTS),
    _provider(number="F22e", title="a provider answers with another message's id", around=spoilt("wrong_id")),
    _provider(number="F22f", title="two of four providers go black", around=dark, detected_by=_RESTS),
)
