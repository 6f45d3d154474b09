"""What is kept between runs of a page, and shared by all who look: the warehouse's connection, answers (each for as long as it
says here), colours. The questions are asked at the desk (`app.desk`): whoever leaves a page does not wait for its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar
from uuid import UUID

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.runtime.scriptrunner_utils.script_run_context import get_run_yield_check

from app.data import alerts as alerts_data
from app.data import basics
from app.data import carriers as carriers_data
from app.data import earlier as earlier_data
from app.data import funnel as funnel_data
from app.data import incidents as incidents_data
from app.data import messages as messages_data
from app.data import operations as operations_data
from app.data import overview as overview_data
from app.data import previews as previews_data
from app.data import providers as providers_data
from app.data import regions as regions_data
from app.data import usual as usual_data
from app.data.basics import FilterKey
from app.desk import Desk, Key
from app.palette import Colours
from app.timeframe import Window
from core.archive import Content, SentReport, content_of, sent_reports
from core.clock import utc_now
from core.errors import Unavailable, WarehouseRefused
from core.queue import StreamState
from core.settings import Settings, load
from core.warehouse import Warehouse, connect
from core.wishes import RESEND, RETRY, Wish, asked
from metrics.detection.words import Word
from metrics.values import Values
from reports.spans import Span

REFRESH_SECONDS = 15
"""How often a page that is live looks again; answers about long ranges are kept longer (`Window.step_seconds`)."""


CHOICES_SECONDS = 300

PREVIEW_SECONDS = 300
"""A preview asks about a dozen questions, of a time that is over."""

DAY = timedelta(days=1)

P = ParamSpec("P")
T = TypeVar("T")

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


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """One for the process."""
    return Desk()


@dataclass(frozen=True)
class Source:
    """What questions are asked of, and how."""

    warehouse: Warehouse
    settings: Settings

    @property
    def on_time_seconds(self) -> int:
        return self.settings.metrics.on_time_seconds


@dataclass(frozen=True)
class About(Generic[T]):
    """A question with what it is asked about. Calling it answers it; within `early` it is on its way meanwhile."""

    answer: Callable[[], T]
    early: Callable[[], AbstractContextManager[None]]

    def __call__(self) -> T:
        return self.answer()


@contextmanager
def early(questions: Iterable[About[Any]]) -> Iterator[None]:
    """Have them asked while something else is done; who asks one of them within waits for that answer."""
    with ExitStack() as begun:
        with suppress(Unavailable, WarehouseRefused):  # whoever calls for an answer says what is wrong
            for question in questions:
                begun.enter_context(question.early())
        yield


class Kept(Generic[P, T]):
    """A question as the pages ask it: they call it with what it is asked about. Raises what it raises; Streamlit's own, too, to
    end a run whose reader has left or chosen something else meanwhile."""

    def __init__(self, work: Callable[Concatenate[Source, P], T], seconds: float) -> None:
        self._name = work.__name__
        self._work = work
        self._seconds = seconds

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        stay = get_run_yield_check() or _nobody_looks
        key, work = self._question(*args, **kwargs)
        return desk().ask(key, work, keep_seconds=self._seconds, stay=stay)

    def early(self, *args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[None]:
        """Have it asked while something else is done, and call for the answer before the end of the block."""
        key, work = self._question(*args, **kwargs)
        return desk().early(key, work, keep_seconds=self._seconds)

    def about(self, *args: P.args, **kwargs: P.kwargs) -> About[T]:
        """The question about this, to be asked later."""
        return About(partial(self, *args, **kwargs), partial(self.early, *args, **kwargs))

    def _question(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Key, Callable[[], T]]:
        source = Source(warehouse(), settings())
        key = (self._name, (args, tuple(sorted(kwargs.items()))))
        return key, lambda: self._work(source, *args, **kwargs)

    def forget(self) -> None:
        """Ask again whoever asks next."""
        desk().forget(self._name)


def kept(seconds: float) -> Callable[[Callable[Concatenate[Source, P], T]], Kept[P, T]]:
    """Decorate a question whose answer is kept for so long."""
    return lambda work: Kept(work, seconds)


def _nobody_looks() -> None:
    """Outside of a page nobody can leave it."""


@kept(seconds=5)
def newest(source: Source) -> datetime | None:
    return basics.newest(source.warehouse)


@kept(seconds=CHOICES_SECONDS)
def _choices(source: Source, start: datetime, end: datetime, asked_for: FilterKey) -> dict[str, Values]:
    return basics.choices(source.warehouse, Window(start, end, CHOICES_SECONDS))


def choices(window: Window, asked_for: FilterKey = ()) -> About[dict[str, Values]]:
    """Values of the filters, up to five minutes old: who looks meanwhile at nearly the same range shares them. With filters that
    are not among them it is `asked_for` anew, once in that time: they may have come since."""
    end = datetime.fromtimestamp(-(-window.end.timestamp() // CHOICES_SECONDS) * CHOICES_SECONDS, window.end.tzinfo)
    start = datetime.fromtimestamp(window.start.timestamp() // CHOICES_SECONDS * CHOICES_SECONDS, window.start.tzinfo)
    return _choices.about(start, end, asked_for)


def colours_of(dimension: str | None, names: Iterable[str], window: Window) -> Colours:
    """Those of the process. Where a name has none yet, the values of the window get theirs in the order of their names, whatever is
    drawn first."""
    known = colours()
    if dimension is not None and not known.has(dimension, names):
        with suppress(Unavailable, WarehouseRefused):  # colours are no reason to show nothing
            for each, values in choices(window)().items():
                known.learn(each, values.names)
    return known


@kept(seconds=60)
def overview(
    source: Source, window: Window, zone: str, filters: FilterKey, *, compare: str
) -> overview_data.OverviewData:
    return overview_data.answer(
        source.warehouse,
        window,
        zone,
        filters,
        compare=compare,
        now=utc_now(),
        on_time_seconds=source.on_time_seconds,
    )


@kept(seconds=60)
def carriers(
    source: Source,
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
        source.warehouse,
        window,
        zone,
        filters,
        slug=slug,
        split=split,
        wanted=wanted,
        panels=panels,
        now=utc_now(),
        on_time_seconds=source.on_time_seconds,
    )


@kept(seconds=1800)
def usual(
    source: Source, window: Window, zone: str, filters: FilterKey, *, slug: str, bucket: str, carriers: tuple[str, ...]
) -> pd.DataFrame:
    """Of buckets that were over weeks ago, so it is kept for long; `window` should begin and end with a bucket."""
    return usual_data.usual(
        source.warehouse,
        window,
        zone,
        filters,
        slug=slug,
        bucket=bucket,
        carriers=carriers,
        now=utc_now(),
        on_time_seconds=source.on_time_seconds,
    )


@kept(seconds=300)
def countries_of(source: Source, window: Window) -> dict[str, frozenset[str]]:
    return carriers_data.countries_of(source.warehouse, window, now=utc_now())


@kept(seconds=60)
def funnel(source: Source, window: Window, filters: FilterKey, *, dimension: str | None) -> funnel_data.FunnelData:
    return funnel_data.answer(source.warehouse, window, filters, dimension=dimension, now=utc_now())


@kept(seconds=60)
def regions(source: Source, window: Window, zone: str, filters: FilterKey, *, slug: str) -> regions_data.RegionsData:
    return regions_data.answer(
        source.warehouse,
        window,
        zone,
        filters,
        slug=slug,
        now=utc_now(),
        on_time_seconds=source.on_time_seconds,
    )


@kept(seconds=60)
def earlier(
    source: Source,
    window: Window,
    zone: str,
    filters: FilterKey,
    *,
    slug: str,
    dimensions: tuple[str, ...],
    compare: str,
) -> earlier_data.Earlier:
    return earlier_data.answer(
        source.warehouse,
        window,
        zone,
        filters,
        slug=slug,
        dimensions=dimensions,
        compare=compare,
        now=utc_now(),
        on_time_seconds=source.on_time_seconds,
    )


@kept(seconds=15)
def incidents(source: Source, window: Window, filters: FilterKey) -> incidents_data.IncidentsData:
    return incidents_data.answer(source.warehouse, window, filters)


@kept(seconds=15)
def incident(source: Source, incident_id: str) -> incidents_data.StoryData | None:
    return incidents_data.story(source.warehouse, incident_id, now=utc_now())


@kept(seconds=60)
def moved(source: Source, window: Window, filters: FilterKey) -> incidents_data.Moved:
    return incidents_data.moved(
        source.warehouse, window, filters, now=utc_now(), on_time_seconds=source.on_time_seconds
    )


@kept(seconds=15)
def standing(source: Source) -> Sequence[Word]:
    return incidents_data.standing(source.warehouse, now=utc_now())


@kept(seconds=15)
def deployments(source: Source, window: Window, filters: FilterKey) -> Sequence[Word]:
    return incidents_data.deployments(source.warehouse, window, filters)


@kept(seconds=5)
def retries(source: Source) -> Sequence[Wish]:
    """What was asked of dead letters in the last day."""
    return asked(source.warehouse, RETRY, since=utc_now() - DAY)


@kept(seconds=2)
def resends(source: Source) -> Sequence[Wish]:
    """What was asked of reports in the last month."""
    return asked(source.warehouse, RESEND, since=utc_now() - 30 * DAY)


@st.cache_resource(ttl=120, show_spinner=False, max_entries=600)
def drawn(key: tuple[object, ...], _draw: Callable[[], go.Figure]) -> go.Figure:
    """A figure, drawn once for a `key` that names all it shows: drawing takes longer than sending. Nobody may change it."""
    return _draw()


@st.cache_resource(ttl=600, show_spinner=False, max_entries=10)
def report(folder: Path, report_id: str, sent_at: datetime) -> Content | None:
    """What its readers got: taking a mail apart takes longer than all else on its page. One that is sent again is another."""
    return content_of(folder, report_id)


@kept(seconds=PREVIEW_SECONDS)
def preview(source: Source, span: Span) -> previews_data.Preview:
    return previews_data.preview(source.warehouse, source.settings, span, clock=utc_now)


def forget_words() -> None:
    """Ask again about what operators can change: somebody just did."""
    standing.forget()
    deployments.forget()
    incident.forget()
    retries.forget()
    resends.forget()


def forget_all() -> None:
    """Ask everything again: what was asked of an empty warehouse would be shown for a while after the first data came."""
    desk().forget_all()


@kept(seconds=15)
def messages(source: Source, window: Window, filters: FilterKey, *, troubled: bool) -> pd.DataFrame:
    return messages_data.within(source.warehouse, window, filters, troubled=troubled)


@kept(seconds=15)
def messages_of_number(source: Source, phone_hash: str) -> pd.DataFrame:
    return messages_data.of_number(source.warehouse, phone_hash, now=utc_now())


@kept(seconds=5)
def story(source: Source, request_id: UUID) -> pd.DataFrame:
    return messages_data.of_request(source.warehouse, request_id)


@kept(seconds=60)
def providers(
    source: Source, window: Window, zone: str, filters: FilterKey, *, slug: str
) -> providers_data.ProvidersData:
    return providers_data.answer(
        source.warehouse,
        window,
        zone,
        filters,
        slug=slug,
        prices=source.settings.prices,
        now=utc_now(),
        on_time_seconds=source.on_time_seconds,
    )


@kept(seconds=15)
def operations(source: Source, window: Window) -> operations_data.OperationsData:
    return operations_data.answer(source.warehouse, window, now=utc_now())


@st.cache_data(ttl=10, show_spinner=False)
def waiting() -> dict[str, StreamState] | str:
    return operations_data.waiting(settings().queue)


@st.cache_data(ttl=60, show_spinner=False)
def last_report() -> SentReport | None:
    """The one that was sent last, as far as this machine's folder knows. Raises `OSError`."""
    return max(sent_reports(settings().reports.folder), key=lambda one: one.sent_at, default=None)


@st.cache_data(ttl=10, show_spinner=False)
def alerts() -> pd.DataFrame | str:
    return alerts_data.told(settings().alerts.folder)
