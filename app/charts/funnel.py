"""The funnel as bars of one scale, and the shares lost at each step side by side for the values of a dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app import words
from app.causes import LOSS_TITLES, STEP_MEANINGS, STEP_TITLES
from app.charts.figures import BELOW_TITLED, BUTTON_LINE, LEGEND_LINE, figure, room
from app.palette import LINES, PAGE, Shade
from metrics.funnel import LOST_STEPS, STEPS

_ROW_HEIGHT = 34
_HEAD_HEIGHT = 90
_LEGEND_HEIGHT = 30

_LOSS_PLACES = (1, 3, 4, 6, 5)
"""Places in the palette of what is lost, in the order of the steps; approved takes the first. Its sister, the other blue, is
left to the smallest loss."""


def whole(counts: Mapping[str, int], shade: Shade) -> go.Figure:
    """One bar a step: how many came so far, of how many, and how many the step before had."""
    shown = [counts[step] for step in STEPS]
    before = [shown[0], *shown[:-1]]
    texts = [
        f"<b>{words.count(count)}</b>  {words.figure(count / shown[0], 'ratio')}"
        + (f"  (−{words.count(past - count)})" if past > count else "")
        for count, past in zip(shown, before, strict=True)
    ]
    bars: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "y": [STEP_TITLES[step] for step in STEPS],
        "x": shown,
        "name": "reached",
        "text": texts,
        "textposition": "auto",
        "insidetextanchor": "start",
        "insidetextfont": {"color": PAGE[shade]},
        "marker": {"color": LINES[shade][0]},
        "customdata": [STEP_MEANINGS[step] for step in STEPS],
        "hovertemplate": "%{y}: %{x:,}<br>%{customdata}<extra></extra>",
    }
    lost: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "name": "lost here",
        "y": bars["y"],
        "x": [past - count for count, past in zip(shown, before, strict=True)],
        "marker": {"color": LINES[shade][1], "opacity": 0.55},
        "hovertemplate": "lost here: %{x:,}<extra></extra>",
    }
    layout = _layout(bars["y"], title="Code attempts (the end of a bar: lost at this step)", tickformat=",d")
    layout["height"] -= LEGEND_LINE - BUTTON_LINE
    layout["margin"]["t"] = BUTTON_LINE
    return figure([bars, lost], layout | {"barmode": "stack"}, shade=shade)


def shares(parts: pd.DataFrame, dimension: str, shade: Shade) -> go.Figure:
    """One bar a value of the dimension: the share approved, then the shares lost at each step."""
    names = [words.named(dimension, name) for name in parts[dimension]]
    total = parts["submitted"]
    traces = [_share(names, parts["approved"] / total, parts["approved"], "approved", LINES[shade][0])]
    for step, place in zip(LOST_STEPS, _LOSS_PLACES, strict=True):
        lost = parts[STEPS[STEPS.index(step) - 1]] - parts[step]
        traces.append(_share(names, lost / total, lost, LOSS_TITLES[step], LINES[shade][place]))
    layout = _layout(names, title="Share of code attempts", tickformat=".0f", legend=_LEGEND_HEIGHT)
    layout |= {
        "barmode": "stack",
        "showlegend": True,
        # The names are so short that a telephone has two beside each other: more rows would scroll, over the bars.
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        "hovermode": "y unified",
    }
    layout["xaxis"] |= {"range": [0, 100], "ticksuffix": " %"}
    return figure(traces, layout, shade=shade)


def told(counts: Mapping[str, int]) -> str:
    """The funnel in words, for a reader who does not see it."""
    return "; ".join(f"{STEP_TITLES[step].lower()} {words.count(counts[step])}" for step in STEPS)


def _share(names: list[str], share: pd.Series[float], count: pd.Series[int], label: str, colour: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": label,
        "y": [escape(name) for name in names],
        "x": share * 100,
        "marker": {"color": colour},
        "customdata": [
            f"{words.figure(one, 'ratio')} ({words.count(int(number))})"
            for one, number in zip(share, count, strict=True)
        ],
        "hovertemplate": f"{label}: %{{customdata}}<extra></extra>",
    }


def _layout(names: Sequence[str], *, title: str, tickformat: str, legend: int = 0) -> dict[str, Any]:
    return {
        "height": _HEAD_HEIGHT + _ROW_HEIGHT * len(names) + legend,
        "margin": {"l": room(names), "r": 24, "t": LEGEND_LINE, "b": BELOW_TITLED},
        "showlegend": False,
        "bargap": 0.25,
        "xaxis": {
            "title": {"text": title},
            "tickformat": tickformat,
            "rangemode": "tozero",
        },
        "yaxis": {"autorange": "reversed"},
    }
