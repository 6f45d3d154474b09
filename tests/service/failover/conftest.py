"""Two stores as one, over twins, with probes that follow each other quickly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from core.clock import utc_now
from core.hooks import NO_HOOKS
from core.settings.servers import Failover as FailoverSettings
from core.settings.servers import Journal as JournalSettings
from service.failover import Failover
from tests.service.failover.twins import PRESUMPTION, Make, Twins


@pytest.fixture
def twins(tmp_path: Path) -> Twins:
    return Twins(tmp_path)


@pytest.fixture
async def make(twins: Twins) -> AsyncIterator[Make]:
    made: list[Failover] = []

    async def start(**given) -> Failover:
        clock, timer = given.pop("clock", utc_now), given.pop("timer", monotonic)
        hooks = given.pop("hooks", NO_HOOKS)
        settings = {"window_seconds": 5.0, "fatal_errors": 3, "probe_seconds": 0.02} | given
        failover = Failover(
            primary=twins.primary,
            backup=twins.backup,
            settings=FailoverSettings(**settings),
            journal=JournalSettings(folder=twins.folder),
            presumption=PRESUMPTION,
            clock=clock,
            timer=timer,
            hooks=hooks,
            on_notice=twins.hear,
        )
        made.append(failover)
        await failover.start()
        return failover

    yield start
    for failover in made:
        await failover.close()
