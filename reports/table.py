"""The report as a CSV for a spreadsheet: a line a metric of each slice, values unrounded, undefined ones empty."""

from __future__ import annotations

import csv
from io import StringIO

from metrics.catalogue import METRICS
from metrics.readings import Reading
from reports.gather import Report
from reports.readings import Slice

_HEAD = (
    "period", "begins", "level", "provider", "country", "carrier", "metric", "unit", "value", "n", "settled", "p95",
    "previous_value", "previous_n", "earlier_value", "earlier_n",
)  # fmt: skip
_COLUMNS = ("provider", "country", "carrier")


def table(report: Report) -> bytes:
    """UTF-8 with a mark, so that spreadsheets read names in every script."""
    file = StringIO()
    writer = csv.writer(file)
    writer.writerow(_HEAD)
    rows: list[tuple[str, tuple[str, ...], Slice]] = [("total", (), report.total)]
    rows += [(" and ".join(group.dimensions), group.dimensions, one) for group in report.groups for one in group.slices]
    rows += [("channel", _COLUMNS, one) for one in report.channels]
    for level, dimensions, one in rows:
        names = dict(zip(dimensions, one.names, strict=True))
        about = (
            report.span.kind,
            report.span.date.isoformat(),
            level,
            *(_safe(names.get(name, "")) for name in _COLUMNS),
        )
        writer.writerows((*about, *line) for line in _lines(one))
    return b"\xef\xbb\xbf" + file.getvalue().encode()


def _lines(one: Slice) -> list[tuple[object, ...]]:
    lines: list[tuple[object, ...]] = []
    for metric in METRICS:
        figure = one.figures[metric.slug]
        now = figure.now
        told = (
            metric.slug,
            metric.unit,
            *_value(now),
            "yes" if now.settled else "no",
            "" if now.p95 is None else now.p95,
        )
        lines.append((*told, *_value(figure.previous), *_value(figure.earlier)))
    return lines


def _value(reading: Reading) -> tuple[object, object]:
    return ("" if reading.value is None else reading.value, reading.n)


def _safe(name: str) -> str:
    """A name that a spreadsheet would take for a formula is a text."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
