"""A port that somebody takes between its choice and its use does not end a run of an hour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.chaos.cluster import Plan
from sandbox.chaos.matrix import started
from sandbox.errors import PortTaken


def starting(refusals: int, folders: list[str]) -> Callable[[Plan], AbstractAsyncContextManager[Any]]:
    """Clusters of which the first `refusals` find a port taken; `folders` are told."""

    @asynccontextmanager
    async def start(plan: Plan) -> AsyncIterator[str]:
        folders.append(plan.folder.name)
        if len(folders) <= refusals:
            raise PortTaken("a is to listen on port 28986, but something else does")
        yield "a cluster"

    return start


async def test_a_port_that_is_taken_is_answered_by_others_in_a_folder_of_their_own(tmp_path: Path):
    folders: list[str] = []
    async with AsyncExitStack() as stack:
        plan, cluster = await started(stack, Plan(folder=tmp_path / "cluster-1"), start=starting(1, folders))

    assert cluster == "a cluster"
    assert folders == ["cluster-1", "cluster-1-again"]
    assert plan.folder.name == "cluster-1-again"


async def test_ports_that_stay_taken_are_told(tmp_path: Path):
    folders: list[str] = []
    async with AsyncExitStack() as stack:
        with pytest.raises(PortTaken):
            await started(stack, Plan(folder=tmp_path / "cluster-1"), start=starting(9, folders))

    assert len(folders) == 3
