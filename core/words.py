"""How shares and counts are written, in alerts, reports, on pages and in logs alike."""

from __future__ import annotations

PLACES_MAX = 4
_HAIR = 1e-12
"""So far from a whole share arithmetic alone may lead."""


def percent(share: float) -> str:
    """A share of which whole points are enough, as one word that no line ends within."""
    return f"{points(share)}\N{NO-BREAK SPACE}%"


def points(share: float, places: int = 0) -> str:
    """A share in hundredths. One that is not all reads never as 100, one that is not nothing never as 0: it gets the decimals
    that it takes, and of a hair that is left the last of `PLACES_MAX` stands."""
    if min(abs(share), abs(1 - share)) < _HAIR or not 0 < share < 1:
        return f"{share * 100:.{places}f}"
    while places < PLACES_MAX and float(f"{share * 100:.{places}f}") in (0, 100):
        places += 1
    least = 10**-places if places else 1
    return (
        f"{min(max(share * 100, least), 100 - least):.{places}f}"
        if places == PLACES_MAX
        else f"{share * 100:.{places}f}"
    )


def count(number: int) -> str:
    """A whole number in groups of three, as English writes them."""
    return f"{number:,}"
