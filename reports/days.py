"""A day of a time zone: from one midnight to the next, 23 or 25 hours long when summer time begins or ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Day:
    """The calendar day `date` in the time zone `zone`."""

    date: date
    zone: str

    @classmethod
    def of(cls, moment: datetime, zone: str) -> Day:
        """The day in which `moment` lies."""
        return cls(moment.astimezone(ZoneInfo(zone)).date(), zone)

    @property
    def start(self) -> datetime:
        """Its midnight, in UTC."""
        return self.at(0)

    @property
    def end(self) -> datetime:
        """The midnight that ends it, in UTC; not of it any more."""
        return self.plus(1).start

    def at(self, hour: int) -> datetime:
        """The moment its clocks show `hour`, in UTC; an hour that summer time skips is the one after it."""
        return datetime.combine(self.date, time(hour), tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def plus(self, days: int) -> Day:
        """The day so many days later, or earlier."""
        return Day(self.date + timedelta(days=days), self.zone)

    @property
    def title(self) -> str:
        """As in `Monday 23 November 2026`."""
        return f"{self.date:%A} {self.date.day} {self.date:%B %Y}"

    @property
    def short(self) -> str:
        """As in `Mon 23 Nov`."""
        return f"{self.date:%a} {self.date.day} {self.date:%b}"
