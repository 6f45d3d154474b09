"""Turns what detection tells into alerts: what happened, where, since when, to how many, what to do, and the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pandas as pd
import structlog

from core.alerts import Alert, Event, Picture, Severity
from core.alerts.rendering import lasted
from core.redact import described
from core.words import percent
from metrics.detection import deployments
from metrics.detection.handbook import NAMES, steps
from metrics.detection.incidents import Incident, Kind, Notification, sentence, where
from metrics.detection.words import Word
from reports.watch import evidence
from reports.words import capitalized, count

_log = structlog.get_logger(__name__)

_DEPLOYED_MAX = 3
"""Those last deployed are named; the dashboard has all of them."""

_STEEP = 0.2
"""A drop by a fifth of what is expected is critical, whatever it is called."""

_SEVERITY: dict[Kind, Severity] = {
    "provider-outage": "critical",
    "black-hole": "critical",
    "verification-broken": "critical",
    "pumping": "critical",
    "data-stopped": "critical",
    "receipts-stop": "warning",
    "slow-channel": "warning",
}


@dataclass(frozen=True)
class Teller:
    """Incidents in the words of a time zone, with links to a dashboard (none, when its address is empty)."""

    time_zone: str
    dashboard_url: str = ""

    def alert(
        self, notification: Notification, frame: pd.DataFrame | None, *, is_known: bool, deployed: Sequence[Word] = ()
    ) -> Alert:
        """The alert. `is_known` is whether anybody heard of the incident before: an update nobody knows of is an opening.
        `deployed` is what was deployed near its onset; `frame` its evidence, None for an alert without pictures."""
        one = notification.incident
        event: Event = notification.event if is_known else "opened"
        return Alert(
            key=key(one),
            event=event,
            kind=alert_kind(one.kind),
            severity=severity(one),
            title=title(one),
            text=f"{capitalized(sentence(one, ZoneInfo(self.time_zone)))}.",
            at=notification.at,
            steps=() if event == "resolved" else steps(one.kind, one.scope),
            facts=self._facts(one, deployed),
            labels={"component": "channel"}
            | {name: values[0] for name, values in one.scope.items() if len(values) == 1},
            pictures=self._pictures(one, frame),
            link=self.link(one),
            since=one.onset,
            version=f"{notification.event} {notification.at.isoformat()}",
            material=_material(one),
            affected=one.affected,
        )

    def link(self, one: Incident) -> str:
        """The incident on the dashboard, with its scope as the filter."""
        if not self.dashboard_url:
            return ""
        scope = [(name, value) for name, values in one.scope.items() for value in values]
        query = urlencode([("incident", one.id), ("tz", self.time_zone), *scope])
        return f"{self.dashboard_url.rstrip('/')}/incidents?{query}"

    def _pictures(self, one: Incident, frame: pd.DataFrame | None) -> tuple[Picture, ...]:
        if frame is None:
            return ()
        try:
            drawn = evidence.chart(frame, one, time_zone=self.time_zone)
        except Exception as error:  # noqa: BLE001  # the words are what people wait for
            _log.error("the evidence could not be drawn", incident=one.id, reason=described(error))
            return ()
        return (Picture(name="evidence", alt=evidence.alternative(frame, one), png=drawn),) if drawn else ()

    def _facts(self, one: Incident, deployed: Sequence[Word]) -> tuple[tuple[str, str], ...]:
        codes = ", ".join(f"{code.code} ({code.error_class}, {percent(code.share)})" for code in one.codes)
        told = (
            ("Where", where(one.scope)),
            ("Since", self._moment(one.onset)),
            ("Over", self._moment(one.resolved_at) if one.resolved_at else ""),
            (
                "People affected",
                f"{count(one.affected)} ({count(one.messages)} messages, {count(one.lost)} of them lost)"
                if one.messages
                else "",
            ),
            ("Deployed near its beginning", "; ".join(beside(word, one) for word in deployed[-_DEPLOYED_MAX:])),
            ("Error codes that grew", codes),
            ("What stayed normal", "; ".join(one.normal)),
            ("Share of the loss", "" if one.share is None else f"{percent(one.share)} of everything lost in that time"),
        )
        return tuple((name, value) for name, value in told if value)

    def _moment(self, at: datetime) -> str:
        return f"{at.astimezone(ZoneInfo(self.time_zone)):%Y-%m-%d %H:%M %Z}"


def beside(word: Word, one: Incident) -> str:
    """A deployment, where it was, and how long before or after an incident began."""
    return deployments.beside(word, one, lasting=lasted)


def title(one: Incident) -> str:
    """The incident in one line: its name and where."""
    return f"{NAMES[one.kind]} {where(one.scope)}"


def key(one: Incident) -> str:
    """Under which everything is told about it."""
    return f"incident {one.id}"


def alert_kind(kind: Kind) -> str:
    """What routes go by."""
    return kind.replace("-", "_")


def severity_of(kind: Kind) -> str:
    """How bad it is, in words; of some it depends on how deep the drop is."""
    return _SEVERITY.get(kind, "critical or warning, by the depth of the drop")


def severity(one: Incident) -> Severity:
    """How bad it is: by its name, else by how deep the drop is."""
    if one.kind in _SEVERITY:
        return _SEVERITY[one.kind]
    if one.expected and one.observed is not None and one.observed < (1 - _STEEP) * one.expected:
        return "critical"
    return "warning"


def _material(one: Incident) -> str:
    """What makes an update worth telling, besides its severity and how many are affected: another name or place."""
    scope = sorted((name, *values) for name, values in one.scope.items())
    return f"{one.kind} {scope}"
