"""How shares are written in sentences, in alerts, reports, on pages and in logs alike."""

from __future__ import annotations


def percent(share: float) -> str:
    """A share of which whole points are enough, as one word that no line ends within."""
    return f"{share * 100:.0f}\N{NO-BREAK SPACE}%"
