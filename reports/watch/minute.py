"""The job of every minute, by one scheduler at a time: detect, pass on what was found, look whether data comes at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from core.clock import Clock
from core.errors import WarehouseRefused, WarehouseUnavailable
from core.files import held, replace_whole
from core.warehouse import Warehouse
from reports.watch.relay import Relay
from reports.watch.silence import SilenceWatch

_log = structlog.get_logger(__name__)

Detect = Callable[[Warehouse, datetime], object]
"""Judges the minutes up to a moment and writes what it found into the warehouse."""


@dataclass(frozen=True)
class Minute:
    """What is done each minute. `folder` is shared by all schedulers."""

    open_warehouse: Callable[[], Warehouse]
    detect: Detect
    relay: Relay
    silence: SilenceWatch
    folder: Path
    clock: Clock

    def run(self) -> None:
        """Do the work of this minute, unless another scheduler does it or has done it. Raises nothing."""
        try:
            with held(self.folder / "minute.lock") as is_ours:
                if is_ours and self._is_new():
                    self._work()
        except OSError as error:
            _log.error("the folder of alerts cannot be used", reason=error.strerror, folder=str(self.folder))

    def _is_new(self) -> bool:
        done, this = self.folder / "minute.done", f"{self.clock().astimezone(UTC):%Y-%m-%dT%H:%M}"
        if done.exists() and done.read_text(encoding="ascii") == this:
            return False
        replace_whole(done, this.encode())
        return True

    def _work(self) -> None:
        now = self.clock()
        try:
            with closing(self.open_warehouse()) as warehouse:
                self.silence.look(warehouse, now=now)
                self.detect(warehouse, now)
                told = self.relay.pass_on(warehouse, now=now)
        except (WarehouseUnavailable, WarehouseRefused) as error:
            _log.warning("this minute was not judged", reason=str(error), hint=error.hint)
            if isinstance(error, WarehouseUnavailable):
                self.silence.unanswered(error, now=now)
            return
        if told:
            _log.info("incidents told", alerts=told)
