"""What lies behind the lines of a panel: the values that would be usual, and the times in which something was broken."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from app.charts.frames import Frame
from app.palette import BAD, LINES, rgba
from metrics.detection.handbook import NAMES
from metrics.detection.incidents import Incident
from metrics.readings import interval

USUAL_PLACE = 6
"""Grey: no provider has it before six others have a colour."""

_NAMED_MOST = 3


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
    low, high = pd.Series([low for low, _ in ends], dtype=float), pd.Series([high for _, high in ends], dtype=float)
    none = {"width": 0, "color": colour}
    return [_line(x, high, none), _line(x, low, none) | {"fill": "tonexty", "fillcolor": rgba(colour, 0.15)}]


def spans(frame: Frame, incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    """A shaded span an incident, from its onset to its end or to that of the panel, as far as the panel reaches."""
    shapes = []
    for place, one in enumerate(sorted(incidents, key=lambda one: one.onset)):
        begin, end = max(one.onset, frame.window.start), min(one.resolved_at or frame.window.end, frame.window.end)
        if begin >= end:
            continue
        x0, x1 = frame.clock(pd.Series(pd.to_datetime([begin, end], utc=True)))
        shape: dict[str, Any] = {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": x0,
            "x1": x1,
            "y0": 0,
            "y1": 1,
            "layer": "below",
            "fillcolor": rgba(BAD[frame.shade], 0.16),
            "line": {"width": 1, "color": rgba(BAD[frame.shade], 0.5)},
        }
        if place < _NAMED_MOST:
            shape["label"] = _label(one, frame, late=begin > frame.window.start + frame.window.span / 2, place=place)
        shapes.append(shape)
    return shapes


def _label(one: Incident, frame: Frame, *, late: bool, place: int) -> dict[str, Any]:
    """The name beside the span's edge, written to the side on which there is room."""
    return {
        "text": escape(NAMES[one.kind]) + "<br> " * place,
        "textposition": "bottom right" if late else "bottom left",
        "xanchor": "right" if late else "left",
        "yanchor": "bottom",
        "font": {"size": 11, "color": BAD[frame.shade]},
    }


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
