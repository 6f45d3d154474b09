"""Tables to take along: CSV that a spreadsheet reads as text and never as a formula."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from app import words
from app.timeframe import Window


def name(what: str, window: Window) -> str:
    """The name of a file about a window."""
    return f"{what}-{window.start:%Y%m%dT%H%M}-{window.end:%Y%m%dT%H%M}.csv"


def csv(label: str, frame: pd.DataFrame, file_name: str, *, key: str) -> None:
    """A button that hands out the frame as it is; written only when somebody wants it."""
    st.download_button(
        label,
        data=partial(content, frame),
        file_name=file_name,
        mime="text/csv",
        key=f"download-{key}",
        on_click="ignore",
    )


def content(frame: pd.DataFrame) -> bytes:
    """What is in the file. What is undefined is empty, also in a column that has no value at all."""
    texts = frame.select_dtypes(include=["object", "string"]).columns
    named = {column: frame[column].map(lambda value: words.cell(str(value)), na_action="ignore") for column in texts}
    # A spreadsheet reads UTF-8 as such only when the file says so.
    return frame.assign(**named).to_csv(index=False).encode("utf-8-sig")
