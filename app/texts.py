"""Tables of words: what is long wraps instead of being cut off, and on a telephone each row is a card of what there is to say.

Nothing in them is obeyed as HTML. Figures that somebody sorts or chooses stand in `app.tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import streamlit as st

from app import words


@dataclass(frozen=True)
class Column:
    """A column; a `brief` or `number` one stays on one line, and `about` is told to who points at its title."""

    title: str
    texts: Sequence[object]
    kind: Literal["brief", "number", "long"] = "brief"
    about: str = ""


def table(name: str, columns: Sequence[Column]) -> None:
    """Draw it; `name` is read aloud."""
    st.html(html(name, columns))


def html(name: str, columns: Sequence[Column]) -> str:
    """The table as HTML. The roles are said, because those of a table are lost where its rows become cards."""
    heads = "".join(
        f'<th role="columnheader" scope="col" class="hg-{one.kind}" title="{escape(one.about)}">{escape(one.title)}</th>'
        for one in columns
    )
    rows = "".join(
        f'<tr role="row">{"".join(_cell(one, text) for one, text in zip(columns, row, strict=True))}</tr>'
        for row in zip(*(one.texts for one in columns), strict=True)
    )
    # What scrolls has to be reached by the Tab key.
    return (
        f'<div class="hg-texts" role="region" tabindex="0" aria-label="{escape(name)}"><table role="table">'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead><tbody role="rowgroup">{rows}</tbody></table></div>'
    )


def _cell(column: Column, text: object) -> str:
    shown = escape(str(text))
    kind = f"hg-{column.kind}" if shown else f"hg-{column.kind} hg-none"
    short = column.title.partition(" (")[0]  # the time zone would take a line of every card
    return f'<td role="cell" class="{kind}" data-title="{escape(short)}">{shown or words.UNDEFINED}</td>'
