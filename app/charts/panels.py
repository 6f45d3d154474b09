"""The panels of the Carriers page: one small chart a carrier, all of them on one scale.

Undefined is a gap, what has not settled is dashed; a sample size stands beside every value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from app import words
from app.charts.deployed import marked, marks
from app.charts.expected import USUAL_PLACE, names, spans, usual_band
from app.charts.figures import BELOW, figure, room
from app.charts.frames import Frame, axis_range, tick_time
from app.palette import BAD, LINES
from metrics.catalogue import Metric
from metrics.detection.incidents import Incident
from metrics.detection.words import Word
from metrics.query import BUCKETS

PANEL_HEIGHT = 250
N_OF_SCALE = 20
"""The scale fits the points with at least this sample: one lost message of two would flatten every other line."""

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
    deployments: Sequence[Word] = (),
) -> go.Figure:
    """The chart of one carrier; `series` holds its lines, `value` and `n` are those of the whole window.

    `usual`: the rows of this carrier of `app.data.usual.usual`. `incidents`: those that touch it, drawn as shaded spans;
    `deployments`, the oldest first, as lines.
    """
    band = usual_band(frame, series, usual) if usual is not None and len(usual) else []
    layout = _layout(frame, _title(frame.metric, carrier, value, n))
    named = names(frame, incidents)
    layout |= {
        "shapes": [*spans(frame, incidents), *marks(frame, deployments)],
        "annotations": [*named, *marked(frame, deployments, above=len(named))],
    }
    return figure([*band, *_lines(frame, series)], layout, shade=frame.shade)


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
    entries.append(f'<span role=listitem class="hg-note">{_patch(usual)}usual at that hour (95 of 100 points)</span>')
    entries.append(f'<span role=listitem class="hg-note">{_patch(broken)}incident</span>')
    entries.append('<span role=listitem class="hg-note"><i class="hg-mark"></i>deployment</span>')
    return f'<div class="hg-line" role="list" aria-label="Lines">{"".join(entries)}</div>'


def _stroke(colour: str, style: str) -> str:
    return f'<i style="border-top:3px {style} {colour}"></i>'


def _patch(colour: str) -> str:
    return f'<i class="hg-patch" style="background:{colour}"></i>'


def _layout(frame: Frame, title: str) -> dict[str, Any]:
    low, high = frame.low * frame.factor, frame.high * frame.factor
    edge = (high - low) * 0.02  # a line along it keeps its whole width
    return {
        "title": {
            "text": title,
            "x": 0,
            "xanchor": "left",
            "y": 0.97,
            "font": {"size": 14},
        },
        "height": PANEL_HEIGHT,
        "margin": {"l": room([_widest(frame)]), "r": 10, "t": 44, "b": BELOW},
        "showlegend": False,
        "hovermode": "x unified",
        "hoverlabel": {"namelength": -1},
        "uirevision": f"{frame.metric.slug}{frame.window.span}",
        "clickmode": "event+select",
        "xaxis": {
            "range": axis_range(frame.window, frame.zone),
            "nticks": 6,
            "hoverformat": _hover_time(frame),
            "tickformat": tick_time(frame.window.span),
        },
        "yaxis": {
            "range": [low - (edge if low == 0 else 0), high + edge],
            "nticks": 5,
            **_ticks(frame),
        },
    }


def _title(metric: Metric, carrier: str, value: float | None, n: int) -> str:
    name = words.named("carrier", carrier)
    return f"<b>{escape(words.cut(name, _TITLE_LETTERS))}</b>   {words.figure(value, metric.unit)}   <span style='font-size:12px'>n {words.count(n)}</span>"


@dataclass(frozen=True)
class _Points:
    """A line's points in order, as plain arrays: pandas takes longer to cut a hundred short lines than to count them."""

    x: NDArray[np.datetime64]
    begins: NDArray[np.int64]
    value: NDArray[np.float64]
    n: NDArray[np.int64]
    settled: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.begins)

    def cut(self, start: int, end: int) -> _Points:
        part = slice(start, end)
        return _Points(self.x[part], self.begins[part], self.value[part], self.n[part], self.settled[part])

    def with_gaps(self, bucket_seconds: int) -> _Points:
        """A point without a value wherever buckets are missing, so that the line is not drawn across them."""
        after = np.flatnonzero(np.diff(self.begins) > bucket_seconds * 1.5) + 1
        if not len(after):
            return self
        return _Points(
            np.insert(self.x, after, self.x[after] - np.timedelta64(bucket_seconds, "s")),
            np.insert(self.begins, after, self.begins[after] - bucket_seconds),
            np.insert(self.value, after, np.nan),
            np.insert(self.n, after, 0),
            np.insert(self.settled, after, self.settled[after]),
        )


def _lines(frame: Frame, series: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The traces of all lines of a panel, by name."""
    rows = series.sort_values(["line", "bucket"])
    names = rows["line"].to_numpy(dtype=object)
    points = _Points(
        x=frame.clock(rows["bucket"]).to_numpy(dtype="datetime64[s]"),
        begins=rows["bucket"]
        .dt.tz_convert("UTC")
        .dt.tz_localize(None)
        .to_numpy(dtype="datetime64[s]")
        .astype(np.int64),
        value=rows["value"].to_numpy(dtype=float, na_value=np.nan),
        n=rows["n"].to_numpy(dtype=np.int64),
        settled=rows["settled"].to_numpy(dtype=bool),
    )
    ends = [*np.flatnonzero(names[1:] != names[:-1]) + 1, len(names)]
    for start, end in pairwise([0, *ends]):
        yield from _line(frame, str(names[start]), points.cut(start, end))


def _line(frame: Frame, name: str, line: _Points) -> Iterator[dict[str, Any]]:
    """One line in two traces: the settled part, and the dashed tail that begins where it ends."""
    whole = line.with_gaps(BUCKETS[frame.bucket])
    colour, dash = frame.line_style(name)
    label = words.named(frame.split, name) if frame.split else frame.metric.title
    thin = float(line.n.mean()) < N_OF_LINE
    first_young = len(whole) if whole.settled.all() else int((~whole.settled).argmax())
    parts = [
        (whole.cut(0, first_young), dash, 0),
        (whole.cut(max(0, first_young - 1), len(whole)), "dot", 1 if first_young else 0),
    ]
    for part, style, silent in parts:
        if len(part) > silent:
            yield _trace(frame, part, label=label, colour=colour, dash=style, thin=thin, silent=silent)


def _trace(
    frame: Frame, part: _Points, *, label: str, colour: str, dash: str, thin: bool, silent: int
) -> dict[str, Any]:
    """`silent` points at the beginning only join the part to the one before: they are told there."""
    hover = [
        f"{words.figure(value, frame.metric.unit)}  n {words.count(n)}{'' if settled else '  (settling)'}"
        for value, n, settled in zip(part.value.tolist(), part.n.tolist(), part.settled.tolist(), strict=True)
    ]
    told = f"{escape(label)}  %{{text}}<extra></extra>"
    sizes = _marker_sizes(part.value)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(label),
        "x": part.x,
        "y": part.value * frame.factor,
        "line": {"color": colour, "width": 1.0 if thin else 2.0, "dash": dash},
        # Without markers no point could be chosen; those of no size are left out, or 4,600 empty paths are drawn for twelve panels.
        "marker": {"size": sizes, "color": colour, "line": {"width": 0}, "maxdisplayed": 0 if any(sizes) else 1},
        "opacity": 0.5 if thin else 1.0,
        "connectgaps": False,
        "text": hover,
        "customdata": part.begins.tolist(),
        "hovertemplate": ["<extra></extra>"] * silent + [told] * (len(part) - silent) if silent else told,
    }


def _marker_sizes(values: NDArray[np.float64]) -> list[int]:
    """A point without a neighbour makes no line, so it is drawn as a dot. A list for all: one 0 would be taken for none."""
    there = ~np.isnan(values)
    before = np.concatenate([[False], there[:-1]])
    after = np.concatenate([there[1:], [False]])
    sizes: list[int] = np.where(there & ~before & ~after, 5, 0).tolist()
    return sizes


def _hover_time(frame: Frame) -> str:
    zone = frame.window.end.astimezone(frame.tzinfo).strftime("%Z")
    return "%a %d %b %Y" if frame.bucket == "1d" else f"%a %d %b, %H:%M {zone}"


def _widest(frame: Frame) -> str:
    """What the longest label of the axis may be."""
    if frame.metric.unit != "ratio":
        return f"{max(frame.high, 9.5):,.0f} s" if frame.high >= 10 else "0.5 s"
    return "100 %" if frame.high - frame.low > 0.03 else "99.5 %"


def _ticks(frame: Frame) -> dict[str, str]:
    if frame.metric.unit != "ratio":
        return {"ticksuffix": " s", "tickformat": ",~g"}
    return {"ticksuffix": " %", "tickformat": ".0f" if frame.high - frame.low > 0.03 else ".1f"}
