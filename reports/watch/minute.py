"""The job of every minute, by the scheduler that leads: look whether data comes at all, detect, pass on what was found.

A part that breaks costs itself alone, and is done again in the next minute.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from core.clock import Clock
from core.errors import WarehouseRefused, WarehouseUnavailable
from core.files import replace_whole
from core.redact import described
from core.warehouse import Warehouse
from metrics import runs
from reports.watch.lead import Lead
from reports.watch.relay import Relay
from reports.watch.silence import SilenceWatch

_log = structlog.get_logger(__name__)

Detect = Callable[[Warehouse, datetime], object]
"""Judges the minutes up to a moment and writes what it found into the warehouse."""


@dataclass(frozen=True)
class Minute:
    """What is done each minute. `folder` is shared by all schedulers, and `lead` is of a file in it."""

    open_warehouse: Callable[[], Warehouse]
    detect: Detect
    relay: Relay
    silence: SilenceWatch
    folder: Path
    lead: Lead
    clock: Clock

    def run(self) -> None:
        """Do the work of this minute, unless another scheduler leads or has done it. Raises nothing."""
        try:
            with self.lead.at_work() as is_ours:
                if is_ours and self._is_new():
                    self._work()
        except OSError as error:
            _log.error("the folder of alerts cannot be used", reason=error.strerror, folder=str(self.folder))
        except Exception as error:  # noqa: BLE001  # the next minute has to come, whatever it was
            _log.error("this minute failed", reason=described(error))

    def close(self) -> None:
        """Leave the minutes to come to another scheduler, once the work under way is done."""
        self.lead.give_up()

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
                failures = self._parts(warehouse, now)
                runs.note(warehouse, "minute", at=now, failure="; ".join(failures))
        except (WarehouseUnavailable, WarehouseRefused) as error:
            _log.warning("this minute was not judged", reason=str(error), hint=error.hint)
            self.silence.unanswered(error, now=now)

    def _parts(self, warehouse: Warehouse, now: datetime) -> list[str]:
        """What broke, in words. Raises `WarehouseUnavailable`: then no part can be done."""
        parts: dict[str, Callable[[], object]] = {
            "whether data comes": lambda: self._look(warehouse, now),
            "detection": lambda: self.detect(warehouse, now),
            "telling": lambda: self._tell(warehouse, now),
        }
        failures = []
        for name, work in parts.items():
            try:
                work()
            except WarehouseUnavailable:
                raise
            except Exception as error:  # noqa: BLE001  # one that breaks must not cost the alerts of the others
                hint = getattr(error, "hint", "")
                _log.error("a part of this minute failed", part=name, reason=described(error), hint=hint)
                failures.append(f"{name}: {described(error)}")
        return failures

    def _look(self, warehouse: Warehouse, now: datetime) -> None:
        try:
            self.silence.look(warehouse, now=now)
        except WarehouseRefused as error:  # it lets in and lets nothing be read: the rights were taken away
            self.silence.unanswered(error, now=now)
            raise

    def _tell(self, warehouse: Warehouse, now: datetime) -> None:
        if told := self.relay.pass_on(warehouse, now=now):
            _log.info("incidents told", alerts=told)
