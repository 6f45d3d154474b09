"""The Funnel: how far codes come, where they are lost and why, and who loses more than the others."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app import cached, controls, downloads, plots, shell, tables, texts, words
from app.cached import About
from app.causes import LOSS_TITLES, STEP_MEANINGS, STEP_TITLES, cause
from app.charts import funnel as charts
from app.controls import Opened
from app.data.funnel import FunnelData
from app.filters import NO_SPLIT, View
from app.timeframe import Window
from metrics.funnel import STEPS

_BARS_MAX = 15


def page() -> None:
    """Draw it."""
    st.title("Funnel", anchor=False)
    with controls.opened(_first) as opened:
        controls.split_bar(opened.view)
        shell.live(opened, _draw)


def _first(view: View, window: Window) -> list[About[Any]]:
    return [_question(view, window), cached.newest.about()]


def _question(view: View, window: Window) -> About[FunnelData]:
    return cached.funnel.about(window, view.filter_key(), dimension=_dimension(view))


def _dimension(view: View) -> str | None:
    return None if view.split == NO_SPLIT else view.split


def _draw(opened: Opened, window: Window) -> None:
    view = opened.view
    dimension = _dimension(view)
    answers = shell.answered(opened, window, _question(view, window), nothing="No code was sent")
    if answers is None:
        return
    st.caption(
        "Attempts of category code. Each is counted at the last step it reached; a code that was entered counts as "
        "accepted, received and delivered, whatever its receipts say. The newest are still on their way."
    )
    plots.draw(charts.whole(answers.whole, shell.shade()), key="funnel", alt=charts.told(answers.whole))
    _causes(answers, window)
    if dimension:
        _parts(answers.parts, dimension, window)


def _causes(answers: FunnelData, window: Window) -> None:
    st.subheader("Why they were lost", anchor=False)
    if answers.causes.empty:
        st.info("Nothing was lost.")
        return
    rows = answers.causes
    why = [cause(what, error_class) for what, error_class in zip(rows["what"], rows["error_class"], strict=True)]
    code_of = "In the words of the provider or the carrier; another provider may mean something else by it."
    texts.table(
        "Why they were lost",
        [
            texts.Column("Lost at", [LOSS_TITLES[step] for step in rows["step"]]),
            texts.Column("Attempts", [words.count(int(lost)) for lost in rows["lost"]], "number"),
            texts.Column(
                "Of all submitted", [words.share(one, 2) for one in rows["lost"] / answers.whole["submitted"]], "number"
            ),
            texts.Column("Why", why, "long"),
            texts.Column(
                "Provider", rows["provider"].tolist(), "long", "Whose error code it is; the other causes have none."
            ),
            texts.Column("Error code", rows["error_code"].tolist(), "long", code_of),
        ],
    )
    downloads.csv("Download the causes (CSV)", answers.causes, downloads.name("funnel-causes", window), key="causes")


def _parts(parts: pd.DataFrame, dimension: str, window: Window) -> None:
    title = words.DIMENSION_TITLES[dimension]
    st.subheader(f"By {title.lower()}", anchor=False)
    plots.draw(
        charts.shares(parts.head(_BARS_MAX), dimension, shell.shade()),
        key="shares",
        alt=f"What became of code attempts, by {title.lower()}; the table below says the same.",
    )
    if len(parts) > _BARS_MAX:
        st.caption(f"Drawn are the {_BARS_MAX} largest of {words.count(len(parts))}; the table and its CSV have more.")
    told = tables.largest(parts)
    named = told.assign(**{dimension: [words.named(dimension, name) for name in told[dimension]]})
    shares = {step: tables.percents(named[step] / named["submitted"], 1) for step in STEPS[1:]}
    shown = named.assign(**{step: values for step, (values, _) in shares.items()})
    columns = {
        step: st.column_config.NumberColumn(STEP_TITLES[step], format=number, help=STEP_MEANINGS[step])
        for step, (_, number) in shares.items()
    }
    st.dataframe(
        shown,
        hide_index=True,
        height="content" if len(parts) <= 30 else 1000,
        column_config={
            dimension: st.column_config.TextColumn(title, width="medium"),
            "submitted": st.column_config.NumberColumn("Submitted (n)", format="localized"),
            **columns,
        },
    )
    downloads.csv("Download this table (CSV)", parts, downloads.name(f"funnel-by-{dimension}", window), key="parts")
