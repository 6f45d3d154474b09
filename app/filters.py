"""What a page shows, as its link says it. The link is the only truth: widgets are set from it and write to it.

Reading refuses nothing: what a link says and nobody knows is left out, with a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.timeframe import AUTO, COMPARED, CUSTOM, PRESETS, Window, fixed, moving, zones
from app.words import DIMENSION_TITLES, UNKNOWN, listed
from core.events import DIMENSIONS
from metrics.catalogue import METRICS
from metrics.query import BUCKETS
from metrics.values import Values

NO_SPLIT = "none"
NO_COMPARISON = "none"
COMPARISONS = (*COMPARED, NO_COMPARISON)
PANEL_COUNTS = ("6", "12", "24", "48")
_LOCAL = "%Y-%m-%dT%H:%M"
_EMBED = ("embed", "embed_options")  # Streamlit's own
_YEARS = range(1971, 2200)
"""Of links; around year 1 and year 9999 another zone or an earlier week is no date any more."""


@dataclass(frozen=True)
class View:
    """Everything a page is drawn from. `start` and `end` are wall-clock times in `zone`, of a custom range only;
    `compare` is empty until somebody chooses, and then each page compares with what it does by itself."""

    zone: str = "UTC"
    range: str = "24h"
    start: datetime | None = None
    end: datetime | None = None
    live: bool = True
    metric: str = "delivery_rate"
    split: str = "provider"
    bucket: str = AUTO
    panels: str = "12"
    compare: str = ""
    show: str = "all"
    incident: str = ""
    request: str = ""
    point: str = ""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def window(self, now: datetime) -> Window:
        """The range of time, at this moment."""
        if self.range == CUSTOM and self.start is not None and self.end is not None:
            zone = ZoneInfo(self.zone)
            return fixed(self.start.replace(tzinfo=zone), self.end.replace(tzinfo=zone))
        return moving(self.range if self.range in PRESETS else "24h", now)

    def compared(self, usual: str) -> str:
        """What a page compares with that compares with the `usual` by itself."""
        return self.compare or usual

    def between(self, start: datetime, end: datetime) -> View:
        """The same over a custom range of whole minutes, as a link holds them: all that these two touch, and one at least."""
        first, minute = _minute(start), timedelta(minutes=1)
        last = max(_minute(end.astimezone(UTC) - timedelta.resolution), first) + minute
        local = [at.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None) for at in (first, last)]
        return replace(self, range=CUSTOM, start=local[0], end=local[1])

    def filter_key(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The filters as something that can be a key of a cache."""
        return tuple((name, self.filters[name]) for name in DIMENSIONS if self.filters.get(name))


_OPTIONS: Mapping[str, Sequence[str]] = {
    "range": (*PRESETS, CUSTOM),
    "live": ("on", "off"),
    "metric": tuple(metric.slug for metric in METRICS),
    "split": (*DIMENSIONS, NO_SPLIT),
    "bucket": (AUTO, *BUCKETS),
    "panels": PANEL_COUNTS,
    "show": ("all", "troubled"),
    "compare": COMPARISONS,
}
_SUBJECTS = ("incident", "request", "point")
"""Ids of what a page tells about; what they name may be gone, so the page says whether it exists. A point is the Unix time
at which its bucket begins, and after a dash that at which it ends."""
_ID_LETTERS = 64
_KEYS = {*_OPTIONS, *_SUBJECTS, *DIMENSIONS, "from", "to", "tz"}


def read(params: Mapping[str, Sequence[str]], *, zone: str) -> tuple[View, list[str]]:
    """The view a link asks for, and a sentence for everything in it that is not known. `zone` is used without `tz`."""
    notices = [f"The link's “{key}” is not known and was left out." for key in params if key not in _KEYS | {*_EMBED}]
    chosen = {key: _one_of(key, params, notices) for key in _OPTIONS}
    view = View(
        zone=_zone(params, zone, notices),
        range=chosen["range"] or View.range,
        live=chosen["live"] != "off",
        metric=chosen["metric"] or View.metric,
        split=chosen["split"] or View.split,
        bucket=chosen["bucket"] or View.bucket,
        panels=chosen["panels"] or View.panels,
        show=chosen["show"] or View.show,
        compare=chosen["compare"] or View.compare,
        incident=_id("incident", params),
        request=_id("request", params),
        point=_id("point", params),
        filters={name: _values(params[name]) for name in DIMENSIONS if params.get(name)},
    )
    return _with_times(view, params, notices), notices


def write(view: View) -> dict[str, str | list[str]]:
    """The link's parameters of a view: what differs from the default, and always the zone."""
    plain = View()
    params: dict[str, str | list[str]] = {}
    if view.range != plain.range:
        params["range"] = view.range
    if view.range == CUSTOM and view.start and view.end:
        params |= {"from": _local(view.start, view.zone), "to": _local(view.end, view.zone)}
    params["tz"] = view.zone
    if not view.live:
        params["live"] = "off"
    for name in ("metric", "split", "bucket", "panels", "show", "compare", *_SUBJECTS):
        if getattr(view, name) != getattr(plain, name):
            params[name] = getattr(view, name)
    params |= {name: [value or UNKNOWN for value in values] for name, values in view.filters.items() if values}
    return params


def without_subject(view: View) -> View:
    """The view for another page."""
    return replace(view, incident="", request="", point="")


def known(view: View, choices: Mapping[str, Values]) -> tuple[View, list[str]]:
    """The view without filter values that do not occur, and a sentence for each dimension that lost some. Where there are more
    values than the choices hold, any may occur."""
    kept: dict[str, tuple[str, ...]] = {}
    notices = []
    for name, values in view.filters.items():
        occurs = choices[name]
        kept[name] = tuple(value for value in values if occurs.more or value in occurs.names)
        lost = [value or UNKNOWN for value in values if value not in kept[name]]
        if lost:
            title = DIMENSION_TITLES[name].lower()
            notices.append(f"No {title} called {listed([f'“{value}”' for value in lost])} occurs here; left out.")
    return replace(view, filters={name: values for name, values in kept.items() if values}), notices


def _one_of(key: str, params: Mapping[str, Sequence[str]], notices: list[str]) -> str:
    value = next(iter(params.get(key, ())), "")
    if value and value not in _OPTIONS[key]:
        notices.append(f"The link asks for {key} “{value}”, which does not exist; the usual one is shown.")
        return ""
    return value


def _id(key: str, params: Mapping[str, Sequence[str]]) -> str:
    return next(iter(params.get(key, ())), "")[:_ID_LETTERS]


def _zone(params: Mapping[str, Sequence[str]], usual: str, notices: list[str]) -> str:
    value = next(iter(params.get("tz", ())), "")
    if value and value not in zones():
        notices.append(f"The link's time zone “{value}” does not exist; times are in {usual}.")
        return usual
    return value or usual


def _values(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys("" if value == UNKNOWN else value for value in values))


def _with_times(view: View, params: Mapping[str, Sequence[str]], notices: list[str]) -> View:
    if view.range != CUSTOM:
        return view
    start, end = _time("from", params, view.zone), _time("to", params, view.zone)
    if start is None or end is None:
        notices.append(
            "The link's custom range needs “from” and “to” like 2026-01-31T14:00; the last 24 hours are shown."
        )
        return replace(view, range=View.range)
    return replace(view, start=start, end=end)


def _minute(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def _local(at: datetime, zone: str) -> str:
    """As `_time` reads it: with its offset where the clock of the zone shows the same time for the second time."""
    return at.strftime(_LOCAL) + (at.replace(tzinfo=ZoneInfo(zone)).isoformat()[-6:] if at.fold else "")


def _time(key: str, params: Mapping[str, Sequence[str]], zone: str) -> datetime | None:
    """A wall-clock time of the zone; a time that carries its own offset is turned into one. None for a year without data."""
    try:
        at = datetime.fromisoformat(next(iter(params.get(key, ())), ""))
    except ValueError:
        return None
    if at.year not in _YEARS:
        return None
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) if at.tzinfo else at
