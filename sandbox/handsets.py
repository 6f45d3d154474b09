"""The handsets of the simulated subscribers: providers put texts in, the person who waits for one takes it out.

It lives in the memory of the one process that runs both; texts for numbers that nobody watches are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Handsets:
    """One inbox a number, as long as somebody watches it."""

    def __init__(self) -> None:
        self._inboxes: dict[str, asyncio.Queue[str]] = {}

    def __len__(self) -> int:
        """How many are watched."""
        return len(self._inboxes)

    async def deliver(self, number: str, text: str) -> None:
        """Show `text` on the handset of `number` (E.164)."""
        inbox = self._inboxes.get(number)
        if inbox is not None:
            inbox.put_nowait(text)

    def is_watched(self, number: str) -> bool:
        """Whether somebody looks at this handset."""
        return number in self._inboxes

    @contextmanager
    def watch(self, number: str) -> Iterator[asyncio.Queue[str]]:
        """The inbox of `number` while its owner looks at it. Raises `ValueError` when somebody else does already."""
        if number in self._inboxes:
            raise ValueError("this handset has an owner already")
        self._inboxes[number] = inbox = asyncio.Queue[str]()
        try:
            yield inbox
        finally:
            del self._inboxes[number]


class Overheard(Handsets):
    """Handsets whose messages somebody else reads, too: told every number and text."""

    def __init__(self, overheard: Callable[[str, str], None]) -> None:
        super().__init__()
        self._overheard = overheard

    async def deliver(self, number: str, text: str) -> None:
        self._overheard(number, text)
        await super().deliver(number, text)
