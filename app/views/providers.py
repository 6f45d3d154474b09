"""The Providers page: side by side on equal traffic, how fast, what it costs, and what goes wrong in whose words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app import cached, changes, controls, downloads, plots, shell, tables, texts, words
from app.cached import About
from app.causes import ERROR_CLASSES
from app.charts import providers as charts
from app.controls import Opened
from app.data.providers import ProvidersData
from app.filters import NO_COMPARISON, View
from app.timeframe import Window
from core.words import percent
from metrics.catalogue import Metric, metric
from metrics.mix import STRATUM_N_MIN, Adjusted

_STAGES = {"answer": "not taken", "receipt": "taken, not delivered"}
_NOTABLE = 0.001
_WHOLE = 0.995
_BY = ("provider",)


def page() -> None:
    """Draw it."""
    st.title("Providers", anchor=False)
    with controls.opened(_first, compares=NO_COMPARISON) as opened:
        controls.metric_bar(opened.view)
        shell.live(opened, _draw)


def _first(view: View, window: Window) -> list[About[Any]]:
    return [_question(view, window), cached.newest.about(), *changes.questions(view, window, _BY)]


def _question(view: View, window: Window) -> About[ProvidersData]:
    return cached.providers.about(window, view.zone, view.filter_key(), slug=view.metric)


def _draw(opened: Opened, window: Window) -> None:
    view = opened.view
    answers = shell.answered(opened, window, _question(view, window))
    if answers is None:
        return
    shown = metric(view.metric)
    _compared(shown, answers)
    _table(shown, answers, opened.view, window)
    _delays(answers, window)
    _costs(answers, window)
    _failures(answers, window)


def _compared(shown: Metric, answers: ProvidersData) -> None:
    st.subheader("On equal traffic", anchor=False)
    if shown.unit != "ratio":
        st.info(f"{shown.title} is compared below as it was: medians cannot be made equal by weighting.")
        return
    if not answers.adjusted:
        st.info(f"**{shown.title} is undefined in all of this range.** {words.why_undefined(0)}")
        return
    st.caption(
        f"{shown.question} A provider with the difficult routes looks worse than it is: the diamond is what it would reach "
        f"with the mix of country, carrier and purpose that all providers have together (direct standardisation, strata of "
        f"n ≥ {STRATUM_N_MIN}; where its sample is smaller it counts as all do)."
    )
    plots.draw(
        charts.compared(shown, answers.adjusted, shell.shade()),
        key="compared",
        alt="; ".join(_in_words(row) for row in answers.adjusted),
    )
    st.markdown("\n".join(f"- {controls.plain(line)}" for line in why(answers.adjusted)))


def _in_words(row: Adjusted) -> str:
    equal = words.figure(row.value, "ratio")
    return f"{words.named('provider', row.provider)}: {words.figure(row.raw, 'ratio')}, on equal traffic {equal}"


def why(rows: Sequence[Adjusted]) -> list[str]:
    """Why raw and adjusted differ, a line a provider."""
    lines = []
    for row in rows:
        told = _in_words(row)
        if row.value is None:
            lines.append(
                f"{told}: only {percent(row.covered)} of all traffic goes where it has a sample, too little to compare."
            )
            continue
        reasons = [
            f"{'more' if reason.own_share > reason.common_share else 'less'} of its traffic goes to "
            f"{' / '.join(part or 'unknown' for part in reason.stratum)} ({percent(reason.own_share)} against "
            f"{percent(reason.common_share)}: {words.change(reason.effect, 0, 'ratio')})"
            for reason in row.reasons
        ]
        lines.append(f"{told}; {'; '.join(reasons) or _unexplained(row)}.")
    return lines


def _unexplained(row: Adjusted) -> str:
    """What there is to say where no destination takes a share of its traffic that moves its value."""
    if row.raw is not None and row.value is not None and abs(row.raw - row.value) < _NOTABLE:
        return "its mix makes no difference"
    told = "no single destination makes the difference"
    if row.covered > _WHOLE:
        return told
    return f"{told}; it has a sample (n ≥ {STRATUM_N_MIN}) for {percent(row.covered)} of all traffic, and counts as all do elsewhere"


def _table(shown: Metric, answers: ProvidersData, view: View, window: Window) -> None:
    whole = changes.table(view, window, answers.totals, _BY, shown=shown, named=_named)
    downloads.csv("Download this table (CSV)", whole, downloads.name(f"providers-{shown.slug}", window), key="table")


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(provider=[words.named("provider", name) for name in table["provider"]])


def _delays(answers: ProvidersData, window: Window) -> None:
    st.subheader("How fast messages arrive", anchor=False)
    if answers.delays.empty:
        st.info("Nothing was accepted in this range.")
        return
    colours = cached.colours_of("provider", answers.delays["provider"], window)
    plots.draw(
        charts.delays(answers.delays, colours, shell.shade()),
        key="delays",
        alt=charts.arrived_within(answers.delays),
    )
    st.caption(
        "A line that is steep on the left is fast. Where it ends on the right is what was delivered within an hour: the "
        "delivery rate, but for what arrived later."
    )


def _costs(answers: ProvidersData, window: Window) -> None:
    st.subheader("What it costs", anchor=False)
    if not cached.settings().prices:
        st.info(
            "No price list is set: `[[prices]]` in the settings names what a part of a message costs, by provider and country."
        )
        return
    if not (answers.costs["priced"] > 0).any():
        st.info("Nothing in this range was accepted by a provider of the price list, `[[prices]]` in the settings.")
        return
    currency = cached.settings().dashboard.currency or "units of the list"
    table = answers.costs.assign(
        provider=[words.named("provider", name) for name in answers.costs["provider"]],
    )
    table["priced"], priced = tables.percents(answers.costs["priced"], 0)
    st.dataframe(
        table,
        hide_index=True,
        width=1000,
        height="content",
        placeholder=words.UNDEFINED,
        column_config={**_cost_columns(currency, priced)},
    )
    if unpriced := table["provider"][answers.costs["priced"] == 0].tolist():
        named = controls.plain(words.listed(unpriced, most=len(unpriced)))
        st.caption(
            f"Without a price in `[[prices]]` for anything that they accepted here: {named}. What that cost is not known."
        )
    downloads.csv("Download the costs (CSV)", answers.costs, downloads.name("costs", window), key="costs")


def _cost_columns(currency: str, priced: str) -> dict[str, Any]:
    """What the columns are called and how they are written; `priced` is the format of its own."""
    number = st.column_config.NumberColumn
    of_all = "Messages of every category."
    of_codes = "What codes alone cost, by the codes that were entered: notifications and marketing are not in it."
    return {
        "provider": "Provider",
        "cost": number(f"Cost ({currency})", format="%.2f", help=of_all),
        "code_cost": number(f"Codes alone ({currency})", format="%.2f", help="The part of the cost that codes have."),
        "delivered": number("Delivered", format="localized", help=of_all),
        "approved": number("Codes entered", format="localized"),
        "per_delivered": number(f"Per delivered ({currency})", format="%.4f", help=of_all),
        "per_approved": number(f"Per entered code ({currency})", format="%.4f", help=of_codes),
        "priced": number(
            "Priced", format=priced, help="Share of accepted messages that the price list has a price for."
        ),
    }


def _failures(answers: ProvidersData, window: Window) -> None:
    st.subheader("What goes wrong", anchor=False)
    if answers.failures.empty:
        st.info("Nothing failed in this range.")
        return
    rows = answers.failures
    texts.table(
        "What goes wrong",
        [
            texts.Column("Provider", [words.named("provider", name) for name in rows["provider"]]),
            texts.Column("Attempts", [words.count(int(failed)) for failed in rows["failed"]], "number"),
            texts.Column(
                "Of its submitted", [words.share(one, 2) for one in rows["failed"] / rows["submitted"]], "number"
            ),
            texts.Column("When", [_STAGES[stage] for stage in rows["stage"]]),
            texts.Column("Why", [ERROR_CLASSES.get(name, name) for name in rows["error_class"]], "long"),
            texts.Column("Error code", rows["error_code"].tolist(), "long", "In the words of the provider."),
        ],
    )
    downloads.csv("Download the failures (CSV)", rows, downloads.name("failures", window), key="failures")
