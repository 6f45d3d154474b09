"""Where a harness may stand between a program and the machine: the named steps at which a crash is told apart, and the disk's word.

Every part that writes something in two moves takes `Hooks` and says its step between them; by default nobody listens.
No setting and no variable of the environment reaches them: only a program that is written for it passes others in.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

Step = Callable[[str], None]
"""Told the name of a step when a program stands in it."""
Sync = Callable[[int], None]
"""Makes what was written to a file descriptor durable. Raises `OSError`."""

Read = Callable[[int, int, int], bytes]
"""Reads from a file descriptor at most so many bytes from a place on. Raises `OSError`."""

JOURNAL_MOMENTS = ("write", "sync", "answer")
"""Before the write; written and not synced; synced and not answered."""

STEPS = (
    *(f"store-journal-{moment}" for moment in JOURNAL_MOMENTS),
    *(f"events-journal-{moment}" for moment in JOURNAL_MOMENTS),
    "replay-write",  # a batch of the journal is read and not written into the store
    "replay-mark",  # it is committed and not marked
    "cut-over-recovering",  # the primary store serves again; the status is kept, and not told to the others
    "cut-over-recovered",  # everything is replayed; the status is not kept yet
    "publish-mark",  # the queue has a batch that is not marked
    "ingest-ack",  # the warehouse has rows whose messages are not acknowledged
    "encrypt-store",  # numbers are encrypted and not stored
    "encrypt-ack",  # they are stored, and their messages are not acknowledged
)
"""Every step at which a program can be stopped, in the order of a number's way."""


def no_step(_name: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Hooks:
    """What a part is given: `step` hears where it stands, `sync` and `read` are the disk's word."""

    step: Step = no_step
    sync: Sync = os.fdatasync
    read: Read = os.pread

    def within(self, place: str) -> Hooks:
        """The same for a part that does not know where it stands: its steps are called `place-…`."""
        step = self.step
        if step is no_step:
            return self
        return Hooks(step=lambda name: step(f"{place}-{name}"), sync=self.sync, read=self.read)


NO_HOOKS = Hooks()
