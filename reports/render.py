"""Turns a report into a mail: HTML and text made from the same rows, pictures inside, nothing fetched from outside."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from functools import lru_cache
from zoneinfo import ZoneInfo

from jinja2 import Environment

from core.mail import Attachment, Inline, Letter, compose, templates
from metrics.catalogue import METRICS, Metric, metric
from reports import charts, happenings, words
from reports.gather import Group, Report
from reports.movers import METRIC as MOVED
from reports.movers import Mover
from reports.readings import TREND, Slice
from reports.table import table
from reports.words import Change

CHART = "course"
TOTAL_TREND = "trend"
LOOKS_MAX = 5

COLUMNS = (
    ("third_party_success_rate", "Accepted"),
    ("delivery_rate", "Delivered"),
    ("on_time_rate", "On time"),
    ("verification_success_rate", "Verified"),
)
"""What a row of the tables by provider, carrier and country tells, beside its volume."""

_TITLES: dict[tuple[str, ...], tuple[str, str, Callable[..., str], int]] = {
    ("provider",): ("Provider", "providers", words.provider_name, 10),
    ("country", "carrier"): ("Carrier", "carriers", words.carrier_name, 12),
    ("country",): ("Country", "countries", words.country_name, 8),
}
"""Heading, plural, how a row is called, and the most rows of each group."""


@dataclass(frozen=True)
class Rendered:
    """A mail before it has an address."""

    subject: str
    html: str
    text: str
    pictures: tuple[Inline, ...] = ()
    attachments: tuple[Attachment, ...] = ()

    def page(self) -> str:
        """The HTML with its pictures in it, for a browser."""
        html = self.html
        for one in self.pictures:
            data = base64.b64encode(one.png).decode()
            html = html.replace(f'"cid:{one.cid}"', f'"data:image/png;base64,{data}"')
        return html


@dataclass(frozen=True)
class MetricRow:
    """A line of the table of the ten."""

    metric: Metric
    value: str
    n: str
    beside: str
    state: str
    previous: Change
    earlier: Change


@dataclass(frozen=True)
class Cell:
    """A value of a slice, with its change against the earlier span."""

    value: str
    change: Change


@dataclass(frozen=True)
class Spark:
    """A small chart: the id of its picture, and what it shows in words."""

    cid: str
    alt: str


@dataclass(frozen=True)
class SliceRow:
    """A line of a table by provider, carrier or country."""

    name: str
    submitted: str
    cells: tuple[Cell, ...]
    spark: Spark | None


@dataclass(frozen=True)
class Table:
    """The largest slices of a kind; `left` more of them, with `left_n` attempts, are not in it."""

    title: str
    plural: str
    rows: tuple[SliceRow, ...]
    left: int
    left_n: str


def render(report: Report, *, dashboard_url: str = "") -> Rendered:
    """Subject, HTML, text, pictures and the CSV of a report."""
    view = _view(report, dashboard_url)
    return Rendered(
        subject=words.subject(report),
        html=_templates().get_template("report.html.j2").render(view),
        text=_templates().get_template("report.txt.j2").render(view).strip() + "\n",
        pictures=_pictures(report),
        attachments=()
        if report.is_empty
        else (Attachment(f"sms-quality-{report.span.kind}-{report.span.date}.csv", table(report)),),
    )


def message(rendered: Rendered, *, name: str, sender: str, recipients: Sequence[str], at: datetime) -> EmailMessage:
    """The mail. `name` makes its Message-ID: the same name is the same mail, to whoever sorts out doubles."""
    letter = Letter(
        name=name,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        at=at,
        pictures=rendered.pictures,
        attachments=rendered.attachments,
    )
    return compose(letter, sender=sender, recipients=recipients)


def _pictures(report: Report) -> tuple[Inline, ...]:
    if report.course is None:
        return ()
    shown = [(group, one) for group in report.groups for one in _shown(group)]
    lowest = _lowest([report.trend, *(group.trends.get(one.names, ()) for group, one in shown)])
    sparks = [
        Inline(_spark_id(group, index), charts.sparkline(group.trends[one.names], lowest=lowest))
        for group in report.groups
        for index, one in enumerate(_shown(group))
        if group.trends.get(one.names)
    ]
    return (Inline(CHART, charts.course(report.course, report.span)), *sparks)


def _lowest(trends: Sequence[Sequence[float | None]]) -> float:
    """Where the small charts begin, the same for all of them so that they can be compared."""
    values = [value for trend in trends for value in trend if value is not None]
    return min(0.9, int(min(values, default=0.9) * 10) / 10)


def _shown(group: Group) -> tuple[Slice, ...]:
    return group.slices[: _TITLES[group.dimensions][3]]


def _spark_id(group: Group, index: int) -> str:
    return f"{group.dimensions[-1]}{index}"


def _view(report: Report, dashboard_url: str) -> dict[str, object]:
    span = report.span
    return {
        "subject": words.subject(report),
        "span": span,
        "headline": words.headline(report),
        "sentences": words.sentences(report),
        "is_empty": report.is_empty,
        "metrics": [_metric_row(one, report) for one in METRICS],
        "columns": [heading for _, heading in COLUMNS],
        "tables": [_table(group, report) for group in report.groups],
        "looks": [
            (words.place_name(look.place), words.finding(look.worst, span), [one.title.lower() for one in look.others])
            for look in report.looks[:LOOKS_MAX]
        ],
        "looks_left": max(0, len(report.looks) - LOOKS_MAX),
        "movers": [_mover_row(one) for one in report.movers],
        "incidents": happenings.incident_lines(report),
        "incidents_sentence": happenings.incidents_sentence(report),
        "incidents_left": max(0, len(report.incidents or ()) - happenings.INCIDENTS_MAX),
        "availability": happenings.availability_sentence(report),
        "restated": report.restated,
        "notes": _notes(report),
        "chart": CHART,
        "chart_alternative": "" if report.course is None else charts.alternative(report.course, span),
        "made_at": f"{report.made_at.astimezone(ZoneInfo(span.zone)):%Y-%m-%d %H:%M %Z}",
        "window": _window(report),
        "trend_note": f"{metric(TREND).title} of the last {span.trend_days} days in each small chart.",
        "dashboard_url": dashboard_url if dashboard_url.startswith(("http://", "https://")) else "",
    }


def _notes(report: Report) -> str:
    noun = report.span.noun
    return (
        f"A rate belongs to the {noun} in which its messages were submitted, however late their receipts come. A figure has "
        f"settled when the {noun} is old enough that it will hardly move; until then it is settling, and not judged. A dash "
        f"is undefined: there was nothing to count. On time means delivered within {report.on_time_seconds}\N{NO-BREAK SPACE}s. More "
        "than chance: chance alone would name any figure of a table in fewer than one report in a hundred."
    )


def _window(report: Report) -> str:
    span, zone = report.span, ZoneInfo(report.span.zone)
    hours = (span.end - span.start).total_seconds() / 3600
    length = f", a day of {hours:g} hours" if span.kind == "daily" and hours != 24 else ""
    return f"{span.start.astimezone(zone):%Y-%m-%d %H:%M %Z} to {span.end.astimezone(zone):%Y-%m-%d %H:%M %Z}{length}"


def _metric_row(one: Metric, report: Report) -> MetricRow:
    compared = report.total.figures[one.slug]
    previous, earlier = words.changes(one, compared)
    return MetricRow(
        metric=one,
        value=words.figure(compared.now.value, one.unit),
        n=words.count(compared.now.n),
        beside="" if compared.now.p95 is None else f"p95 {words.figure(compared.now.p95, one.unit)}",
        state="" if not compared.now.n else "settled" if compared.now.settled else "settling",
        previous=previous,
        earlier=earlier,
    )


def _table(group: Group, report: Report) -> Table:
    title, plural, name, _ = _TITLES[group.dimensions]
    rows, rest = _shown(group), group.slices[len(_shown(group)) :]
    return Table(
        title=title,
        plural=plural,
        rows=tuple(
            _slice_row(name(*one.names), one, len(rows), _spark(group, index, name(*one.names)))
            for index, one in enumerate(rows)
        ),
        left=len(rest),
        left_n=words.count(sum(one.submitted.now.n for one in rest)),
    )


def _spark(group: Group, index: int, name: str) -> Spark | None:
    trend = group.trends.get(group.slices[index].names)
    if not trend:
        return None
    defined = [value for value in trend if value is not None]
    unit = metric(TREND).unit
    spread = (
        f"between {words.figure(min(defined), unit)} and {words.figure(max(defined), unit)}" if defined else "no data"
    )
    return Spark(_spark_id(group, index), f"{metric(TREND).title}, last {len(trend)} days: {spread}")


def _slice_row(name: str, one: Slice, rows: int, spark: Spark | None) -> SliceRow:
    def cell(slug: str) -> Cell:
        compared = one.figures[slug]
        declared = metric(slug)
        moved = words.change(declared, compared.now, compared.earlier, judged_together=rows * len(COLUMNS))
        return Cell(words.figure(compared.now.value, declared.unit), moved)

    return SliceRow(name, words.count(one.submitted.now.n), tuple(cell(slug) for slug, _ in COLUMNS), spark)


def _mover_row(one: Mover) -> tuple[str, str, str, str, str]:
    """Place, rate, rate before, how many messages, and whether they are more or fewer."""
    unit = metric(MOVED).unit
    more = "more" if one.messages > 0 else "fewer"
    return (
        words.place_name(one.place),
        words.figure(one.now.value, unit),
        words.figure(one.before.value, unit),
        words.count(round(abs(one.messages))),
        more,
    )


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = templates("reports").overlay()
    environment.filters = environment.filters | {
        "figure": words.figure,
        "sample": words.sample,
        "whole": words.whole,
        "capitalized": words.capitalized,
        "left": left,
        "right": right,
    }
    return environment


def left(text: str, width: int) -> str:
    """`text` filled up to `width` columns of a fixed-width font; too long, it is cut with an ellipsis."""
    while _columns(text) > width:
        text = text[:-2] + "…"
    return text + " " * (width - _columns(text))


def right(text: str, width: int) -> str:
    """`text` moved to the right of `width` columns."""
    return " " * (width - _columns(text)) + text


def _columns(text: str) -> int:
    """How many columns a fixed-width font takes: two for a Chinese character, none for a combining mark."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
