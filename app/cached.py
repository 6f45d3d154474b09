"""What is kept between runs of a page: the warehouse's connection, answers (for as long as a page says), colours.

An error is never kept, so that a page recovers by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.data import alerts as alerts_data
from app.data import basics
from app.data import carriers as carriers_data
from app.data import funnel as funnel_data
from app.data import incidents as incidents_data
from app.data import messages as messages_data
from app.data import operations as operations_data
from app.data import overview as overview_data
from app.data import providers as providers_data
from app.data import regions as regions_data
from app.data import usual as usual_data
from app.data.basics import FilterKey
from app.palette import Colours
from app.timeframe import Window
from core.clock import utc_now
from core.queue import StreamState
from core.retries import Retry, asked
from core.settings import Settings, load
from core.warehouse import Warehouse, connect
from metrics.detection.words import Word

REFRESH_SECONDS = 15
"""How often a page that is live looks again; answers about long ranges are kept longer (`Window.step_seconds`)."""


DAY = timedelta(days=1)

ENVIRONMENT = "heliograph_environment"
"""Under this name a session holds an environment of its own; only tests give it one."""


def settings() -> Settings:
    """Read once an environment: that of the process, unless the session was given one. Raises `ConfigurationError`."""
    return _settings(st.session_state.get(ENVIRONMENT))


@st.cache_resource(show_spinner=False)
def _settings(environ: dict[str, str] | None) -> Settings:
    return load(environ)


@st.cache_resource(show_spinner=False)
def warehouse() -> Warehouse:
    """The read-only connection. Raises `WarehouseUnavailable`, and is tried again at the next call."""
    return connect(settings().warehouse, readonly=True)


@st.cache_resource(show_spinner=False)
def colours() -> Colours:
    """One for the process: colleagues see the same colours. Providers of the settings come first."""
    known = Colours()
    known.learn("provider", (provider.name for provider in settings().providers))
    return known


@st.cache_data(ttl=5, show_spinner=False)
def newest() -> datetime | None:
    return basics.newest(warehouse())


@st.cache_data(ttl=300, show_spinner=False, max_entries=50)
def _choices(start: datetime, end: datetime) -> dict[str, list[str]]:
    return basics.choices(warehouse(), Window(start, end, 300))


def choices(window: Window) -> dict[str, list[str]]:
    """Values of the filters, up to five minutes old; they get their colours in the order of their names."""
    five_minutes = 300
    end = datetime.fromtimestamp(-(-window.end.timestamp() // five_minutes) * five_minutes, window.end.tzinfo)
    start = datetime.fromtimestamp(window.start.timestamp() // five_minutes * five_minutes, window.start.tzinfo)
    found = _choices(start, end)
    for dimension, names in found.items():
        colours().learn(dimension, names)
    return found


@st.cache_data(ttl=60, show_spinner=False, max_entries=200)
def overview(window: Window, zone: str, filters: FilterKey, *, compare: str) -> overview_data.OverviewData:
    return overview_data.answer(
        warehouse(),
        window,
        zone,
        filters,
        compare=compare,
        now=utc_now(),
        on_time_seconds=settings().metrics.on_time_seconds,
    )


@st.cache_data(ttl=60, show_spinner=False, max_entries=200)
def carriers(
    window: Window,
    zone: str,
    filters: FilterKey,
    *,
    slug: str,
    split: str | None,
    wanted: str,
    panels: int,
) -> carriers_data.CarriersData:
    return carriers_data.answer(
        warehouse(),
        window,
        zone,
        filters,
        slug=slug,
        split=split,
        wanted=wanted,
        panels=panels,
        now=utc_now(),
        on_time_seconds=settings().metrics.on_time_seconds,
    )


@st.cache_data(ttl=1800, show_spinner=False, max_entries=100)
def usual(
    window: Window, zone: str, filters: FilterKey, *, slug: str, bucket: str, carriers: tuple[str, ...]
) -> pd.DataFrame:
    """Of buckets that were over weeks ago, so it is kept for long; `window` should begin and end with a bucket."""
    return usual_data.usual(
        warehouse(),
        window,
        zone,
        filters,
        slug=slug,
        bucket=bucket,
        carriers=carriers,
        now=utc_now(),
        on_time_seconds=settings().metrics.on_time_seconds,
    )


@st.cache_data(ttl=300, show_spinner=False, max_entries=50)
def countries_of(window: Window) -> dict[str, frozenset[str]]:
    return carriers_data.countries_of(warehouse(), window, now=utc_now())


@st.cache_data(ttl=60, show_spinner=False, max_entries=200)
def funnel(window: Window, filters: FilterKey, *, dimension: str | None) -> funnel_data.FunnelData:
    return funnel_data.answer(warehouse(), window, filters, dimension=dimension, now=utc_now())


@st.cache_data(ttl=60, show_spinner=False, max_entries=200)
def regions(window: Window, zone: str, filters: FilterKey, *, slug: str) -> regions_data.RegionsData:
    return regions_data.answer(
        warehouse(),
        window,
        zone,
        filters,
        slug=slug,
        now=utc_now(),
        on_time_seconds=settings().metrics.on_time_seconds,
    )


@st.cache_data(ttl=15, show_spinner=False, max_entries=200)
def incidents(window: Window, filters: FilterKey) -> incidents_data.IncidentsData:
    return incidents_data.answer(warehouse(), window, filters)


@st.cache_data(ttl=15, show_spinner=False, max_entries=200)
def incident(incident_id: str) -> incidents_data.StoryData | None:
    return incidents_data.story(warehouse(), incident_id, now=utc_now())


@st.cache_data(ttl=15, show_spinner=False)
def standing() -> Sequence[Word]:
    return incidents_data.standing(warehouse(), now=utc_now())


@st.cache_data(ttl=5, show_spinner=False)
def retries() -> Sequence[Retry]:
    """What was asked in the last day."""
    return asked(warehouse(), since=utc_now() - DAY)


@st.cache_resource(ttl=120, show_spinner=False, max_entries=600)
def drawn(key: tuple[object, ...], _draw: Callable[[], go.Figure]) -> go.Figure:
    """A figure, drawn once for a `key` that names all it shows: drawing takes longer than sending. Nobody may change it."""
    return _draw()


def forget_words() -> None:
    """Ask again about what operators can change: somebody just did."""
    standing.clear()
    incident.clear()
    retries.clear()


@st.cache_data(ttl=15, show_spinner=False, max_entries=50)
def messages(window: Window, filters: FilterKey, *, troubled: bool) -> pd.DataFrame:
    return messages_data.within(warehouse(), window, filters, troubled=troubled)


@st.cache_data(ttl=15, show_spinner=False, max_entries=50)
def messages_of_number(phone_hash: str) -> pd.DataFrame:
    return messages_data.of_number(warehouse(), phone_hash, now=utc_now())


@st.cache_data(ttl=5, show_spinner=False, max_entries=50)
def story(request_id: UUID) -> pd.DataFrame:
    return messages_data.of_request(warehouse(), request_id)


@st.cache_data(ttl=60, show_spinner=False, max_entries=100)
def providers(window: Window, zone: str, filters: FilterKey, *, slug: str) -> providers_data.ProvidersData:
    return providers_data.answer(
        warehouse(),
        window,
        zone,
        filters,
        slug=slug,
        prices=settings().prices,
        now=utc_now(),
        on_time_seconds=settings().metrics.on_time_seconds,
    )


@st.cache_data(ttl=15, show_spinner=False, max_entries=50)
def operations(window: Window) -> operations_data.OperationsData:
    return operations_data.answer(warehouse(), window, now=utc_now())


@st.cache_data(ttl=10, show_spinner=False)
def waiting() -> dict[str, StreamState] | str:
    return operations_data.waiting(settings().queue)


@st.cache_data(ttl=10, show_spinner=False)
def alerts() -> pd.DataFrame | str:
    return alerts_data.told(settings().alerts.folder)
