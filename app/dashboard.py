"""The script of the dashboard, which runs once for every look of every reader. Its pages are in `app/views`."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import streamlit as st

from app import cached, gate
from app.views import carriers, funnel, incidents, messages, operations, overview, providers, regions, reports
from core.errors import ConfigurationError

_HERE = Path(__file__).parent


def main() -> None:
    """Lay out the frame and run the page that was asked for."""
    icon = str(_HERE / "icon.svg")
    st.set_page_config(page_title="Heliograph", page_icon=icon, layout="wide")
    with st.container(key="style"):
        st.html(_style())
    st.logo(str(_HERE / "logo.svg"), size="large")
    first = st.Page(overview.page, title="Overview", url_path="", default=True)
    pages = [
        first,
        st.Page(carriers.page, title="Carriers", url_path="carriers"),
        st.Page(providers.page, title="Providers", url_path="providers"),
        st.Page(regions.page, title="Regions", url_path="regions"),
        st.Page(funnel.page, title="Funnel", url_path="funnel"),
        st.Page(incidents.page, title="Incidents", url_path="incidents"),
        st.Page(messages.page, title="Messages", url_path="messages"),
        st.Page(operations.page, title="Operations", url_path="operations"),
        st.Page(reports.page, title="Reports", url_path="reports"),
        # Streamlit has its first page at the root alone; who types the name as for the others gets there, too.
        st.Page(partial(_turn_to, first), title="Overview", url_path="overview", visibility="hidden"),
    ]
    chosen = st.navigation(pages, position="top")
    try:
        cached.settings()
    except ConfigurationError as error:
        st.error(f"The settings cannot work: {error}. {error.hint}")
        return
    if gate.is_open():
        chosen.run()


@cache
def _style() -> str:
    """The style sheet beside something else: by itself Streamlit keeps it where a toast takes its place."""
    return f"<span hidden></span><style>{(_HERE / 'style.css').read_text(encoding='utf-8')}</style>"


def _turn_to(page: st.Page) -> None:
    """Show it with the link's parameters as they are."""
    st.switch_page(page, query_params={key: st.query_params.get_all(key) for key in st.query_params})


main()
