"""What a report is about: a day, a week or a month of a time zone, from midnight to midnight, with the two it is held against.

A day is 23 or 25 hours long when summer time begins or ends; a week begins on Monday.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar, Literal, Self
from zoneinfo import ZoneInfo

Kind = Literal["daily", "weekly", "monthly"]

_Date = date
"""Its name where a field is called date."""


@dataclass(frozen=True)
class Day:
    """The calendar day `date` in the time zone `zone`."""

    date: date
    zone: str

    kind: ClassVar[Kind] = "daily"
    noun: ClassVar[str] = "day"
    previous_name: ClassVar[str] = "the day before"
    earlier_name: ClassVar[str] = "the same weekday last week"
    bucket: ClassVar[str] = "1h"
    trend_days: ClassVar[int] = 14

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
    def previous(self) -> Day:
        """The day before."""
        return self.plus(-1)

    @property
    def earlier(self) -> Day:
        """The same weekday a week before."""
        return self.plus(-7)

    @property
    def first(self) -> Day:
        """Itself."""
        return self

    @property
    def next_day(self) -> Day:
        """The day on which it is reported."""
        return self.plus(1)

    @property
    def title(self) -> str:
        """As in `Monday 23 November 2026`."""
        return f"{self.date:%A} {self.date.day} {self.date:%B %Y}"

    @property
    def short(self) -> str:
        """As in `Mon 23 Nov`."""
        return f"{self.date:%a} {self.date.day} {self.date:%b}"


@dataclass(frozen=True)
class _Longer(ABC):
    """What a week and a month share: they are made of days, and begin on `date`."""

    date: date
    zone: str

    @classmethod
    def of(cls, day: Day) -> Self:
        """The one in which `day` lies."""
        return cls(cls._begin(day.date), day.zone)

    @staticmethod
    @abstractmethod
    def _begin(day: _Date) -> _Date:
        """The first day of the one in which `day` lies."""

    @property
    @abstractmethod
    def next_day(self) -> Day:
        """The first day after it, on which it is reported."""

    @property
    def first(self) -> Day:
        """Its first day."""
        return Day(self.date, self.zone)

    @property
    def start(self) -> datetime:
        """The midnight with which it begins, in UTC."""
        return self.first.start

    @property
    def end(self) -> datetime:
        """The midnight that ends it, in UTC; not of it any more."""
        return self.next_day.start

    @property
    def previous(self) -> Self:
        """The one before."""
        return self.of(self.first.plus(-1))


class Week(_Longer):
    """The seven days from a Monday on."""

    kind: ClassVar[Kind] = "weekly"
    noun: ClassVar[str] = "week"
    previous_name: ClassVar[str] = "the week before"
    earlier_name: ClassVar[str] = "four weeks before"
    bucket: ClassVar[str] = "1d"
    trend_days: ClassVar[int] = 28

    @staticmethod
    def _begin(day: _Date) -> _Date:
        return day - timedelta(days=day.weekday())

    @property
    def next_day(self) -> Day:
        """The Monday after it."""
        return self.first.plus(7)

    @property
    def earlier(self) -> Week:
        """The week four weeks before."""
        return self.of(self.first.plus(-28))

    @property
    def title(self) -> str:
        """As in `Week of Monday 23 November 2026`."""
        return f"Week of {self.first.title}"

    @property
    def short(self) -> str:
        """As in `week of 23 Nov`."""
        return f"week of {self.date.day} {self.date:%b}"


class Month(_Longer):
    """A calendar month."""

    kind: ClassVar[Kind] = "monthly"
    noun: ClassVar[str] = "month"
    previous_name: ClassVar[str] = "the month before"
    earlier_name: ClassVar[str] = "the same month last year"
    bucket: ClassVar[str] = "1d"
    trend_days: ClassVar[int] = 62

    @staticmethod
    def _begin(day: _Date) -> _Date:
        return day.replace(day=1)

    @property
    def next_day(self) -> Day:
        """The first day of the month after it."""
        return Day(self._begin(self.date + timedelta(days=31)), self.zone)

    @property
    def earlier(self) -> Month:
        """The same month a year before."""
        return Month(self.date.replace(year=self.date.year - 1), self.zone)

    @property
    def title(self) -> str:
        """As in `November 2026`."""
        return f"{self.date:%B %Y}"

    @property
    def short(self) -> str:
        """As in `Nov 2026`."""
        return f"{self.date:%b %Y}"


Span = Day | Week | Month


def last_over(kind: Kind, moment: datetime, zone: str) -> Span:
    """The last day, week or month that is over at `moment`."""
    return span_of(kind, Day.of(moment, zone)).previous


def span_of(kind: Kind, day: Day) -> Span:
    """The day, week or month in which `day` lies."""
    spans: dict[Kind, Callable[[Day], Span]] = {"daily": lambda one: one, "weekly": Week.of, "monthly": Month.of}
    return spans[kind](day)
