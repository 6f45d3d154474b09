"""Colours, once: the Okabe-Ito set, told apart by colour-blind eyes, in a shade for a light and one for a dark page.

A name keeps its colour as long as the process lives, whatever is filtered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Shade = Literal["light", "dark"]

LINES: dict[Shade, tuple[str, ...]] = {
    "light": ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#B8860B", "#3AA0D8", "#555555", "#882255"),
    "dark": ("#4DA6E0", "#F28C3A", "#2CC295", "#E08CC0", "#E6C229", "#9AD1F5", "#B8B8B8", "#E0708F"),
}
"""Okabe-Ito, darkened where it would fade on white and lightened where it would sink into black."""

DASHES = ("solid", "longdash", "dashdot", "longdashdot")
"""Beyond the colours the line style tells lines apart."""

GOOD: dict[Shade, str] = {"light": "#00619A", "dark": "#5CB8F0"}
BAD: dict[Shade, str] = {"light": "#B34700", "dark": "#FF9A4D"}
"""Blue and vermilion: the pair that red-green blindness leaves apart. An arrow says the same."""

PAGE: dict[Shade, str] = {"light": "#FFFFFF", "dark": "#11161D"}

THEME: dict[str, str] = {
    "theme.light.primaryColor": "#0072B2",
    "theme.light.backgroundColor": PAGE["light"],
    "theme.light.secondaryBackgroundColor": "#F3F5F8",
    "theme.light.textColor": "#1B2430",
    "theme.light.borderColor": "#D9DFE7",
    "theme.light.grayBackgroundColor": "#E9EDF2",
    "theme.light.grayTextColor": "#4A5563",
    "theme.dark.primaryColor": "#277BBA",
    "theme.dark.linkColor": "#7CC0EE",
    "theme.dark.backgroundColor": PAGE["dark"],
    "theme.dark.secondaryBackgroundColor": "#1B232D",
    "theme.dark.textColor": "#E6EAF0",
    "theme.dark.borderColor": "#323D4A",
    "theme.dark.grayBackgroundColor": "#222C38",
    "theme.dark.grayTextColor": "#B4BFCC",
}
"""Streamlit's own options, as it spells them. It writes white on the primary colour (buttons, chosen filters), so that is dark
enough for white in both shades, and light enough to be seen as a line on the dark page."""


@dataclass
class Colours:
    """Gives each value of a dimension a place in the palette, in the order in which values are first seen."""

    places: dict[str, dict[str, int]] = field(default_factory=dict)

    def learn(self, dimension: str, names: Iterable[str]) -> None:
        """Give the names that are new the next places of their dimension."""
        places = self.places.setdefault(dimension, {})
        for name in names:
            places.setdefault(name, len(places))

    def has(self, dimension: str, names: Iterable[str]) -> bool:
        """Whether all of them have their places."""
        return self.places.get(dimension, {}).keys() >= set(names)

    def line(self, dimension: str, name: str, shade: Shade) -> tuple[str, str]:
        """Colour and dash of the line of a name."""
        self.learn(dimension, [name])
        place, colours = self.places[dimension][name], LINES[shade]
        return colours[place % len(colours)], DASHES[place // len(colours) % len(DASHES)]


def rgba(colour: str, opacity: float) -> str:
    """A colour of the palette that lets through what is behind it."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
