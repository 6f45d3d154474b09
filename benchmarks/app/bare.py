"""The rival: pages of nothing but charts, tables and frames with constant data.

Run by Streamlit; its arguments are a file, the HTML that every frame shows, and pages, `CHARTS-TABLES-FRAMES`.
"""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

# A chart of the Carriers page over a day: four providers, a point a quarter of an hour.
LINES, POINTS, ROWS = 4, 96, 12

_TIMES = pd.date_range("2026-01-01", periods=POINTS, freq="15min")
_TRACES = [
    {
        "type": "scatter",
        "x": _TIMES,
        "y": [math.sin(point / 9 + line) for point in range(POINTS)],
        "name": f"line {line}",
    }
    for line in range(LINES)
]
_TABLE = pd.DataFrame({name: [float(row) for row in range(ROWS)] for name in ("one", "two", "three", "four", "five")})


def titled(charts: int, tables: int, frames: int) -> str:
    """The name of a page."""
    return f"{charts}-{tables}-{frames}"


def main(framed: str, *names: str) -> None:
    """Every page that was asked for, and an empty one to start from."""
    st.set_page_config(page_title="Bare", layout="wide")
    pages = [st.Page(_start, title="Start", url_path="", default=True)]
    for name in names:
        pages.append(st.Page(_page(name, Path(framed)), title=name, url_path=name))
    st.navigation(pages, position="top").run()


def _start() -> None:
    st.title("Start", anchor=False)


def _page(name: str, framed: Path) -> Callable[[], None]:
    charts, tables, frames = map(int, name.split("-"))

    def page() -> None:
        st.title(name, anchor=False)
        with st.grid(min_column_width=340):
            for place in range(charts):
                st.plotly_chart(go.Figure({"data": _TRACES, "layout": {"height": 250}}), key=f"chart-{place}")
        for place in range(tables):
            st.dataframe(_TABLE, key=f"table-{place}")
        for _ in range(frames):
            content = base64.b64encode(framed.read_bytes()).decode()
            st.iframe(f"data:text/html;charset=utf-8;base64,{content}", height=1400)

    return page


if __name__ == "__main__":
    main(*sys.argv[1:])
