"""What every chart has: the letters and the colours of the page, and room for its labels, all of it known before it is drawn.

Streamlit puts its own theme onto a chart that is drawn already, and Plotly finds margins by drawing: each draws the chart once
more. Twelve panels were drawn 36 times; said here, they are drawn 12 times, to the same look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.palette import PAGE, THEME, Shade

CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2},
}

BELOW, BELOW_TITLED = 45, 60
"""Pixels for two lines of times below an axis, or for one line of labels and the axis's title."""

LEGEND_LINE = 42
"""Pixels for one line of a legend above the chart; more lines make room by themselves."""

BUTTON_LINE = 24
"""Pixels above a chart without a legend, for the buttons that come up under the mouse."""

_DIGIT, _LETTER, _GAP, _TITLE = 6, 7, 14, 42
_FONT = '"Source Sans", sans-serif'


def room(labels: Iterable[str], *, titled: bool = False) -> int:
    """Pixels for these labels on the left of an axis, and for its title."""
    longest = max((sum(_LETTER if sign.isalpha() else _DIGIT for sign in label) for label in labels), default=_DIGIT)
    return _GAP + longest + (_TITLE if titled else 0)


def figure(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any], *, shade: Shade) -> go.Figure:
    """The chart of these traces, on the look of the page."""
    # Unchecked, which takes a quarter of the time; tests check every chart (tests/app/test_figures.py).
    made = go.Figure(
        {"data": [_listed(trace) for trace in traces], "layout": _laid_over(_look(shade), layout)}, _validate=False
    )
    made.layout.template = None
    return made


def _look(shade: Shade) -> dict[str, Any]:
    text, soft, line = (THEME[f"theme.{shade}.{name}"] for name in ("textColor", "grayTextColor", "borderColor"))
    title = {"font": {"size": 14}}
    grid = {"gridcolor": line, "zerolinecolor": line, "fixedrange": True, "automargin": False}
    return {
        "font": {"family": _FONT, "size": 12, "color": soft},
        "title": {"font": {"color": text}},
        "paper_bgcolor": PAGE[shade],
        "plot_bgcolor": PAGE[shade],
        "hoverlabel": {
            "bgcolor": PAGE[shade],
            "bordercolor": line,
            "font": {"family": _FONT, "size": 12, "color": text},
        },
        "legend": {"font": {"color": text}},
        "margin": {"pad": 8},
        "dragmode": False,
        # Streamlit hands over copies of what it handed over before; without this Plotly would take copies for other data.
        "datarevision": 1,
        "xaxis": {**grid, "showgrid": False, "zeroline": False, "title": {**title, "standoff": 20}},
        "yaxis": {**grid, "title": {**title, "standoff": 24}},
    }


def _laid_over(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(under)
    for name, value in over.items():
        has_both = isinstance(value, Mapping) and isinstance(both.get(name), dict)
        both[name] = _laid_over(both[name], value) if has_both else value
    return both


def _listed(trace: Mapping[str, Any]) -> dict[str, Any]:
    """Its points as plain lists: of arrays of bytes Plotly cannot tell either that they are the ones it has drawn."""
    return {**trace, **{axis: _plain(trace[axis]) for axis in ("x", "y") if axis in trace}}


def _plain(values: Any) -> Any:  # noqa: ANN401  # whatever a trace has
    if isinstance(values, pd.Series):
        values = values.to_numpy()
    if not isinstance(values, np.ndarray):
        return values
    if values.dtype.kind == "M":
        return np.datetime_as_string(values, unit="s").tolist()
    if values.dtype.kind == "f":
        return [None if value != value else value for value in np.round(values, 6).tolist()]
    return values.tolist()
