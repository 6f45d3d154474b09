"""Has the browser fetch and run what draws charts before there is one to draw. Where Streamlit keeps it elsewhere, it does neither."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_SCRIPTS = Path(st.__file__).parent / "static" / "static" / "js"


def charts() -> None:
    """For a page that shows some."""
    script = _script()
    if script:
        with st.container(key="ahead"):
            st.html(script, unsafe_allow_javascript=True)


@cache
def _script() -> str:
    found = [path.name for path in _SCRIPTS.glob("PlotlyChart.*.js")]
    text = (_HERE / "charts_ahead.html").read_text(encoding="utf-8")
    return text.replace("'{name}'", f"'{found[0]}'") if len(found) == 1 else ""
