"""The figures of all charts: they are made unchecked, so here all of them are checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pandas as pd
import plotly.graph_objects as go
import pytest

from app.charts import evidence, funnel, operations, providers, world
from app.charts.figures import figure, room
from app.palette import Colours, Shade
from metrics.catalogue import metric
from metrics.delays import EDGES_SECONDS
from metrics.detection.words import Word
from metrics.mix import Adjusted
from tests.app.broken import NOW, evidence_of, incident
from tests.app.test_charts import drawn, frame, series
from tests.app.test_clock import DAY, of_arrivals, of_availability
from tests.app.test_funnel import COUNTS
from tests.app.test_regions import countries

DELIVERY = metric("delivery_rate")
PARTS = pd.DataFrame([{"provider": "aurora", **COUNTS}, {"provider": "", **COUNTS}])
DELAYS = pd.DataFrame(
    [("aurora", seconds, seconds / 4000, 100) for seconds in EDGES_SECONDS],
    columns=["provider", "seconds", "share", "n"],
)
ROWS = [Adjusted("aurora", 0.9, 100, 0.91, 1.0, ()), Adjusted("beacon", None, 0, None, 0.0, ())]


def panel(shade: Shade) -> go.Figure:
    rows = series(0.9, 0.8, None, 0.7, hours=[0, 1, 2, 9], settled=[True, True, True, False])
    usual = rows.assign(usual=0.9, usual_n=300)[["carrier", "bucket", "usual", "usual_n"]]
    one = incident(onset=frame().window.start + timedelta(hours=2))
    noted = Word("deployment", "ci", "checkout 4.2", start=frame().window.start + timedelta(hours=3))
    return drawn(rows, shade=shade, usual=usual, incidents=[one], deployments=[noted])


CHARTS: dict[str, Callable[[Shade], go.Figure]] = {
    "panel": panel,
    "evidence": lambda shade: evidence.chart(incident(), evidence_of(), zone="UTC", shade=shade, now=NOW),
    "availability": lambda shade: operations.availability(of_availability(), window=DAY, zone="UTC", shade=shade),
    "arrivals": lambda shade: operations.arrivals(of_arrivals(), window=DAY, zone="UTC", shade=shade),
    "compared": lambda shade: providers.compared(DELIVERY, ROWS, shade),
    "delays": lambda shade: providers.delays(DELAYS, Colours(), shade),
    "funnel": lambda shade: funnel.whole(COUNTS, shade),
    "shares": lambda shade: funnel.shares(PARTS, "provider", shade),
    "world": lambda shade: world.world(DELIVERY, countries(DE=0.9, SG=None), low=0.8, high=0.9, shade=shade),
}


@pytest.mark.parametrize("shade", ["light", "dark"])
@pytest.mark.parametrize("name", CHARTS)
def test_plotly_would_let_every_chart_pass_as_it_is(name: str, shade: Shade) -> None:
    made = CHARTS[name](shade)

    checked = json.loads(go.Figure(made.to_dict()).to_json())
    checked["layout"]["template"] = None

    assert checked == json.loads(made.to_json())


@pytest.mark.parametrize("name", CHARTS)
def test_no_chart_leaves_to_the_browser_what_would_draw_it_again(name: str) -> None:
    layout = CHARTS[name]("light").layout

    assert layout.template == go.layout.Template()
    assert layout.datarevision is not None
    assert (layout.xaxis.automargin, layout.yaxis.automargin) == (False, False)


def test_a_time_is_written_as_the_clock_shows_it_and_what_is_undefined_as_nothing() -> None:
    times = pd.Series(pd.to_datetime([datetime(2026, 3, 4, 5, tzinfo=UTC)])).dt.tz_localize(None)

    (line,) = figure([{"type": "scatter", "x": times, "y": pd.Series([float("nan")])}], {}, shade="dark").data

    assert (list(line.x), list(line.y)) == (["2026-03-04T05:00:00"], [None])


def test_a_layout_says_what_differs_and_keeps_the_rest() -> None:
    axis = figure([], {"xaxis": {"title": {"text": "Share"}}}, shade="light").layout.xaxis

    assert (axis.title.text, axis.title.standoff, axis.showgrid) == ("Share", 20, False)


def test_longer_labels_have_more_room() -> None:
    assert room(["0 %"]) < room(["0 %", "100 %"]) < room(["Deutschland"]) < room(["Deutschland"], titled=True)
