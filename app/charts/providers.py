"""Providers side by side: raw and on equal traffic with their intervals, and how fast messages arrive."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app import words
from app.charts.figures import BELOW_TITLED, LEGEND_LINE, figure, room
from app.palette import LINES, Colours, Shade
from metrics.catalogue import Metric
from metrics.mix import Adjusted
from metrics.readings import interval

_ROW_HEIGHT, _HEAD_HEIGHT = 58, 90
_TICKS = (0.5, 2, 10, 60, 300, 3600)  # few enough to stand upright on a telephone
_TICK_TEXTS = ("0.5 s", "2 s", "10 s", "1 min", "5 min", "1 h")
_TOLD_SECONDS = 30


def compared(metric: Metric, rows: Sequence[Adjusted], shade: Shade) -> go.Figure:
    """A mark a provider for the raw value with its 95 % interval, and one for the value on equal traffic."""
    names = [escape(words.named("provider", row.provider)) for row in rows]
    bounds = [interval(row.raw, row.n) for row in rows]
    raw: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": "as it was (95 % interval)",
        "x": [None if row.raw is None else row.raw * 100 for row in rows],
        "y": names,
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [(ends[1] - (row.raw or 0)) * 100 if ends else 0 for row, ends in zip(rows, bounds, strict=True)],
            "arrayminus": [
                ((row.raw or 0) - ends[0]) * 100 if ends else 0 for row, ends in zip(rows, bounds, strict=True)
            ],
            "thickness": 1.5,
        },
        "marker": {"size": 11, "color": LINES[shade][0]},
        "customdata": [f"{words.share(row.raw, 2)}, n {words.count(row.n)}" for row in rows],
        "hovertemplate": "as it was: %{customdata}<extra></extra>",
    }
    equal: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": "on equal traffic",
        "x": [None if row.value is None else row.value * 100 for row in rows],
        "y": names,
        "marker": {"size": 12, "color": LINES[shade][1], "symbol": "diamond"},
        "customdata": [words.share(row.value, 2) for row in rows],
        "hovertemplate": "on equal traffic: %{customdata}<extra></extra>",
    }
    layout = {
        "height": _HEAD_HEIGHT + _ROW_HEIGHT * len(rows),
        "margin": {"l": room(names), "r": 20, "t": LEGEND_LINE, "b": BELOW_TITLED},
        "hovermode": "y unified",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {
            "title": {"text": metric.title},
            "ticksuffix": " %",
            "tickformat": ".1f",
        },
        "yaxis": {"autorange": "reversed"},
    }
    return figure([raw, equal], layout, shade=shade)


def arrived_within(table: pd.DataFrame) -> str:
    """The delays in words, for a reader who does not see them."""
    shares = table[table["seconds"] == _TOLD_SECONDS].set_index("provider")["share"]
    told = (f"{words.named('provider', str(name))} {words.figure(share, 'ratio')}" for name, share in shares.items())
    return f"Delivered within {_TOLD_SECONDS} s, of what was accepted: {'; '.join(told)}."


def delays(table: pd.DataFrame, colours: Colours, shade: Shade) -> go.Figure:
    """The share of accepted messages delivered within each time; a line a provider, seconds on a logarithmic axis."""
    traces = []
    for name, line in table.groupby("provider", sort=True):
        colour, dash = colours.line("provider", str(name), shade)
        label = escape(words.named("provider", str(name)))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{label}  n {words.count(int(line['n'].iloc[0]))}",
                "x": line["seconds"],
                "y": line["share"].astype(float) * 100,
                "line": {"color": colour, "dash": dash, "width": 2},
                "customdata": [words.figure(float(share), "ratio") for share in line["share"]],
                "hovertemplate": f"{label}: %{{customdata}}<extra></extra>",
            }
        )
    layout = {
        "height": 380,
        "margin": {"l": room(["100 %"], titled=True), "r": 20, "t": LEGEND_LINE, "b": BELOW_TITLED},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {
            "title": {"text": "Time from submission to delivery"},
            "type": "log",
            "tickvals": list(_TICKS),
            "ticktext": list(_TICK_TEXTS),
            "tickangle": 0,
        },
        "yaxis": {
            "title": {"text": "Delivered, of accepted"},
            "ticksuffix": " %",
            "tickformat": ".0f",
            "range": [0, 102],
        },
    }
    return figure(traces, layout, shade=shade)
