"""A map of the world by country in flat outlines: colour is the value, the size of a mark the traffic."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from app import words
from app.charts.figures import figure
from app.palette import PAGE, Shade
from app.world import Ring, atlas
from metrics.catalogue import Metric

_SCALE = "Cividis"
"""Even in lightness, and the same to red-green blind eyes."""
_DARKEST: dict[Shade, float] = {"light": 0.0, "dark": 0.3}
"""Where on it the colours begin: its first ones sink into a dark page."""
_LAND: dict[Shade, str] = {"light": "#E4E8EE", "dark": "#222A34"}
_HEIGHT, _ABOVE = 496, 80
_STEPS = tuple(step / 10 for step in range(11))
_MARK_SMALLEST, _MARK_LARGEST = 7, 34


def name_of(code: str) -> str:
    """A country as people call it."""
    return atlas().names.get(code, code) or words.named("country", "")


def world(metric: Metric, countries: pd.DataFrame, *, low: float, high: float, shade: Shade) -> go.Figure:
    """`countries` as the Regions page has them. The marks carry the codes, so that one can be chosen."""
    placed = countries[countries["country"].isin(list(atlas().places))]
    defined = placed[placed["value"].notna()]
    places = ((defined["value"].astype(float) - low) / (high - low)).clip(0, 1)
    colours = dict(zip(defined["country"], _colours(places.tolist(), shade), strict=True))
    traces = [_land(shade), *(_filled(code, colour, shade) for code, colour in colours.items())]
    traces.append(_marks(metric, placed, low=low, high=high, shade=shade))
    return figure([trace for trace in traces if trace], _layout(), shade=shade)


def bounds(metric: Metric, countries: pd.DataFrame) -> tuple[float, float]:
    """The ends of the colours: those of the countries whose sample says something, else of all."""
    values = countries.loc[countries["n"] >= 20, "value"].dropna()
    values = values if len(values) else countries["value"].dropna()
    if values.empty:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    least = 0.02 if metric.unit == "ratio" else max(0.1 * high, 0.1)
    if high - low < least:
        low, high = low - least / 2, high + least / 2
    return (max(0.0, low), min(1.0, high)) if metric.unit == "ratio" else (max(0.0, low), high)


def _colours(places: Sequence[float], shade: Shade) -> list[str]:
    """Colours of places between 0 and 1."""
    first = _DARKEST[shade]
    return list(sample_colorscale(_SCALE, [first + (1 - first) * place for place in places])) if places else []


def _land(shade: Shade) -> dict[str, Any]:
    """All countries as one shape."""
    rings = [ring for outlines in atlas().rings.values() for ring in outlines] + list(atlas().unassigned)
    return _shape(rings, _LAND[shade], shade)


def _filled(code: str, colour: str, shade: Shade) -> dict[str, Any] | None:
    rings = atlas().rings.get(code)
    return _shape(rings, colour, shade) if rings else None


def _shape(rings: Any, colour: str, shade: Shade) -> dict[str, Any]:  # noqa: ANN401  # any sequence of rings
    xs, ys = _joined(rings)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs,
        "y": ys,
        "fill": "toself",
        "fillcolor": colour,
        "line": {"color": PAGE[shade], "width": 0.6},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _joined(rings: list[Ring]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Outlines one behind the other with a gap between: a single trace draws them all."""
    gap = np.array([np.nan])
    xs = np.concatenate([part for x, _ in rings for part in (x, gap)])
    ys = np.concatenate([part for _, y in rings for part in (y, gap)])
    return np.round(xs, 4), np.round(ys, 4)


def _marks(metric: Metric, placed: pd.DataFrame, *, low: float, high: float, shade: Shade) -> dict[str, Any]:
    places = [atlas().places[code] for code in placed["country"]]
    most = max(float(placed["volume"].max()), 1.0) if len(placed) else 1.0
    share = np.sqrt(placed["volume"].astype(float) / most)
    factor = 100 if metric.unit == "ratio" else 1
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, _ in places],
        "y": [y for _, y in places],
        "customdata": placed["country"].tolist(),
        "text": [
            f"<b>{escape(name_of(code))}</b><br>{words.figure(None if pd.isna(value) else value, metric.unit)}"
            f"<br>n {words.count(int(n))}, {words.count(int(volume))} submitted"
            for code, value, n, volume in zip(
                placed["country"], placed["value"], placed["n"], placed["volume"], strict=True
            )
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
        "marker": {
            "size": (_MARK_SMALLEST + (_MARK_LARGEST - _MARK_SMALLEST) * share).tolist(),
            "color": (placed["value"].astype(float) * factor).tolist(),
            "cmin": low * factor,
            "cmax": high * factor,
            "colorscale": list(map(list, zip(_STEPS, _colours(_STEPS, shade), strict=True))),
            "line": {"color": "#FFFFFF" if shade == "light" else "#E6EAF0", "width": 1.5},
            "colorbar": {
                "title": {"text": f"{metric.title} ({metric.good} is good)", "side": "top"},
                # Above the map: beside it, it would leave a telephone no room for the map, and below it a gap between.
                "orientation": "h",
                "y": 1,
                "yanchor": "bottom",
                "tickformat": ".1f" if metric.unit == "ratio" else ",~g",
                "ticksuffix": " %" if metric.unit == "ratio" else " s",
                "thickness": 12,
                "ypad": 0,
                "len": 0.6,
            },
        },
    }


def _layout() -> dict[str, Any]:
    axis = {"visible": False}
    return {
        "height": _HEIGHT,
        "margin": {"l": 0, "r": 0, "t": _ABOVE, "b": 0, "pad": 0},
        "clickmode": "event+select",
        "hovermode": "closest",
        "xaxis": {**axis, "range": [-2.7, 2.85]},
        "yaxis": {
            **axis,
            "range": [-1.05, 1.4],
            "scaleanchor": "x",
            "scaleratio": 1,
            "constrain": "domain",
            "constraintoward": "top",
        },
    }
