"""A process that was told to end ends, whatever does not answer meanwhile: a thread that waits for a disk that hangs cannot
be given up, and Python waits for its threads."""

from __future__ import annotations

import os
import threading

import structlog

_log = structlog.get_logger(__name__)

END_SECONDS_MAX = 30.0
"""For what is done once no call is in hand any more; all of it is safe to cut off, as a kill is."""


def end_within(seconds: float = END_SECONDS_MAX) -> None:
    """End the process with status 1 unless it has ended by itself within `seconds`."""
    watchdog = threading.Timer(seconds, _end)
    watchdog.daemon = True
    watchdog.start()


def _end() -> None:
    _log.error(
        "ended before all was done", hint="see what holds up the disk; what was not done is done after the next start"
    )
    os._exit(1)
