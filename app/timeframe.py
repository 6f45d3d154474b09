"""Ranges of time and buckets: what a preset means now, and which bucket keeps a line readable.

A moving range is cut to a step, so that everybody who looks within the step asks the same question.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from app.words import BUCKET_TITLES
from metrics.query import BUCKETS

PRESETS: dict[str, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
CUSTOM = "custom"
AUTO = "auto"

POINTS_MAX = 400
"""Most points of a line: beyond it a panel shows noise, and the browser feels it."""

POINTS_AUTO = 170
"""What a line gets when nobody asked: a week by the hour, a day by the quarter of an hour."""

POINTS_MIN = 12
SAMPLE_WANTED = 100
"""At 95 % a sample of 100 is good to four points, one of 10 to fourteen."""

SPAN_MAX = timedelta(days=POINTS_MAX)
WEEK = timedelta(days=7)

_STEPS = ((timedelta(hours=1), 15), (timedelta(hours=6), 30), (timedelta(days=1), 60), (timedelta(days=7), 120))
_LONGEST_STEP = 600

COMPARED: dict[str, timedelta] = {"week": WEEK, "day": timedelta(days=1)}
"""How much earlier the period lies that a value is compared with."""

OTHER: dict[str, str] = {"week": "day", "day": "week"}
"""The comparison that stands beside the chosen one."""


@dataclass(frozen=True)
class Window:
    """Half-open, in UTC. `step_seconds` says how old an answer about it may be."""

    start: datetime
    end: datetime
    step_seconds: int

    @property
    def span(self) -> timedelta:
        return self.end - self.start

    def earlier(self, by: timedelta) -> Window:
        """The same span so much before."""
        return Window(self.start - by, self.end - by, self.step_seconds)

    def of_buckets(self, bucket: str, zone: str) -> Window:
        """Every bucket that the window touches, whole: the same as long as no new one begins."""
        end = floor(self.end, bucket, zone)
        if end < self.end:
            end = next_bucket(end, bucket, zone)
        return Window(floor(self.start, bucket, zone), end, self.step_seconds)

    def from_bucket(self, bucket: str, zone: str) -> Window:
        """Reaching back to where the first bucket begins, so that it is whole."""
        return Window(floor(self.start, bucket, zone), self.end, self.step_seconds)

    def begins(self, bucket: str, zone: str) -> list[datetime]:
        """Where each bucket that the window touches begins, in order."""
        found = [floor(self.start, bucket, zone)]
        while (following := next_bucket(found[-1], bucket, zone)) < self.end:
            found.append(following)
        return found


def moving(preset: str, now: datetime) -> Window:
    """The window of a preset, ending now (to the step)."""
    span = PRESETS[preset]
    step = next((seconds for longest, seconds in _STEPS if span <= longest), _LONGEST_STEP)
    end = datetime.fromtimestamp(now.timestamp() // step * step, UTC)
    return Window(end - span, end, step)


def fixed(start: datetime, end: datetime) -> Window:
    """A window between two aware times."""
    return Window(start.astimezone(UTC), end.astimezone(UTC), 60)


def problem(window: Window) -> str:
    """Why a window cannot be shown, in a sentence; empty when it can."""
    if window.span == timedelta(0):
        return "The range is empty: it begins and ends at the same moment."
    if window.span < timedelta(0):
        return "The range ends before it begins."
    if window.span > SPAN_MAX:
        return f"The range is longer than {SPAN_MAX.days} days."
    return ""


def points(window: Window, bucket: str) -> int:
    """How many buckets a window has."""
    return -(-int(window.span.total_seconds()) // BUCKETS[bucket])


def auto_bucket(window: Window, *, volume: int, most: int = POINTS_AUTO) -> str:
    """The finest bucket with at most `most` points that leaves a point of `volume` attempts a sample worth drawing.

    A line of less than `POINTS_MIN` points shows no trend, so little traffic gets small samples rather than no line.
    """
    fine = [name for name in BUCKETS if points(window, name) <= most] or ["1d"]
    enough = [name for name in fine if volume / points(window, name) >= SAMPLE_WANTED]
    drawn = [name for name in fine if points(window, name) >= POINTS_MIN]
    coarsest = drawn[-1] if drawn else fine[0]
    return next((name for name in enough if name in drawn), coarsest)


def choose_bucket(window: Window, wanted: str, *, volume: int) -> tuple[str, str]:
    """The bucket to use, and a sentence when it is not the one that was wanted."""
    if wanted == AUTO:
        return auto_bucket(window, volume=volume), ""
    if points(window, wanted) <= POINTS_MAX:
        return wanted, ""
    used = next((name for name in BUCKETS if points(window, name) <= POINTS_MAX), "1d")
    many = points(window, wanted)
    titles = BUCKET_TITLES[wanted], BUCKET_TITLES[used]
    return used, f"Buckets of {titles[0]} would make {many:,} points a line in this range; {titles[1]} is used instead."


def floor(at: datetime, bucket: str, zone: str) -> datetime:
    """Where the bucket that holds `at` begins; a day begins at midnight of the zone."""
    local = at.astimezone(ZoneInfo(zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if bucket == "1d":
        return midnight.astimezone(UTC)
    size = BUCKETS[bucket]
    past = (local.replace(tzinfo=None) - midnight.replace(tzinfo=None)).total_seconds()
    begins = midnight.replace(tzinfo=None) + timedelta(seconds=past // size * size)
    return begins.replace(tzinfo=ZoneInfo(zone), fold=local.fold).astimezone(UTC)


def next_bucket(begins: datetime, bucket: str, zone: str) -> datetime:
    """Where the one after the bucket that begins there begins: a day of 25 hours ends an hour later than others."""
    seconds = BUCKETS[bucket]
    if seconds <= BUCKETS["1h"]:
        return begins + timedelta(seconds=seconds)
    return floor(begins + timedelta(seconds=seconds, hours=1), bucket, zone)  # an hour more lies within the next one


@cache
def zones() -> frozenset[str]:
    """Every time zone there is, read once: opening all their files takes as long as drawing a chart."""
    return frozenset(available_timezones())


def clock_changes(window: Window, zone: str) -> bool:
    """Whether summer time begins or ends within the window."""
    info = ZoneInfo(zone)
    return window.start.astimezone(info).utcoffset() != window.end.astimezone(info).utcoffset()
