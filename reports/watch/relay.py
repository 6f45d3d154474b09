"""Passes on what detection has written into the warehouse, in order, each once, also after a crash in between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from core.alerts import Alerts
from core.files import replace_whole
from core.warehouse import Warehouse
from metrics.detection.incidents import Notification
from metrics.detection.records import evidence, notifications_since
from reports.watch.incidents import Teller

_FIRST_LOOK = timedelta(hours=1)
"""Without a mark (a first start, a lost folder) what is older is no news."""

_WRITTEN_LATE = timedelta(minutes=2)
"""A notification may be written this long after the moment it bears; told twice, it is heard once."""


@dataclass(frozen=True)
class Relay:
    """From the warehouse to the alerts. The mark is a file; losing it repeats nothing that the outbox knows."""

    alerts: Alerts
    teller: Teller
    mark: Path

    def pass_on(self, warehouse: Warehouse, *, now: datetime) -> int:
        """Tell what came since the last time; how many alerts it was. Raises `WarehouseUnavailable`, `OSError`."""
        after = self._after(now)
        found = notifications_since(warehouse, after)
        told = [self._tell(warehouse, one) for one in found if self._concerns(one)]
        latest = max((one.at for one in found), default=None)
        if latest is not None:
            replace_whole(self.mark, (latest - _WRITTEN_LATE).isoformat().encode())
        return sum(told)

    def _concerns(self, one: Notification) -> bool:
        # That data stopped is noticed here without the warehouse, which may be what stopped.
        return not one.incident.silenced and one.incident.kind != "data-stopped"

    def _tell(self, warehouse: Warehouse, one: Notification) -> bool:
        last = self.alerts.last_of(f"incident {one.incident.id}")
        if last is None and one.event == "resolved":
            return False  # it was silenced while it lasted: nobody waits to hear that it is over
        frame = evidence(warehouse, one.incident.id)
        return self.alerts.tell(self.teller.alert(one, frame, is_known=last is not None)).result()

    def _after(self, now: datetime) -> datetime:
        try:
            return datetime.fromisoformat(self.mark.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return now - _FIRST_LOOK
