"""The Incidents page asks five questions: what was broken in the window, what is now, how far detection has come, what operators
keep quiet, and what was deployed. One incident asks five more, and two of the ten metrics in its scope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from app.data.basics import ALL_SLUGS, FilterKey, at_same_age, readings_of
from app.data.beside import beside
from app.timeframe import WEEK, Window
from core.warehouse import Warehouse
from metrics.detection.deployments import deployed_near, touches
from metrics.detection.incidents import Incident, Notification
from metrics.detection.records import evidence, incident, incidents_between, notifications_of, open_incidents
from metrics.detection.words import Word, comments_on, deployments_between, words_at
from metrics.freshness import last_judged
from metrics.query import Question, ask
from metrics.readings import Reading

_BEFORE = timedelta(minutes=30)
_AHEAD = timedelta(days=366)


@dataclass(frozen=True)
class IncidentsData:
    """What is open now, and what was at any moment of the window, the newest first; `judged`: the last minute that detection
    has judged, None before the first."""

    open: Sequence[Incident]
    within: Sequence[Incident]
    judged: datetime | None


@dataclass(frozen=True)
class StoryData:
    """One incident with its evidence (`metrics.detection.records.evidence`), what was told of it, what else was broken
    meanwhile, what operators said, and what was deployed within `NEAR` of its onset where it is."""

    incident: Incident
    evidence: pd.DataFrame
    told: Sequence[Notification]
    beside: Sequence[Incident]
    comments: Sequence[Word]
    deployed: Sequence[Word]


@dataclass(frozen=True)
class Moved:
    """The ten metrics of some messages in a window, and in the same span a week before; there at the `same_age`, if so."""

    now: Mapping[str, Reading]
    before: Mapping[str, Reading]
    same_age: bool


def answer(warehouse: Warehouse, window: Window, filters: FilterKey) -> IncidentsData:
    """The lists, of incidents that touch what the filters keep, and how far they can be trusted."""
    chosen = dict(filters)
    within = beside(incidents_between, warehouse, window.start, window.end)
    judged = beside(last_judged, warehouse)
    return IncidentsData(
        open=[one for one in open_incidents(warehouse) if touches(one.scope, chosen)],
        within=[one for one in within.result() if touches(one.scope, chosen)],
        judged=judged.result(),
    )


def story(warehouse: Warehouse, incident_id: str, *, now: datetime) -> StoryData | None:
    """All about one incident; None when there is none of that id."""
    one = incident(warehouse, incident_id)
    if one is None:
        return None
    until = one.resolved_at or now
    proof = beside(evidence, warehouse, one.id)
    meanwhile = beside(incidents_between, warehouse, one.onset, until)
    comments = beside(comments_on, warehouse, one.id)
    deployed = beside(deployed_near, warehouse, [one])
    told = notifications_of(warehouse, one.id, since=one.onset - _BEFORE)
    others = [row for row in meanwhile.result() if row.id != one.id]
    return StoryData(one, proof.result(), told, others, comments.result(), deployed.result()[one.id])


def moved(warehouse: Warehouse, window: Window, filters: FilterKey, *, now: datetime, on_time_seconds: int) -> Moved:
    """What the ten metrics did in the scope of an incident while it lasted."""

    def asked(over: Window, *, at: datetime, as_then: bool = False) -> Mapping[str, Reading]:
        question = Question(metrics=ALL_SLUGS, start=over.start, end=over.end, filters=dict(filters))
        return readings_of(ask(warehouse, question, now=at, on_time_seconds=on_time_seconds, as_then=as_then))

    same_age = at_same_age(window, now=now, on_time_seconds=on_time_seconds)
    before = beside(asked, window.earlier(WEEK), at=now - WEEK, as_then=same_age)
    return Moved(asked(window, at=now), before.result(), same_age)


def standing(warehouse: Warehouse, *, now: datetime) -> Sequence[Word]:
    """The silences and maintenance windows that hold now or will."""
    return words_at(warehouse, now, ahead=_AHEAD)


def deployments(warehouse: Warehouse, window: Window, filters: FilterKey) -> Sequence[Word]:
    """What was deployed in the window, as far as it touches what the filters keep; oldest first."""
    chosen = dict(filters)
    found = deployments_between(warehouse, window.start, window.end)
    return [word for word in found if touches(word.scope or {}, chosen)]
