"""What a report tells besides the metrics, in words: incidents of the span, and how available the service was."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from zoneinfo import ZoneInfo

from core.alerts.rendering import lasted
from metrics.detection.incidents import Incident, sentence
from metrics.operations import AVAILABILITY_GOAL
from reports.gather import Report
from reports.spans import Span
from reports.watch.incidents import beside, title
from reports.words import capitalized, count

INCIDENTS_MAX = 8
_DEPLOYED_MAX = 2


@dataclass(frozen=True)
class IncidentLine:
    """An incident as a report tells it."""

    title: str
    when: str
    sentence: str


def incident_lines(report: Report) -> list[IncidentLine]:
    """Those of the span, where most were affected first."""
    return [
        IncidentLine(title(one), _when(one, report.span), _told(one, report))
        for one in (report.incidents or ())[:INCIDENTS_MAX]
    ]


def _told(one: Incident, report: Report) -> str:
    told = f"{capitalized(sentence(one, ZoneInfo(report.span.zone)))}."
    near = report.deployed.get(one.id, ())
    return " ".join([told, *(f"Deployed: {beside(word, one)}." for word in near[-_DEPLOYED_MAX:])])


def incidents_sentence(report: Report) -> str:
    """How many there were, or that nobody looked."""
    if report.incidents is None:
        return "Incidents are not recorded in this warehouse yet."
    number, open_ones = len(report.incidents), sum(one.state == "open" for one in report.incidents)
    if not number:
        return f"No incident in this {report.span.noun}."
    still = f", {open_ones} of them open still" if open_ones else ", all of them over"
    return f"{number} incident{'' if number == 1 else 's'}{still}."


def availability_sentence(report: Report) -> str:
    """The share of calls that the service answered, against its goal."""
    found = report.availability
    if found is None or found.value is None:
        return "Availability of the service: not measured."
    goal = "within" if found.value >= AVAILABILITY_GOAL else "below"
    failed = round((1 - found.value) * found.n)
    return (
        f"Availability of the service: {_percent(found.value)} of {count(found.n)} calls, {goal} the goal of "
        f"{_percent(AVAILABILITY_GOAL)} ({count(failed)} failed)."
    )


def _percent(value: float) -> str:
    """Cut, not rounded: 99.996 % must not read as 100 %."""
    return f"{floor(value * 100_000 + 1e-6) / 1000:.3f}".rstrip("0").rstrip(".") + "\N{NO-BREAK SPACE}%"


def _when(one: Incident, span: Span) -> str:
    zone = ZoneInfo(span.zone)
    began = one.onset.astimezone(zone)
    day = "" if span.kind == "daily" and one.onset >= span.start else f"{began:%a} {began.day} {began:%b} "
    if one.resolved_at is None:
        return f"since {day}{began:%H:%M}, open still{', silenced' if one.silenced else ''}"
    lasting = f"{day}{began:%H:%M} to {one.resolved_at.astimezone(zone):%H:%M}, {lasted(one.resolved_at - one.onset)}"
    return f"{lasting}{', silenced at its end' if one.silenced else ''}"
