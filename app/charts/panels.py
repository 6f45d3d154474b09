"""The panels of the Carriers page: one small chart a carrier, all of them on one scale.

Undefined is a gap, what has not settled is dashed; a sample size stands beside every value.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app import words
from app.charts.expected import USUAL_PLACE, spans, usual_band
from app.charts.frames import Frame, axis_range
from app.palette import BAD, LINES
from metrics.catalogue import Metric
from metrics.detection.incidents import Incident
from metrics.query import BUCKETS

PANEL_HEIGHT = 250
N_OF_SCALE = 20
"""The scale fits the points with at least this sample: one lost message of two would flatten every other line."""

CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}
N_OF_LINE = 10
"""A line whose points have a smaller sample on average is drawn thin: it is mostly chance."""

_TITLE_LETTERS = 26


def scale(metric: Metric, series: pd.DataFrame) -> tuple[float, float]:
    """The one range of values for all panels."""
    values = series.loc[series["value"].notna()]
    solid = values.loc[values["n"] >= N_OF_SCALE]
    shown = (solid if len(solid) else values)["value"].astype(float)
    if shown.empty:
        return (0.0, 1.0) if metric.unit == "ratio" else (0.0, 10.0)
    if metric.unit != "ratio":
        return 0.0, max(float(shown.max()) * 1.08, 1.0)
    low, high = float(shown.min()), float(shown.max())
    room = max((high - low) * 0.08, 0.01)
    return max(0.0, np.floor((low - room) * 20) / 20), min(1.0, np.ceil((high + room) * 20) / 20)


def panel(
    frame: Frame,
    carrier: str,
    series: pd.DataFrame,
    *,
    value: float | None,
    n: int,
    usual: pd.DataFrame | None = None,
    incidents: Sequence[Incident] = (),
) -> go.Figure:
    """The chart of one carrier; `series` holds its lines, `value` and `n` are those of the whole window.

    `usual`: the rows of this carrier of `app.data.usual.usual`. `incidents`: those that touch it, drawn as shaded spans.
    """
    band = usual_band(frame, series, usual) if usual is not None and len(usual) else []
    lines = [trace for name, line in series.groupby("line", sort=True) for trace in _line(frame, str(name), line)]
    layout = _layout(frame, _title(frame.metric, carrier, value, n)) | {"shapes": spans(frame, incidents)}
    # In one piece: each later update of a figure checks all of it again (12 panels: 0.41 s against 0.15 s).
    return go.Figure({"data": [*band, *lines], "layout": layout})


def told(frame: Frame, carrier: str, value: float | None, n: int) -> str:
    """A panel in words, for a reader who does not see it."""
    over = words.window(frame.window.start, frame.window.end, frame.zone)
    return (
        f"{frame.metric.title} of {words.named('carrier', carrier)}, {over}: "
        f"{words.figure(value, frame.metric.unit)} over the whole range, n {words.count(n)}."
    )


def legend(frame: Frame, lines: Sequence[str]) -> str:
    """The key to the lines, once for all panels, as HTML."""
    entries = []
    for name in lines:
        colour, dash = frame.line_style(name)
        label = words.named(frame.split, name) if frame.split else "all"
        entries.append(
            f"<span role=listitem>{_stroke(colour, 'solid' if dash == 'solid' else 'dashed')}{escape(label)}</span>"
        )
    entries.append(f'<span role=listitem class="hg-note">{_stroke("currentColor", "dotted")}still settling</span>')
    usual, broken = LINES[frame.shade][USUAL_PLACE], BAD[frame.shade]
    entries.append(f'<span role=listitem class="hg-note">{_patch(usual)}usual at that hour</span>')
    entries.append(f'<span role=listitem class="hg-note">{_patch(broken)}incident</span>')
    return f'<div class="hg-line" role="list" aria-label="Lines">{"".join(entries)}</div>'


def _stroke(colour: str, style: str) -> str:
    return f'<i style="border-top:3px {style} {colour}"></i>'


def _patch(colour: str) -> str:
    return f'<i class="hg-patch" style="background:{colour}"></i>'


def _layout(frame: Frame, title: str) -> dict[str, Any]:
    room = (frame.high - frame.low) * 0.02  # a line along the edge keeps its whole width
    return {
        "title": {
            "text": title,
            "x": 0,
            "xanchor": "left",
            "y": 0.97,
            "font_size": 14,
        },
        "height": PANEL_HEIGHT,
        "margin": {"l": 4, "r": 10, "t": 44, "b": 4},
        "showlegend": False,
        "hovermode": "x unified",
        "hoverlabel": {"namelength": -1},
        "uirevision": f"{frame.metric.slug}{frame.window.span}",
        "dragmode": False,
        "clickmode": "event+select",
        "xaxis": {
            "range": axis_range(frame.window, frame.zone),
            "showgrid": False,
            "fixedrange": True,
            "nticks": 6,
            "hoverformat": _hover_time(frame),
            "tickformat": _tick_time(frame),
        },
        "yaxis": {
            "range": [frame.low - (room if frame.low == 0 else 0), frame.high + room],
            "fixedrange": True,
            "automargin": True,
            "nticks": 5,
            **_ticks(frame),
        },
    }


def _title(metric: Metric, carrier: str, value: float | None, n: int) -> str:
    name = words.named("carrier", carrier)
    short = name if len(name) <= _TITLE_LETTERS else name[: _TITLE_LETTERS - 1] + "…"
    return f"<b>{escape(short)}</b>   {words.figure(value, metric.unit)}   <span style='font-size:12px'>n {words.count(n)}</span>"


def _line(frame: Frame, name: str, line: pd.DataFrame) -> list[dict[str, Any]]:
    """One line in two traces: the settled part, and the dashed tail that begins where it ends."""
    whole = _with_gaps(line, frame.bucket)
    colour, dash = frame.line_style(name)
    label = words.named(frame.split, name) if frame.split else frame.metric.title
    young = ~whole["settled"].to_numpy(dtype=bool)
    thin = float(line["n"].mean()) < N_OF_LINE
    first_young = int(young.argmax()) if young.any() else len(whole)
    parts = [
        (whole.iloc[:first_young], dash, 0),
        (whole.iloc[max(0, first_young - 1) :], "dot", 1 if first_young else 0),
    ]
    return [
        _trace(frame, part, label=label, colour=colour, dash=style, thin=thin, silent=silent)
        for part, style, silent in parts
        if len(part) > silent
    ]


def _trace(
    frame: Frame, part: pd.DataFrame, *, label: str, colour: str, dash: str, thin: bool, silent: int
) -> dict[str, Any]:
    """`silent` points at the beginning only join the part to the one before: they are told there."""
    hover = [
        f"{words.figure(value, frame.metric.unit)}  n {words.count(int(n))}{'' if settled else '  (settling)'}"
        for value, n, settled in zip(part["value"], part["n"], part["settled"], strict=True)
    ]
    told_points = [f"{escape(label)}  %{{customdata[0]}}<extra></extra>"] * (len(part) - silent)
    begins = [int(stamp.timestamp()) for stamp in part["bucket"]]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(label),
        "x": frame.clock(part["bucket"]),
        "y": part["value"].astype(float),
        "line": {"color": colour, "width": 1.0 if thin else 2.0, "dash": dash},
        "marker": {"size": _marker_sizes(part["value"]), "color": colour, "line": {"width": 0}},
        "opacity": 0.5 if thin else 1.0,
        "connectgaps": False,
        "customdata": list(zip(hover, begins, strict=True)),
        "hovertemplate": ["<extra></extra>"] * silent + told_points,
    }


def _marker_sizes(values: pd.Series[float]) -> list[int]:
    """A point without a neighbour makes no line, so it is drawn as a dot."""
    there = values.notna().to_numpy(dtype=bool)
    before = np.concatenate([[False], there[:-1]])
    after = np.concatenate([there[1:], [False]])
    return [5 if alone else 0 for alone in there & ~before & ~after]


def _with_gaps(line: pd.DataFrame, bucket: str) -> pd.DataFrame:
    """A row without a value wherever buckets are missing, so that the line is not drawn across them."""
    ordered = line.sort_values("bucket")
    apart = ordered["bucket"].diff() > pd.Timedelta(BUCKETS[bucket] * 1.5, "s")
    if not apart.any():
        return ordered
    missing = ordered.loc[apart].copy()
    missing["bucket"] = missing["bucket"] - pd.Timedelta(BUCKETS[bucket], "s")
    missing["value"], missing["n"] = np.nan, 0
    return pd.concat([ordered, missing]).sort_values("bucket", ignore_index=True)


def _hover_time(frame: Frame) -> str:
    zone = frame.window.end.astimezone(frame.tzinfo).strftime("%Z")
    return "%a %d %b %Y" if frame.bucket == "1d" else f"%a %d %b, %H:%M {zone}"


def _tick_time(frame: Frame) -> str:
    return "%H:%M\n%d %b" if frame.window.span <= timedelta(days=2) else "%d %b"


def _ticks(frame: Frame) -> dict[str, str]:
    if frame.metric.unit != "ratio":
        return {"ticksuffix": " s", "tickformat": ",~g"}
    return {"tickformat": ".0%" if frame.high - frame.low > 0.03 else ".1%"}
