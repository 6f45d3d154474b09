"""The evidence of an incident: what came, minute by minute, against the band in which a good day's minutes lie."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app.charts.figures import BELOW, LEGEND_LINE, figure, room
from app.charts.frames import tick_time, upright, wall_clock, wall_time
from app.palette import BAD, LINES, Shade, rgba
from metrics.detection.incidents import Channel, Incident

CHANNEL_TITLES: dict[Channel, str] = {
    "accepted": "Messages accepted a minute",
    "receipts": "Receipts a minute",
    "delivered": "Deliveries a minute",
    "filled": "Codes entered a minute",
    "right": "First checks that passed a minute",
    "delay": "Receipts in time a minute",
    "data": "Attempts a minute",
}
_HEIGHT = 340


def chart(one: Incident, evidence: pd.DataFrame, *, zone: str, shade: Shade, now: datetime) -> go.Figure:
    """`evidence` as `metrics.detection.records.evidence` gives it, not empty; times as the zone's clock shows them."""
    minutes = wall_clock(evidence["minute"], zone, now)
    band, usual, came = LINES[shade][6], LINES[shade][6], LINES[shade][0]
    most = float(evidence[["high", "observed"]].max().max())
    traces: list[dict[str, Any]] = [
        _line(minutes, evidence["high"], color=band, width=0, name="", hover=False),
        _line(minutes, evidence["low"], color=band, width=0, name="expected, 95 of 100 minutes", hover=False)
        | {"fill": "tonexty", "fillcolor": rgba(band, 0.25), "showlegend": True},
        _line(minutes, evidence["expected"], color=usual, width=1.5, name="expected") | {"line": _dashed(usual)},
        _line(minutes, evidence["observed"], color=came, width=2, name="what came"),
    ]
    return figure(traces, _layout(one, minutes, zone, shade, now, most=most), shade=shade)


def told(one: Incident, evidence: pd.DataFrame) -> str:
    """The chart in words."""
    since = evidence[evidence["minute"] >= one.onset]
    return (
        f"{CHANNEL_TITLES[one.channel]}: since the onset {since['observed'].sum():,.0f} came "
        f"where {since['expected'].sum():,.0f} were to be expected."
    )


def _line(
    x: pd.Series[pd.Timestamp], y: pd.Series[float], *, color: str, width: float, name: str, hover: bool = True
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y.astype(float),
        "name": name,
        "showlegend": bool(name) and hover,
        "line": {"color": color, "width": width},
        **({"hovertemplate": f"{name}: %{{y:,.1f}}<extra></extra>"} if hover else {"hoverinfo": "skip"}),
    }


def _dashed(colour: str) -> dict[str, Any]:
    return {"color": colour, "width": 1.5, "dash": "dash"}


def _layout(
    one: Incident, minutes: pd.Series[pd.Timestamp], zone: str, shade: Shade, now: datetime, *, most: float
) -> dict[str, Any]:
    marks = [("onset", one.onset), ("found", one.detected_at), ("over", one.resolved_at)]
    shapes, notes = [], []
    for place, (word, moment) in enumerate(marks):
        if moment is None:
            continue
        at = wall_time(moment, zone, now)
        shapes.append(upright(at, BAD[shade], dash="dot"))
        notes.append(
            {
                "xref": "x",
                "yref": "paper",
                "x": at,
                "y": 1.0 - 0.09 * place,
                "text": word,
                "showarrow": False,
                "xanchor": "right" if word == "onset" else "left",  # on a narrow screen "found" is within its width
                "font": {"color": BAD[shade]},
            }
        )
    return {
        "height": _HEIGHT,
        "margin": {"l": room([f"{most:,.0f}"], titled=True), "r": 10, "t": LEGEND_LINE, "b": BELOW},
        "hovermode": "x unified",
        "shapes": shapes,
        "annotations": notes,
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {
            "hoverformat": f"%a %d %b, %H:%M {zone}",
            "tickformat": tick_time(minutes.iloc[-1] - minutes.iloc[0]),
        },
        "yaxis": {
            "title": {"text": CHANNEL_TITLES[one.channel]},
            "rangemode": "tozero",
        },
    }
