"""Passes on what detection has written into the warehouse, in order, each once, also after a crash in between; and how it
stands with what is open, when that is news: a silence has ended, say, or twice as many are affected.

What cannot be told costs no other incident its alert, and is tried again every minute for an hour, or while it is open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from core.alerts import Alerts
from core.errors import WarehouseUnavailable
from core.files import replace_whole
from core.redact import described
from core.warehouse import Warehouse
from metrics.detection.deployments import deployed_near
from metrics.detection.incidents import Notification
from metrics.detection.records import evidence, notifications_since, open_incidents
from reports.errors import NotTold
from reports.watch.incidents import Teller, key

_log = structlog.get_logger(__name__)

_FIRST_LOOK = timedelta(hours=1)
"""Without a mark (a first start, a lost folder) what is older is no news, and neither is what could not be told so long. What
detection has not looked at for so long, as when it is off, nobody knows to be open."""

_WRITTEN_LATE = timedelta(minutes=2)
"""A notification may be written this long after the moment it bears; told twice, it is heard once."""


@dataclass(frozen=True)
class _Mark:
    """Until when everything was told, but for what is owed: by incident, from when on."""

    until: datetime
    owed: Mapping[str, datetime]

    def is_new(self, one: Notification) -> bool:
        return one.at > self.until or one.at >= self.owed.get(one.incident.id, one.at + _FIRST_LOOK)

    @property
    def reads_from(self) -> datetime:
        return min([self.until, *(at - timedelta(milliseconds=1) for at in self.owed.values())])


@dataclass(frozen=True)
class Relay:
    """From the warehouse to the alerts. The mark is a file; losing it repeats nothing that the outbox knows."""

    alerts: Alerts
    teller: Teller
    mark: Path

    def pass_on(self, warehouse: Warehouse, *, now: datetime) -> int:
        """Tell what came since the last time; how many alerts it was. Raises `WarehouseUnavailable`, `OSError`, and at the end
        `NotTold` when some could not be told."""
        mark = self._mark(now)
        found = [one for one in notifications_since(warehouse, mark.reads_from) if mark.is_new(one)]
        told, owed, reasons = 0, dict[str, datetime](), list[str]()
        for one in [*found, *self._open_still(warehouse, now)]:
            if one.incident.id in owed or not self._concerns(one):
                continue  # what follows on an incident must not arrive before it
            try:
                told += self._tell(warehouse, one)
            except WarehouseUnavailable:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, the others' alerts still go
                _log.error("an incident could not be told", incident=one.incident.id, reason=described(error))
                reasons.append(f"incident {one.incident.id}: {described(error)}")
                if one.at > now - _FIRST_LOOK:
                    owed[one.incident.id] = one.at
        self._keep(mark, found, owed)
        if reasons:
            raise NotTold("; ".join(reasons))
        return told

    def _open_still(self, warehouse: Warehouse, now: datetime) -> list[Notification]:
        """How it stands with each: detection tells only of another name or place, and what it told in a silence nobody heard."""
        looked_at = now - _FIRST_LOOK
        found = [one for one in open_incidents(warehouse) if one.updated_at > looked_at]
        return [Notification("updated", one, one.updated_at) for one in found]

    def _concerns(self, one: Notification) -> bool:
        # Who heard that it began hears that it is over, silence or not. That data stopped is noticed here without the
        # warehouse, which may be what stopped.
        return (not one.incident.silenced or one.event == "resolved") and one.incident.kind != "data-stopped"

    def _tell(self, warehouse: Warehouse, one: Notification) -> bool:
        last = self.alerts.last_of(key(one.incident))
        if last is None and one.event == "resolved":
            return False  # it was silenced while it lasted: nobody waits to hear that it is over
        if last is not None and one.at <= last.alert.at:
            return False  # that moment was told, or a later one
        if last is not None and last.alert.event == "resolved" and one.event == "updated":
            one = replace(one, event="reopened")  # it came back in a silence
        is_known = last is not None
        if not self.alerts.is_news(self.teller.alert(one, None, is_known=is_known, deployed=())):
            return False  # asked before anything is drawn: each minute it is asked of all that are open
        frame = evidence(warehouse, one.incident.id)
        deployed = deployed_near(warehouse, [one.incident])[one.incident.id]
        return self.alerts.tell(self.teller.alert(one, frame, is_known=is_known, deployed=deployed)).result()

    def _mark(self, now: datetime) -> _Mark:
        try:
            kept = json.loads(self.mark.read_text(encoding="ascii"))
            owed = {name: datetime.fromisoformat(at) for name, at in kept["owed"].items()}
            return _Mark(datetime.fromisoformat(kept["until"]), owed)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return _Mark(now - _FIRST_LOOK, {})

    def _keep(self, mark: _Mark, found: list[Notification], owed: Mapping[str, datetime]) -> None:
        if not found:
            return
        until = max(mark.until, max(one.at for one in found) - _WRITTEN_LATE)
        told = {"until": until.isoformat(), "owed": {name: at.isoformat() for name, at in owed.items()}}
        replace_whole(self.mark, json.dumps(told).encode())
