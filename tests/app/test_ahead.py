"""The first document of each page, and what it has the browser fetch ahead."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st

import app
from app import ahead
from tests.app.browser.places import WITH_DATA


def test_all_that_is_fetched_ahead_is_where_streamlit_keeps_it() -> None:
    wanted = (*ahead.CHARTS, *ahead.TABLES, *ahead.FIELDS, *ahead.WIDGETS)
    found = ahead.found(wanted)

    assert [name.split("/")[-1].split(".")[0] for name in found[: len(wanted)]] == list(wanted)
    assert all((Path(st.__file__).parent / "static" / name).is_file() for name in found)
    assert len(found) == len(set(found))


def test_what_those_import_is_fetched_with_them_and_what_the_document_has_is_not() -> None:
    found = ahead.found(("DataFrame",))
    plain = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")

    assert any("/arrowFormatUtils." in name for name in found)
    assert "./static/js/react-dom." in plain
    assert not any("/react-dom." in name for name in found)


def test_what_streamlit_does_not_keep_is_left_out() -> None:
    assert ahead.found(("NoSuchChart",)) == []


@pytest.mark.parametrize("page", ahead.PAGES)
def test_a_document_is_streamlits_own_and_one_script(page: str) -> None:
    plain = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    before, _, after = plain.partition("</body>")
    written = ahead.document(page)

    assert written.startswith(before)
    assert written.endswith(f"</body>{after}")
    assert "'{" not in written


def test_a_page_begins_with_what_it_shows() -> None:
    def first(page: str, *, tells_of_one: bool = False) -> str:
        return ahead.document(page, tells_of_one=tells_of_one).partition("const now = ")[2].partition("later = ")[0]

    assert "PlotlyChart" in first("carriers")
    assert "PlotlyChart" not in first("incidents")
    assert "DataFrame" in first("incidents")
    assert "PlotlyChart" in first("incidents", tells_of_one=True)
    assert "DataFrame" not in first("incidents", tells_of_one=True)


def test_every_page_has_such_a_document() -> None:
    script = Path(app.__file__).with_name("dashboard.py").read_text(encoding="utf-8")

    assert set(ahead.PAGES) == {place.partition("?")[0] for place in WITH_DATA} | {"overview"}
    assert all(f'url_path="{page}"' in script for page in ahead.PAGES)
