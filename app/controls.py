"""The widgets above every page: range, zone, filters, live. They are set from the link, and write to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from app import cached, filters, words
from app.cached import About
from app.data.basics import FilterKey
from app.filters import COMPARISONS, NO_SPLIT, PANEL_COUNTS, View
from app.timeframe import AUTO, CUSTOM, PRESETS, Window, problem, zones
from core.clock import utc_now
from core.errors import Unavailable, WarehouseRefused
from core.events import DIMENSIONS
from metrics.catalogue import METRICS, metric
from metrics.query import BUCKETS
from metrics.values import Values

_VIEW, _LINK, _NO_CHOICES = "heliograph_view", "heliograph_link", "heliograph_no_choices"
_WRITTEN = "heliograph_written"
FILTER_BOX = "filters"
"""Whether it is open stands in the session's state under this name."""

_CHOICES_PAUSE = timedelta(seconds=10)
First = Callable[[View, Window], Iterable[About[Any]]]
"""The questions that a page asks first of a view and its window."""

_RANGES = {"1h": "1 hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days", CUSTOM: "Custom"}
_BUCKETS = {AUTO: "Automatic", **words.BUCKET_TITLES}


@dataclass(frozen=True)
class Opened:
    """A page as it was asked for: the view that can be shown, and what of the link could not."""

    view: View
    notices: tuple[str, ...]


@contextmanager
def opened(first: First, *, filtered: bool = True, compares: str = "") -> Iterator[Opened]:
    """The view of the link, with filter values that do not occur left out. On the way from another page the link of that
    one is kept, but for the incident or the request that it told of.

    `first` names what the page will ask of the view, so that it is on its way while the widgets are drawn. A page whose
    figures have no dimensions is not `filtered`: it keeps the filters in the link and offers none. One that `compares` lets
    the earlier period be chosen; it names the one of those who choose none.
    """
    view, notices = _linked()
    window = view.window(utc_now())
    with cached.early(() if problem(window) else first(view, window)):
        yield _opened(view, notices, filtered=filtered, compares=compares)


def _linked() -> tuple[View, list[str]]:
    params: dict[str, Sequence[str]] = {key: st.query_params.get_all(key) for key in st.query_params}
    if not params and _LINK in st.session_state:
        params = {key: [value] if isinstance(value, str) else value for key, value in st.session_state[_LINK].items()}
        st.query_params.from_dict(st.session_state[_LINK])
    view, notices = filters.read(params, zone=_usual_zone())
    st.session_state[_LINK] = filters.write(filters.without_subject(view))
    return view, notices


def _opened(view: View, notices: list[str], *, filtered: bool, compares: str) -> Opened:
    if view.filters:
        view, unknown = _checked(view)
        notices += unknown
    st.session_state[_VIEW] = view
    st.session_state[_WRITTEN] = False
    _bar(view, filtered=filtered, compares=compares)
    return Opened(view, tuple(notices))


def _checked(view: View) -> tuple[View, list[str]]:
    """The view without filter values that do not occur, with a sentence for each; as it is while nobody knows which do."""
    found = choices(view)
    if found and filters.known(view, found)[1]:
        found = choices(view, asked_for=view.filter_key())
    if found is not None:
        st.session_state[_NO_CHOICES] = None
    elif st.session_state.get(_NO_CHOICES) is None:
        st.session_state[_NO_CHOICES] = utc_now()
    return filters.known(view, found) if found and any(one.names for one in found.values()) else (view, [])


def link_is_newer() -> bool:
    """Whether something chosen since the page was opened has written another link: a part that draws by itself would still
    show the old one."""
    return bool(st.session_state.get(_WRITTEN))


def choices_are_due() -> bool:
    """Whether the values of the filters were missing when the page was drawn, and may be asked for again."""
    since: datetime | None = st.session_state.get(_NO_CHOICES)
    # The question for them can fail for itself: without the pause the page would run in circles.
    if since is None or utc_now() - since < _CHOICES_PAUSE:
        return False
    st.session_state[_NO_CHOICES] = utc_now()
    return True


def chart_bar(view: View) -> None:
    """What the Carriers page adds: metric, lines, bucket, number of panels."""
    chosen = metric(view.metric)
    with st.container(horizontal=True, vertical_alignment="bottom", key="chart-bar"):
        _select(
            "Metric", "metric", view, [entry.slug for entry in METRICS], _metric_title, 240, words.explained(chosen)
        )
        _select("Lines", "split", view, [*DIMENSIONS, NO_SPLIT], _split_title, 150, "What each panel is split into.")
        _select(
            "Bucket", "bucket", view, [AUTO, *BUCKETS], _BUCKETS.__getitem__, 140, "The time that one point stands for."
        )
        _select("Carriers", "panels", view, list(PANEL_COUNTS), "{} largest".format, 140, "By attempts in the range.")


def metric_bar(view: View) -> None:
    """What a page adds that shows one metric."""
    _select(
        "Metric",
        "metric",
        view,
        [entry.slug for entry in METRICS],
        _metric_title,
        260,
        words.explained(metric(view.metric)),
    )


def keep_only(dimension: str, values: Sequence[str], **subject: str) -> None:
    """Filter by these values (and tell of a subject), in a callback of whatever chose them."""
    view = st.session_state[_VIEW]
    _write(replace(view, filters={**view.filters, dimension: tuple(values)}, **subject))


def show_bar(view: View) -> None:
    """What a page adds that lists messages: all of them, or those in trouble."""
    st.session_state["show"] = view.show
    st.segmented_control(
        "Messages",
        ["all", "troubled"],
        format_func={"all": "All", "troubled": "Not arrived"}.__getitem__,
        key="show",
        required=True,
        on_change=_changed,
        args=("show",),
        help="Not arrived: no receipt says delivered, and nobody entered the code.",
    )


def tell_of(**subject: str) -> None:
    """Show an incident or a request (or none of them, when it is empty), in a callback of whatever chose it."""
    _write(replace(st.session_state[_VIEW], **subject))


def split_bar(view: View) -> None:
    """What a page adds that shows one thing by any dimension."""
    _select("Split", "split", view, [*DIMENSIONS, NO_SPLIT], _split_title, 200, "What the page is split by.")


def _bar(view: View, *, filtered: bool, compares: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="bar"):
        st.session_state["range"] = view.range
        st.segmented_control(
            "Range",
            [*PRESETS, CUSTOM],
            format_func=_RANGES.__getitem__,
            key="range",
            required=True,
            on_change=_changed,
            args=("range",),
        )
        if view.range == CUSTOM:
            _custom_range(view)
        _select(
            "Time zone",
            "zone",
            view,
            _zones(view.zone),
            str,
            220,
            "All times are in it, and days begin at its midnight.",
        )
        if compares:
            _compare(view, compares)
        if filtered:
            st.fragment(_filter_box)(view)
        st.session_state["live"] = view.live
        st.toggle(
            "Live",
            key="live",
            on_change=_changed,
            args=("live",),
            help=f"Look again every {cached.REFRESH_SECONDS} s; the place on the page is kept.",
        )
    if filtered:
        _chosen_filters(view)


def _select(
    label: str,
    name: str,
    view: View,
    options: Sequence[str],
    title: Callable[[str], str],
    width: int,
    about: str,
    changed: Callable[[str], None] | None = None,
) -> None:
    st.session_state[name] = getattr(view, name)
    st.selectbox(
        label,
        options,
        format_func=title,
        key=name,
        on_change=changed or _changed,
        args=(name,),
        help=about,
        width=width,
    )


def _compare(view: View, usual: str) -> None:
    _select(
        "Compare with",
        "compare",
        replace(view, compare=view.compared(usual)),
        COMPARISONS,
        words.COMPARED_TITLES.__getitem__,
        160,
        "The same span, so much earlier.",
        partial(_comparison_chosen, usual),
    )


def _comparison_chosen(usual: str, name: str) -> None:
    chosen = st.session_state[name]
    # Back to what this page does by itself is no choice: in the link it would keep the others from what they do.
    _write(replace(st.session_state[_VIEW], compare="" if chosen == usual else chosen))


def _metric_title(slug: str) -> str:
    return metric(slug).title


def _split_title(name: str) -> str:
    return "One line" if name == NO_SPLIT else f"By {name}"


def _custom_range(view: View) -> None:
    now = utc_now().astimezone(ZoneInfo(view.zone)).replace(tzinfo=None)
    for label, name in (("From", "start"), ("To", "end")):
        value: datetime = getattr(view, name)
        st.session_state[name] = value
        st.datetime_input(
            label,
            min_value=min(value, now - timedelta(days=800)),
            max_value=max(value, now + timedelta(days=2)),
            key=name,
            step=timedelta(minutes=1),
            on_change=_changed,
            args=(name,),
            width=230,
        )


def _filter_box(view: View) -> None:
    """What there is to choose is asked for when somebody opens it: few do, and nobody should wait for it with the figures."""
    if link_is_newer():
        st.rerun()  # as within a live part (`app.shell`)
    active = sum(1 for values in view.filters.values() if values)
    box = st.popover(
        f"Filters ({active})" if active else "Filters",
        help="Only attempts with these values are counted.",
        key=FILTER_BOX,
        on_change="rerun",
    )
    if not box.open:
        return
    found = choices(view)
    if found is None:
        box.caption("The warehouse does not say which values there are: it does not answer.")
    columns = box.columns(2)
    for index, name in enumerate(DIMENSIONS):
        with columns[index * 2 // len(DIMENSIONS)]:
            st.session_state[f"filter-{name}"] = list(view.filters.get(name, ()))
            choose(name, (found or {}).get(name, Values()), key=f"filter-{name}", changed=_filtered)


def choose(
    dimension: str, found: Values, *, key: str, changed: Callable[[str], None] | None = None, typed: bool = False
) -> None:
    """A field for values of a dimension, which holds those in the session's state under `key` as well. Another than was `found`
    can be `typed`, and where more occur than are listed always."""
    about = (
        f"The {words.count(len(found.names))} most frequent are listed; another can be typed." if found.more else None
    )
    st.multiselect(
        words.DIMENSION_TITLES[dimension],
        list(dict.fromkeys([*found.names, *st.session_state[key]])),
        format_func=partial(words.named, dimension),
        key=key,
        placeholder="All",
        help=about,
        accept_new_options=typed or found.more,
        on_change=changed,
        args=(dimension,) if changed else None,
        width=260 if changed else "stretch",
    )


def _chosen_filters(view: View) -> None:
    chosen = {name: values for name, values in view.filters.items() if values}
    if not chosen:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="chosen"):
        for name, values in chosen.items():
            named = words.listed([words.named(name, value) for value in values])
            st.badge(f"{words.DIMENSION_TITLES[name]}: {plain(named)}", color="gray")
        st.button("Clear filters", type="tertiary", on_click=_cleared)


def plain(text: str) -> str:
    """Names are data: their Markdown is not obeyed."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>()#+-!|:$~" else letter for letter in text)


def choices(view: View, *, asked_for: FilterKey = ()) -> dict[str, Values] | None:
    """What there is to filter by in the range (`app.cached.choices`); None when the warehouse does not say."""
    window = view.window(utc_now())
    if problem(window):
        return {}  # the page below says what is wrong with the range
    try:
        return cached.choices(window, asked_for)()
    except (Unavailable, WarehouseRefused):
        return None  # nor does it answer the page, which says what is wrong with the warehouse


def reader_zone() -> str:
    """The time zone of the link, or of the pages before; for a page that offers no choice of it."""
    kept = st.session_state.get(_LINK, {}).get("tz", "")
    asked = st.query_params.get("tz", kept)
    return asked if asked in zones() else _usual_zone()


def _usual_zone() -> str:
    """The browser's, or that of the reports."""
    zone = st.context.timezone
    return zone if zone and zone in zones() else cached.settings().reports.time_zone


def _zones(shown: str) -> list[str]:
    first = dict.fromkeys([shown, _usual_zone(), "UTC"])
    return [*first, *sorted(name for name in zones() if "/" in name and name not in first)]


def _changed(name: str) -> None:
    view, value = st.session_state[_VIEW], st.session_state[name]
    if name == "range" and value == CUSTOM:
        window, zone = view.window(utc_now()), ZoneInfo(view.zone)
        local = [at.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0) for at in (window.start, window.end)]
        view = replace(view, range=CUSTOM, start=local[0], end=local[1])
    elif value is not None:
        view = replace(view, **{name: value})
    _write(view)


def _filtered(name: str) -> None:
    view = st.session_state[_VIEW]
    _write(replace(view, filters={**view.filters, name: tuple(st.session_state[f"filter-{name}"])}))


def _cleared() -> None:
    _write(replace(st.session_state[_VIEW], filters={}, point=""))


def _write(view: View) -> None:
    st.session_state[_LINK] = filters.write(filters.without_subject(view))
    st.session_state[_WRITTEN] = True
    st.query_params.from_dict(filters.write(view))
