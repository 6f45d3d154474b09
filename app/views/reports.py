"""The Reports page: the reports that were sent, each as its readers saw it, and a preview of any other."""

from __future__ import annotations

import base64
from functools import partial
from zoneinfo import ZoneInfo

import streamlit as st

from app import cached, controls, previewing, resending, words
from core.archive import Content, SentReport, sent_reports

_TITLES = {"daily": "Day", "weekly": "Week", "monthly": "Month"}


def page() -> None:
    """Draw it."""
    st.title("Reports", anchor=False)
    zone = controls.reader_zone()
    if not previewing.is_chosen():
        _sent(zone)
    elif preview := previewing.draw(zone):
        _downloads(preview.content, preview.name)
        _frame(preview.content, preview.subject)


def _sent(zone: str) -> None:
    folder = cached.settings().reports.folder
    try:
        found = sent_reports(folder)
    except OSError as error:
        st.error(f"The folder of the reports cannot be read: {error.strerror}. See `[reports] folder` in the settings.")
        return
    if not found:
        st.info(
            "**No report was sent yet**, as far as this machine's folder knows. `heliograph scheduler` sends yesterday's every "
            "morning; a preview shows any without sending it."
        )
        return
    asked = st.query_params.get("report", "")
    ids = [one.id for one in found]
    if asked and asked not in ids:
        st.warning("The report that the link names is not kept here; the newest is shown.")
    chosen = st.selectbox(
        "Report",
        found,
        index=ids.index(asked) if asked in ids else 0,
        format_func=partial(_title, zone=zone),
        width=560,
        key="report-choice",
    )
    if chosen is not None:
        _show(chosen, zone)


def _title(one: SentReport, *, zone: str) -> str:
    sent = one.sent_at.astimezone(ZoneInfo(zone))
    return f"{_TITLES[one.kind]} of {one.begins:%a %d %b %Y} – sent {sent:%Y-%m-%d %H:%M %Z}"


def _show(one: SentReport, zone: str) -> None:
    st.query_params.update({"report": one.id, "tz": zone})
    people = "recipient" if one.recipients == 1 else "recipients"
    st.caption(f"{controls.plain(one.subject)} – {words.count(one.recipients)} {people}")
    content = cached.report(cached.settings().reports.folder, one.id, one.sent_at)
    if content is None:
        st.warning("This report's mail is not kept any more.")
        return
    _downloads(content, one.id)
    below = st.container()
    _frame(content, one.subject)
    with below:  # last: a warehouse that does not answer holds up nothing else
        resending.draw(one, zone)


def _downloads(content: Content, name: str) -> None:
    with st.container(horizontal=True):
        st.download_button(
            "Download as HTML", content.html, file_name=f"{name}.html", mime="text/html", on_click="ignore"
        )
        for filename, file in content.files.items():
            st.download_button(
                f"Download {filename}", file, file_name=filename, on_click="ignore", key=f"file-{filename}"
            )


def _frame(content: Content, subject: str) -> None:
    # In a frame from a data address, which has an origin of its own: nothing in a mail may touch the page.
    st.iframe(
        f"data:text/html;charset=utf-8;base64,{base64.b64encode(content.html.encode()).decode()}",
        height=1400,
        alt=subject,
    )
