"""F22: one of the providers takes messages and says nothing, refuses, fails, or answers something else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import product
from typing import Any

from sandbox.chaos.cluster import INSTANCES
from sandbox.chaos.nemesis import Fault, Field
from sandbox.providers import Sabotage

_VICTIM = 0
_FOR_EVER = 1_000_000
_RESTS = "provider rests"
_ENDED = "submission ended"
P99_MAX_MS = 4_500.0
"""A provider may take three seconds to answer; then another one is asked."""
P99_TWO_MAX_MS = 7_500.0
"""Until both rest, a sixth of all messages is tried with the one and then with the other."""


def spoilt(how: Sabotage, *, rests: bool = True) -> Callable[[Field], AbstractAsyncContextManager[None]]:
    """Every call to one provider is spoilt."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        victim = list(field.load.simulators.values())[_VICTIM]
        victim.sabotage(how, times=_FOR_EVER)
        yield
        if rests:
            _judge_breakers(field, [victim.name])
        victim.calm()

    return around


def _judge_breakers(field: Field, providers: Sequence[str]) -> None:
    """Whether each instance lets a provider rest that failed as often in a row as its breaker allows."""
    allowed = field.cluster.settings.routing.breaker_failures
    for instance, provider in product(INSTANCES, providers):
        ended = _lines(field, instance, _ENDED, provider)
        failed = sum(line["outcome"] != "accepted" for line in ended)
        rests = len(_lines(field, instance, _RESTS, provider))
        field.note(f"{instance}: {provider} failed {failed} times, {'rests' if rests else 'does not rest'}")
        if failed >= allowed and not rests:
            field.fail("I8", f"instance {instance} goes on with {provider}, which failed {failed} times in a row")


def _lines(field: Field, instance: str, event: str, provider: str) -> list[dict[str, Any]]:
    lines = field.operator.lines(instance, event)
    return [line for at, line in lines if at >= field.began_at and line["provider"] == provider]


@asynccontextmanager
async def dark(field: Field) -> AsyncIterator[None]:
    """Half of the providers take messages, which arrive, and never answer."""
    names = list(field.load.simulators)
    victims = names[: len(names) // 2]
    field.load.carriers.dark.update(victims)
    yield
    _judge_breakers(field, victims)
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
    _provider(
        number="F22e", title="a provider answers with another message's id", around=spoilt("wrong_id", rests=False)
    ),
    _provider(
        number="F22f",
        title="two of four providers go black",
        around=dark,
        detected_by=_RESTS,
        p99_max_ms=P99_TWO_MAX_MS,
    ),
)
