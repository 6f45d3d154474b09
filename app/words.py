"""How numbers, times and names read on the pages. An undefined value reads as a dash, never as zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import isfinite
from zoneinfo import ZoneInfo

from core.words import count as count  # told on from here with all else that is written on pages
from core.words import points
from metrics.catalogue import Metric
from metrics.readings import interval

UNDEFINED = "–"
MEBIBYTE = 1 << 20  # bytes
BETWEEN = "Wilson interval, 95 %: how far chance may have moved the value."
UNKNOWN = "(unknown)"
"""How an empty dimension value stands in a link."""

DIMENSION_TITLES: Mapping[str, str] = {
    "provider": "Provider",
    "carrier": "Carrier",
    "country": "Country",
    "region": "Region",
    "app": "App",
    "purpose": "Purpose",
    "template": "Template",
}

BUCKET_TITLES: Mapping[str, str] = {
    "1m": "1 minute",
    "5m": "5 minutes",
    "15m": "15 minutes",
    "1h": "1 hour",
    "6h": "6 hours",
    "1d": "1 day",
}


BUCKET_HOURS: Mapping[str, int] = {"6h": 6, "1d": 24}
"""Of the buckets that are told in UTC on every page."""

COMPARED_TITLES: Mapping[str, str] = {"week": "last week", "day": "yesterday", "none": "nothing"}

BY_CHANCE = "within chance"
"""How a change is judged that is neither better nor worse by more than chance."""


def utc_buckets(bucket: str, zone: str) -> str:
    """A sentence where buckets of that length begin at other hours than those of the page's zone; empty where they do not."""
    if BUCKET_HOURS.get(bucket, 0) < 6 or zone == "UTC":
        return ""
    return " Days are those of UTC here." if bucket == "1d" else " They begin at 0, 6, 12 and 18 h UTC."


def named(dimension: str, value: str) -> str:
    """A dimension's value as people read it."""
    return value or f"({dimension} unknown)"


def defined(value: float | None) -> bool:
    """Whether there is a number to show."""
    return value is not None and isfinite(value)


def figure(value: float | None, unit: str) -> str:
    """A value with its unit."""
    if value is None or not isfinite(value):
        return UNDEFINED
    return share(value, _ratio_places(value)) if unit == "ratio" else seconds(value)


def share(value: float | None, places: int) -> str:
    """A share with as many decimals, or more where it would read as all or as nothing."""
    return f"{points(value, places)} %" if value is not None and isfinite(value) else UNDEFINED


def between(value: float | None, n: int) -> str:
    """The ends of a ratio's Wilson interval; empty where undefined."""
    ends = interval(value, n)
    if value is None or ends is None:
        return ""
    places = _ratio_places(value)
    return f"{points(ends[0], places)} – {points(ends[1], places)} %"


def _ratio_places(value: float) -> int:
    """Close to 0 and to 1 the second decimal is the one that matters."""
    return 2 if value != round(value) and (value >= 0.99 or value < 0.01) else 1


def seconds(value: float) -> str:
    """A duration, to three figures at most."""
    if value < 10:
        return f"{value:.2f} s"
    return f"{value:.1f} s" if value < 100 else f"{value:,.0f} s"


def change(now: float, before: float, unit: str) -> str:
    """A difference, with its sign; ratios in percentage points."""
    moved = (now - before) * (100 if unit == "ratio" else 1)
    text = f"{abs(moved):.2f}" if abs(moved) < 10 else f"{abs(moved):.1f}"
    sign = "±" if float(text) == 0 else "+" if moved > 0 else "−"
    return f"{sign}{text} {'points' if unit == 'ratio' else 's'}"


def arrow(moved: str) -> str:
    """The sign of a `change` as one that is seen from afar."""
    return {"+": "▲", "−": "▼"}.get(moved[0], "●")


def earlier(when: str, *, same_age: bool) -> str:
    """The word for a period that is compared; of the `same_age` is what was known so much earlier."""
    return f"{when} at this age" if same_age else when


def mebibytes(size_bytes: float) -> str:
    """A size, in the unit of the charts: 2,097,152 is `2.00 MiB`; what is not nothing never reads as 0."""
    if 0 < size_bytes < MEBIBYTE / 100:
        return "< 0.01 MiB"
    return f"{size_bytes / MEBIBYTE:,.2f} MiB" if size_bytes else "0 MiB"


def ago(span: timedelta) -> str:
    """How long ago, in the largest unit that still says something."""
    total = int(span.total_seconds())
    if total < 0:
        return "ahead of this clock"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if total >= 2 * size:
            return f"{total // size} {unit} ago"
    return f"{total} s ago"


def lasting(span: timedelta) -> str:
    """How long something lasted, in two units at most."""
    minutes = max(0, round(span.total_seconds() / 60))
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def moment(at: datetime, zone: str, *, now: datetime) -> str:
    """A time of day with its zone; with the date when it is another day."""
    local = at.astimezone(ZoneInfo(zone))
    same_day = local.date() == now.astimezone(ZoneInfo(zone)).date()
    return local.strftime("%H:%M:%S %Z" if same_day else "%Y-%m-%d %H:%M:%S %Z")


def window(start: datetime, end: datetime, zone: str) -> str:
    """A range of time, the date said once when it is the same."""
    first, last = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    until = last.strftime("%H:%M %Z" if first.date() == last.date() else "%a %d %b %Y, %H:%M %Z")
    return f"{first.strftime('%a %d %b %Y, %H:%M')} – {until}"


def listed(names: Sequence[str], *, most: int = 4) -> str:
    """Names with commas; the rest counted."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def cut(text: str, most: int) -> str:
    """The text, or as much of it as fits, with a sign that there is more."""
    return text if len(text) <= most else text[: most - 1] + "…"


def cell(text: str) -> str:
    """A name in a CSV file: names come from providers, and a spreadsheet would compute one that begins like a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def explained(metric: Metric) -> str:
    """What a metric asks and how it is computed, for a tooltip."""
    return f"{metric.question} Formula: {metric.formula}"


def why_undefined(n: int) -> str:
    """Why a value is a dash."""
    if n == 0:
        return "Undefined: nothing to count in this range (n = 0)."
    return "Undefined: none of the sample has come to the state that is measured."
