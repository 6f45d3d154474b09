"""The first document of a page: Streamlit's own, and in it a script that has the browser fetch, while it waits for the server,
what the page is drawn with. Streamlit fetches that only when it is to be drawn. Where Streamlit keeps it elsewhere, nothing is fetched ahead.
"""

from __future__ import annotations

import json
import re
from collections import deque
from functools import cache
from pathlib import Path

import streamlit as st

CHARTS = ("PlotlyChart",)
TABLES = ("DataFrame",)
FIELDS = ("TextInput",)
WIDGETS = ("Html", "ButtonGroup", "DateTimeInput", "Selectbox", "Checkbox", "DownloadButton")
"""Scripts of Streamlit as their files begin; what they import is fetched with them (`found`)."""

PAGES = {
    "": CHARTS,
    "overview": CHARTS,
    "carriers": CHARTS + TABLES,
    "providers": CHARTS + TABLES,
    "regions": CHARTS + TABLES,
    "funnel": CHARTS + TABLES,
    "incidents": TABLES,
    "messages": TABLES + FIELDS,
    "operations": CHARTS,
    "reports": (),
}
"""What each page is drawn with, by its path."""

_HERE = Path(__file__).parent
_STATIC = Path(st.__file__).parent / "static"
_SCRIPTS = _STATIC / "static" / "js"
_IMPORT = re.compile(r"""\b(?:from|import)\s*["'`]\./([\w.-]+\.js)["'`]""")


@cache
def document(page: str, *, tells_of_one: bool = False) -> str:
    """Of the page with this path; whether it `tells_of_one` incident, which has a chart and no table."""
    needed = CHARTS if tells_of_one else PAGES[page]
    now = found(WIDGETS + needed)
    later = [name for name in found(CHARTS + TABLES + FIELDS) if name not in now]
    script = (_HERE / "ahead.html").read_text(encoding="utf-8")
    script = script.replace("'{now}'", json.dumps(now)).replace("'{later}'", json.dumps(later))
    return _plain().replace("</body>", f"{script}</body>")


def found(scripts: tuple[str, ...]) -> list[str]:
    """Where the document finds those of the scripts that Streamlit keeps where it did, and behind them what they import: the
    browser would see that only when it runs them. Without what the document itself fetches."""
    files = [list(_SCRIPTS.glob(f"{name}.*.js")) for name in scripts]
    names = [alike[0].name for alike in files if len(alike) == 1]
    unread = deque(names)
    while unread:
        new = [name for name in sorted(_imported(unread.popleft())) if name not in names and name not in _plain()]
        names += new
        unread += new
    return [f"./static/js/{name}" for name in names]


@cache
def _imported(name: str) -> frozenset[str]:
    """The scripts beside it without which this one does not run."""
    file = _SCRIPTS / name
    return frozenset(_IMPORT.findall(file.read_text(encoding="utf-8"))) if file.is_file() else frozenset()


@cache
def _plain() -> str:
    return (_STATIC / "index.html").read_text(encoding="utf-8")
