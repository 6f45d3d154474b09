"""The shapes of the countries, for a map that fetches nothing: plotly's own maps load theirs from the network.

`countries.json` holds Natural Earth's 1:110m outlines (public domain), degrees to one decimal, by ISO 3166-1 alpha-2,
and the countries' English names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ring = tuple[Floats, Floats]
"""x and y of one outline, projected."""

_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796
_M = np.sqrt(3) / 2


@dataclass(frozen=True)
class Atlas:
    """Outlines and the place of a mark for each country, projected; a country too small for an outline has a place only."""

    rings: Mapping[str, Sequence[Ring]]
    unassigned: Sequence[Ring]
    places: Mapping[str, tuple[float, float]]
    names: Mapping[str, str]


def project(longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
    """The Equal Earth projection: areas keep their proportions (Šavrič, Patterson and Jenny, 2018)."""
    theta = np.arcsin(_M * np.sin(np.radians(latitude)))
    square = theta**2
    slope = 9 * _A4 * square**4 + 7 * _A3 * square**3 + 3 * _A2 * square + _A1
    x = np.radians(longitude) * np.cos(theta) / (_M * slope)
    y = theta * (_A1 + _A2 * square + square**3 * (_A3 + _A4 * square))
    return x, y


@cache
def atlas() -> Atlas:
    """Read once a process."""
    kept: dict[str, Any] = json.loads(resources.files("app.world").joinpath("countries.json").read_text("utf-8"))
    rings = {code: [_ring(outline) for outline in outlines] for code, outlines in kept["shapes"].items()}
    places = {code: _middle(max(outlines, key=_area)) for code, outlines in rings.items()}
    for code, (longitude, latitude) in kept["points"].items():
        x, y = project(np.array([longitude]), np.array([latitude]))
        places[code] = (float(x[0]), float(y[0]))
    return Atlas(rings, [_ring(outline) for outline in kept["unassigned"]], places, kept["names"])


def _ring(outline: Sequence[Sequence[float]]) -> Ring:
    points = np.array(outline, dtype=np.float64)
    return project(points[:, 0], points[:, 1])


def _area(ring: Ring) -> float:
    x, y = ring
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def _middle(ring: Ring) -> tuple[float, float]:
    """The centre of gravity of the largest outline."""
    x, y = ring
    cross = np.roll(x, 1) * y - x * np.roll(y, 1)
    whole = cross.sum()
    if whole == 0:
        return float(x.mean()), float(y.mean())
    return float(((np.roll(x, 1) + x) * cross).sum() / (3 * whole)), float(
        ((np.roll(y, 1) + y) * cross).sum() / (3 * whole)
    )
