"""Waiting for something that another task or process does, without sleeping for a fixed time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic


async def until(holds: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Return as soon as `holds()`; fail when it does not within `seconds`."""
    deadline = monotonic() + seconds
    while not holds():
        if monotonic() > deadline:
            raise AssertionError(f"it did not come true within {seconds:g} s")
        await asyncio.sleep(0.01)
