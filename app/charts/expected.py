"""What lies behind the lines of a panel: the values that would be usual, and the times in which something was broken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

import pandas as pd

from app.charts.frames import Frame
from app.palette import BAD, LINES, PAGE, rgba
from metrics.detection.handbook import NAMES
from metrics.detection.incidents import Incident
from metrics.readings import interval

USUAL_PLACE = 6
"""Grey: no provider has it before six others have a colour."""

_NAMED_MOST = 3
NAME_HEIGHT = 16


def usual_band(frame: Frame, series: pd.DataFrame, usual: pd.DataFrame) -> list[dict[str, Any]]:
    """Where 95 of 100 buckets of these samples would lie if all were as usual; of seconds the usual value alone."""
    sizes = series.groupby("bucket", as_index=False)["n"].sum()
    rows = usual.merge(sizes, on="bucket").sort_values("bucket")
    if rows.empty:
        return []
    colour, x = LINES[frame.shade][USUAL_PLACE], frame.clock(rows["bucket"])
    if frame.metric.unit != "ratio":
        return [_line(x, rows["usual"], {"color": colour, "width": 1.5, "dash": "dash"})]
    ends = [interval(float(value), int(n)) or (None, None) for value, n in zip(rows["usual"], rows["n"], strict=True)]
    low, high = (pd.Series(side, dtype=float) * frame.factor for side in zip(*ends, strict=True))
    none = {"width": 0, "color": colour}
    return [_line(x, high, none), _line(x, low, none) | {"fill": "tonexty", "fillcolor": rgba(colour, 0.15)}]


def spans(frame: Frame, incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    """A shaded span an incident, from its onset to its end or to that of the panel, as far as the panel reaches."""
    colour = BAD[frame.shade]
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": begin,
            "x1": end,
            "y0": 0,
            "y1": 1,
            "layer": "below",
            "fillcolor": rgba(colour, 0.16),
            "line": {"width": 1, "color": rgba(colour, 0.5)},
        }
        for _, begin, end in _within(frame, incidents)
    ]


def names(frame: Frame, incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    """The names of the first spans, one above the other, each from its edge to the side on which there is room.

    They lie on the colour of the page: lines that fall run through them.
    """
    middle = frame.moment(frame.window.start + frame.window.span / 2)
    return [
        {
            "xref": "x",
            "yref": "paper",
            "x": end if begin > middle else begin,
            "xanchor": "right" if begin > middle else "left",
            "y": 0,
            "yanchor": "bottom",
            "yshift": place * NAME_HEIGHT,
            "text": escape(NAMES[one.kind]),
            "showarrow": False,
            "bgcolor": rgba(PAGE[frame.shade], 0.8),
            "borderpad": 0,
            "font": {"size": 11, "color": BAD[frame.shade]},
        }
        for place, (one, begin, end) in enumerate(_within(frame, incidents)[:_NAMED_MOST])
    ]


def _within(frame: Frame, incidents: Sequence[Incident]) -> list[tuple[Incident, datetime, datetime]]:
    """The incidents of the panel's time, by their onset, with where they begin and end on its axis."""
    found = []
    for one in sorted(incidents, key=lambda one: one.onset):
        begin, end = max(one.onset, frame.window.start), min(one.resolved_at or frame.window.end, frame.window.end)
        if begin < end:
            found.append((one, frame.moment(begin), frame.moment(end)))
    return found


def _line(x: pd.Series[pd.Timestamp], y: pd.Series[float], line: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y.astype(float),
        "line": line,
        "hoverinfo": "skip",
        "showlegend": False,
        "connectgaps": False,
    }
