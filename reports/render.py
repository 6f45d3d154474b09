"""Turns a report into a mail: HTML and text made from the same rows, pictures inside, nothing fetched from outside."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from metrics.catalogue import METRICS, Metric, metric
from reports import charts, words
from reports.daily import DailyReport
from reports.readings import Slice
from reports.words import Change

CHART = "hours"
ROWS_MAX = 12
LOOKS_MAX = 5

COLUMNS = (
    ("third_party_success_rate", "Accepted"),
    ("delivery_rate", "Delivered"),
    ("on_time_rate", "On time"),
    ("verification_success_rate", "Verified"),
)
"""What a row of the tables by provider and by carrier tells, beside its volume."""


@dataclass(frozen=True)
class Rendered:
    """A mail before it has an address. `picture` is a PNG, None on a day without data."""

    subject: str
    html: str
    text: str
    picture: bytes | None

    def page(self) -> str:
        """The HTML with the picture in it, for a browser."""
        data = base64.b64encode(self.picture or b"").decode()
        return self.html.replace(f"cid:{CHART}", f"data:image/png;base64,{data}")


@dataclass(frozen=True)
class MetricRow:
    """A line of the table of the ten."""

    metric: Metric
    value: str
    n: str
    beside: str
    state: str
    day: Change
    week: Change


@dataclass(frozen=True)
class Cell:
    """A value of a slice, with its change against the week before."""

    value: str
    change: Change


@dataclass(frozen=True)
class SliceRow:
    """A line of the table by provider or by carrier."""

    name: str
    submitted: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """The largest slices of a kind; `left` more of them, with `left_n` attempts, are not in it."""

    title: str
    rows: tuple[SliceRow, ...]
    left: int
    left_n: str


def render(report: DailyReport, *, dashboard_url: str = "") -> Rendered:
    """Subject, HTML, text and picture of a report."""
    picture = None if report.hours is None else charts.hourly(report.hours, report.day)
    view = _view(report, dashboard_url)
    return Rendered(
        subject=words.subject(report),
        html=_templates().get_template("daily.html.j2").render(view),
        text=_templates().get_template("daily.txt.j2").render(view).strip() + "\n",
        picture=picture,
    )


def message(rendered: Rendered, *, name: str, sender: str, recipients: Sequence[str], at: datetime) -> EmailMessage:
    """The mail. `name` makes its Message-ID: the same name is the same mail, to whoever sorts out doubles."""
    mail = EmailMessage()
    mail["Subject"] = rendered.subject
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(at)
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    mail["Message-ID"] = f"<{name}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # so that nobody's absence note answers it (RFC 3834)
    mail.set_content(rendered.text, cte="quoted-printable")
    # Some mailers split references off from what they refer to unless the picture is related to the HTML part itself.
    mail.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    if rendered.picture is not None:
        html = mail.get_payload()[1]  # type: ignore[index]
        assert isinstance(html, EmailMessage)
        html.add_related(rendered.picture, "image", "png", cid=f"<{CHART}>", disposition="inline", filename="hours.png")
    return mail


def _view(report: DailyReport, dashboard_url: str) -> dict[str, object]:
    day = report.day
    return {
        "subject": words.subject(report),
        "day": day,
        "day_before": day.plus(-1),
        "week_before": day.plus(-7),
        "headline": words.headline(report),
        "sentences": words.sentences(report),
        "is_empty": report.is_empty,
        "metrics": [_metric_row(one, report) for one in METRICS],
        "columns": [heading for _, heading in COLUMNS],
        "tables": [
            _table("Provider", report.providers, words.provider_name),
            _table("Carrier", report.carriers, words.carrier_name),
        ],
        "looks": [
            (words.place_name(look.place), words.finding(look.worst), [one.title.lower() for one in look.others])
            for look in report.looks[:LOOKS_MAX]
        ],
        "looks_left": max(0, len(report.looks) - LOOKS_MAX),
        "restated": report.restated,
        "has_picture": report.hours is not None,
        "notes": _notes(report),
        "chart": CHART,
        "chart_alternative": "" if report.hours is None else charts.alternative(report.hours, day),
        "made_at": f"{report.made_at.astimezone(ZoneInfo(day.zone)):%Y-%m-%d %H:%M %Z}",
        "window": _window(report),
        "dashboard_url": dashboard_url if dashboard_url.startswith(("http://", "https://")) else "",
    }


def _notes(report: DailyReport) -> str:
    return (
        "A rate belongs to the day on which its messages were submitted, however late their receipts come. A figure has "
        "settled when the day is old enough that it will hardly move; until then it is settling. A dash is undefined: "
        f"there was nothing to count. On time means delivered within {report.on_time_seconds}\N{NO-BREAK SPACE}s. More than chance: "
        "chance alone would name any figure of a table on fewer than one day in a hundred."
    )


def _window(report: DailyReport) -> str:
    zone = ZoneInfo(report.day.zone)
    hours = (report.day.end - report.day.start).total_seconds() / 3600
    length = "" if hours == 24 else f", a day of {hours:g} hours"
    return f"{report.day.start.astimezone(zone):%Y-%m-%d %H:%M %Z} to {report.day.end.astimezone(zone):%Y-%m-%d %H:%M %Z}{length}"


def _metric_row(one: Metric, report: DailyReport) -> MetricRow:
    compared = report.total.figures[one.slug]
    day, week = words.changes(one, compared)
    return MetricRow(
        metric=one,
        value=words.figure(compared.now.value, one.unit),
        n=words.count(compared.now.n),
        beside="" if compared.now.p95 is None else f"p95 {words.figure(compared.now.p95, one.unit)}",
        state="" if not compared.now.n else "settled" if compared.now.settled else "settling",
        day=day,
        week=week,
    )


def _table(title: str, slices: Sequence[Slice], name: Callable[..., str]) -> Table:
    rows, rest = slices[:ROWS_MAX], slices[ROWS_MAX:]
    return Table(
        title=title,
        rows=tuple(_slice_row(name(*one.names), one, len(rows)) for one in rows),
        left=len(rest),
        left_n=words.count(sum(one.submitted.now.n for one in rest)),
    )


def _slice_row(name: str, one: Slice, rows: int) -> SliceRow:
    def cell(slug: str) -> Cell:
        compared = one.figures[slug]
        declared = metric(slug)
        moved = words.change(declared, compared.now, compared.week_before, judged_together=rows * len(COLUMNS))
        return Cell(words.figure(compared.now.value, declared.unit), moved)

    return SliceRow(name, words.count(one.submitted.now.n), tuple(cell(slug) for slug, _ in COLUMNS))


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=lambda name: bool(name) and ".html" in str(name),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
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
