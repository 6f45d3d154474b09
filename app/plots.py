"""Puts a chart onto a page, as `app.charts.figures` made it."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
import streamlit as st

from app.charts.figures import CONFIG


def draw(figure: go.Figure, *, key: str, alt: str, chosen: Callable[[], None] | None = None) -> None:
    """Draw it; `alt` says it in words, `chosen` is called when somebody chooses a point of it."""
    st.plotly_chart(
        figure,
        key=key,
        theme=None,
        config=CONFIG,
        on_select=chosen or "ignore",
        selection_mode="points",
        alt=alt,
    )
