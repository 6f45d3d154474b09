"""How the programs themselves do: availability against its goal, and what arrives minute by minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import plotly.graph_objects as go

from app.palette import BAD, DASHES, LINES, Shade
from metrics.freshness import KINDS
from metrics.operations import AVAILABILITY_GOAL

_HEIGHT = 280


def availability(course: pd.DataFrame, *, zone: str, shade: Shade, now: datetime) -> go.Figure:
    """`course` as `metrics.operations.availability` gives it by bucket; the goal is a dashed line."""
    x = _wall_clock(course["bucket"], zone, now)
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
    layout = _layout("Calls not failed", zone) | {
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


def arrivals(table: pd.DataFrame, *, zone: str, shade: Shade, now: datetime) -> go.Figure:
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
                "x": _wall_clock(rows["bucket"], zone, now),
                "y": rows["events"].astype(float),
                "line": {"color": LINES[shade][place], "width": 2, "dash": DASHES[place % len(DASHES)]},
                "hovertemplate": f"{kind}: %{{y:,.0f}} a minute<extra></extra>",
            }
        )
    return go.Figure({"data": traces, "layout": _layout("Events a minute", zone)})


def _layout(title: str, zone: str) -> dict[str, Any]:
    return {
        "height": _HEIGHT,
        "margin": {"l": 4, "r": 10, "t": 24, "b": 4},
        "dragmode": False,
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {"fixedrange": True, "showgrid": False, "hoverformat": f"%a %d %b, %H:%M {zone}"},
        "yaxis": {"title": {"text": title}, "fixedrange": True, "automargin": True},
    }


def _wall_clock(stamps: pd.Series[pd.Timestamp], zone: str, now: datetime) -> pd.Series[pd.Timestamp]:
    offset = now.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0)
    shown: pd.Series[pd.Timestamp] = stamps.dt.tz_convert("UTC").dt.tz_localize(None) + pd.Timedelta(offset)
    return shown
