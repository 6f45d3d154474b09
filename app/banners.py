"""Incidents as lines that lead to their page: on top of the Overview, and wherever one is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import streamlit as st

from app import shell
from app.filters import View, write
from app.palette import BAD
from metrics.detection.handbook import NAMES
from metrics.detection.incidents import Incident, sentence


def banner(incidents: Sequence[Incident], view: View) -> None:
    """The open ones in words, for the top of a page; nothing where all is well."""
    for one in incidents:
        link = "incidents?" + urlencode(write(replace(view, incident=one.id)), doseq=True)
        st.html(
            f'<div class="hg-incident" style="--bad:{BAD[shell.shade()]}"><b>{escape(NAMES[one.kind])}</b> '
            f'<a href="{escape(link)}" target="_self">{escape(told(one, view.zone))}</a></div>'
        )


def told(one: Incident, zone: str) -> str:
    """The sentence, with its times in the zone of the page."""
    text = sentence(one, ZoneInfo(zone))
    return text[:1].upper() + text[1:]
