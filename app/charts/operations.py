"""How the programs themselves do: availability against its goal, and what arrives minute by minute."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.frames import axis_range, wall_clock
from app.palette import BAD, DASHES, LINES, Shade
from app.timeframe import Window
from metrics.freshness import KINDS
from metrics.operations import AVAILABILITY_GOAL

_HEIGHT = 280


def availability(course: pd.DataFrame, *, window: Window, zone: str, shade: Shade) -> go.Figure:
    """`course` as `metrics.operations.availability` gives it by bucket; the goal is a dashed line."""
    x = wall_clock(course["bucket"], zone, window.end)
    low = min(float(course["availability"].min()), AVAILABILITY_GOAL) if len(course) else AVAILABILITY_GOAL
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "availability",
        "x": x,
        "y": course["availability"].astype(float),
        "line": {"color": LINES[shade][0], "width": 2},
        "marker": {"size": 4},
        "customdata": list(zip(course["n"], course["failed"], course["shed"], strict=True)),
        "hovertemplate": "%{y:.4%} of %{customdata[0]:,} calls; failed %{customdata[1]:,}, of them shed %{customdata[2]:,}<extra></extra>",
    }
    layout = _layout("Calls not failed", window, zone) | {
        "showlegend": False,
        "shapes": [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": AVAILABILITY_GOAL,
                "y1": AVAILABILITY_GOAL,
                "line": {"color": BAD[shade], "width": 1.5, "dash": "dash"},
            }
        ],
    }
    layout["yaxis"] |= {
        "tickformat": ".2%" if 1 - low > 0.002 else ".3%",
        "range": [low - (1 - low) * 0.1 - 1e-5, 1 + (1 - low) * 0.05 + 1e-5],
    }
    return go.Figure({"data": [trace], "layout": layout})


def arrivals(table: pd.DataFrame, *, window: Window, zone: str, shade: Shade) -> go.Figure:
    """Events a minute by kind, `table` as `metrics.freshness.arrivals` gives it."""
    traces = []
    for place, kind in enumerate(KINDS):
        rows = table[table["kind"] == kind]
        if rows.empty:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": kind,
                "x": wall_clock(rows["bucket"], zone, window.end),
                "y": rows["events"].astype(float),
                "line": {"color": LINES[shade][place], "width": 2, "dash": DASHES[place % len(DASHES)]},
                "hovertemplate": f"{kind}: %{{y:,.0f}} a minute<extra></extra>",
            }
        )
    return go.Figure({"data": traces, "layout": _layout("Events a minute", window, zone)})


def _layout(title: str, window: Window, zone: str) -> dict[str, Any]:
    return {
        "height": _HEIGHT,
        "margin": {"l": 4, "r": 10, "t": 24, "b": 4},
        "dragmode": False,
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {
            "range": axis_range(window, zone),
            "fixedrange": True,
            "showgrid": False,
            "hoverformat": f"%a %d %b, %H:%M {zone}",
        },
        "yaxis": {"title": {"text": title}, "fixedrange": True, "automargin": True},
    }
