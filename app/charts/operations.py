"""How the programs themselves do: availability against its goal, what arrives minute by minute, and what waits in journals."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.figures import BELOW, BUTTON_LINE, LEGEND_LINE, figure, room
from app.charts.frames import axis_range, tick_time, wall_clock
from app.palette import BAD, LINES, Shade
from app.timeframe import Window
from app.words import MEBIBYTE, share
from metrics.freshness import KINDS
from metrics.operations import AVAILABILITY_GOAL

_HEIGHT = 280
JOURNALS = (("store_most", "journal of the stores", "solid"), ("events_most", "journal of events", "dot"))
"""Columns of `app.data.journals`, what they are called, and the kind of their line: both may lie at nothing."""
_KIND_TITLES = {"send": "attempts", "receipt": "receipts", "verify": "checks", "inbound": "inbound"}


def availability(course: pd.DataFrame, *, window: Window, zone: str, shade: Shade) -> go.Figure:
    """`course` as `app.data.uptime` gives it by bucket, a gap where nobody told of a call; the goal is a dashed line."""
    x = wall_clock(course["bucket"], zone, window.end)
    goal = AVAILABILITY_GOAL * 100
    low = min(float(course["availability"].min()) * 100, goal) if len(course) else goal
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "availability",
        "x": x,
        "y": course["availability"].astype(float) * 100,
        "line": {"color": LINES[shade][0], "width": 2},
        "marker": {"size": 4},
        "customdata": list(
            zip(
                [share(float(one), 4) for one in course["availability"]],
                course["n"],
                course["failed"],
                course["shed"],
                strict=True,
            )
        ),
        "hovertemplate": "%{customdata[0]} of %{customdata[1]:,} calls; failed %{customdata[2]:,}, of them shed %{customdata[3]:,}<extra></extra>",
    }
    places = ".2f" if 100 - low > 0.2 else ".3f"
    layout = _layout("Calls not failed", window, zone, widest=f"{99.9:{places}} %") | {
        "showlegend": False,
        "shapes": [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": goal,
                "y1": goal,
                "line": {"color": BAD[shade], "width": 1.5, "dash": "dash"},
            }
        ],
        "annotations": [
            {
                "xref": "paper",
                "x": 1,
                "xanchor": "right",
                "y": goal,
                "yanchor": "top",
                "text": f"goal {goal:g} %",
                "showarrow": False,
                "font": {"size": 12, "color": BAD[shade]},
            }
        ],
    }
    layout["height"] -= LEGEND_LINE - BUTTON_LINE
    layout["margin"]["t"] = BUTTON_LINE
    layout["yaxis"] |= {
        "ticksuffix": " %",
        "tickformat": places,
        "range": [low - (100 - low) * 0.1 - 1e-3, 100 + (100 - low) * 0.05 + 1e-3],
    }
    return figure([trace], layout, shade=shade)


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
                "name": _KIND_TITLES[kind],
                "x": wall_clock(rows["bucket"], zone, window.end),
                "y": rows["events"].astype(float),
                "line": {"color": LINES[shade][place], "width": 2},
                "hovertemplate": f"{_KIND_TITLES[kind]}: %{{y:,.1f}} a minute<extra></extra>",
            }
        )
    most = float(table["events"].max())
    layout = _layout("Events a minute", window, zone, widest=f"{most:,.0f}")
    layout["yaxis"]["rangemode"] = "tozero"
    return figure(traces, layout, shade=shade)


def arrived(table: pd.DataFrame) -> str:
    """The arrivals in words, for a reader who does not see them."""
    means = table.groupby("kind")["events"].mean()
    return "; ".join(f"{_KIND_TITLES[kind]} {means[kind]:,.1f} a minute" for kind in KINDS if kind in means) + "."


def backlog(course: pd.DataFrame, *, window: Window, zone: str, shade: Shade) -> go.Figure:
    """What waited in each kind of journal, `course` as `app.data.journals` gives it; a gap where nobody told."""
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": title,
            "x": wall_clock(course["bucket"], zone, window.end),
            "y": course[column] / MEBIBYTE,
            "line": {"color": LINES[shade][place], "width": 2, "dash": dash},
            "marker": {"size": 4},
            "hovertemplate": f"{title}: %{{y:,.2f}} MiB<extra></extra>",
        }
        for place, (column, title, dash) in enumerate(JOURNALS)
    ]
    most = max(1.0, *(float(course[column].max()) / MEBIBYTE for column, _, _ in JOURNALS))  # so that calm looks calm
    layout = _layout("MiB that wait", window, zone, widest=f"{most:,.1f}")
    layout["yaxis"] |= {"range": [-0.02 * most, 1.05 * most]}
    return figure(traces, layout, shade=shade)


def _layout(title: str, window: Window, zone: str, *, widest: str) -> dict[str, Any]:
    return {
        "height": _HEIGHT,
        "margin": {"l": room([widest], titled=True), "r": 10, "t": LEGEND_LINE, "b": BELOW},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {
            "range": axis_range(window, zone),
            "hoverformat": f"%a %d %b, %H:%M {zone}",
            "tickformat": tick_time(window.span),
        },
        "yaxis": {"title": {"text": title}},
    }
