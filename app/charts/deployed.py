"""Deployments on a panel: an upright dashed line each, and what was deployed beside the newest of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

from app import words
from app.charts.expected import NAME_HEIGHT
from app.charts.frames import Frame, upright
from app.palette import PAGE, THEME, rgba
from metrics.detection.words import Word

DRAWN_MOST = 50
"""Who deploys every half hour still sees the lines of the metric; the words beside the panels count the rest."""

_NAMED_MOST = 2
_LETTERS = 24


def marks(frame: Frame, deployments: Sequence[Word]) -> list[dict[str, Any]]:
    """The lines; `deployments` are the oldest first."""
    return [upright(at, _ink(frame), dash="dash") for _, at in _within(frame, deployments)]


def marked(frame: Frame, deployments: Sequence[Word], *, above: int) -> list[dict[str, Any]]:
    """What was deployed, of the newest, on the side on which there is room, `above` so many names of incidents."""
    middle = frame.moment(frame.window.start + frame.window.span / 2)
    return [
        {
            "xref": "x",
            "yref": "paper",
            "x": at,
            "xanchor": "right" if at > middle else "left",
            "xshift": -3 if at > middle else 3,
            "y": 0,
            "yanchor": "bottom",
            "yshift": (above + place) * NAME_HEIGHT,
            "text": escape(words.cut(word.text, _LETTERS)),
            "showarrow": False,
            "bgcolor": rgba(PAGE[frame.shade], 0.8),
            "borderpad": 0,
            "font": {"size": 11, "color": _ink(frame)},
        }
        for place, (word, at) in enumerate(reversed(_within(frame, deployments)[-_NAMED_MOST:]))
    ]


def _within(frame: Frame, deployments: Sequence[Word]) -> list[tuple[Word, datetime]]:
    """The newest deployments of the panel's time, with where they lie on its axis."""
    found = [(one, frame.moment(one.start)) for one in deployments if one.start and _shows(frame, one.start)]
    return found[-DRAWN_MOST:]


def _shows(frame: Frame, at: datetime) -> bool:
    return frame.window.start <= at < frame.window.end


def _ink(frame: Frame) -> str:
    return THEME[f"theme.{frame.shade}.textColor"]
