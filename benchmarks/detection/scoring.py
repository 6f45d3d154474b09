"""Judges alerts by labels. The rules:

- An incident (all alerts of one id) is about a fault when it is detected between the fault's start and `TAIL` after its
  end, and half of the smaller scope's traffic lies in both scopes, its first or its last, while the larger carries at
  most `FAR` times the smaller. Of several faults it is about the one whose scope it resembles most.
- The earliest incident about a fault detects it; every other one is a duplicate, and so is an echo: an incident of that
  time that has only `ECHO` of the smaller scope's traffic in common with the fault (a country whose ratio falls because
  one of its providers failed). An incident about no fault is a false alarm, also one about a benign event, or one that
  was open before the fault began.
- A scope is right when the leaves of both, weighed by their attempts in the whole world, have a Jaccard index of at
  least `RIGHT`: the same in effect, whatever dimensions say it. First: of the incident's first alert; final: of its last.
- The name is right when the last alert's kind is the fault's. A count is right when the last alert's `affected` is within
  `NEAR` of the people, and its `messages` of the messages, that fared worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from benchmarks.detection.alerts import Alert
from sandbox.drills import Label

TAIL = timedelta(minutes=15)
ABOUT, ECHO = 0.5, 0.1
FAR = 50.0
RIGHT = 0.9
NEAR = 0.2
LEAF = ("provider", "carrier", "country", "region", "app", "purpose", "template")


class Leaves:
    """Every combination of dimensions that occurs, with its attempts."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self._attempts = frame["attempts"].to_numpy(dtype=float)
        self._held: dict[str, np.ndarray] = {}  # a rule says the same few hundred scopes thousands of times

    @classmethod
    def of(cls, attempts: pd.DataFrame) -> Leaves:
        """Counted from a drill's attempts."""
        codes = [attempts[name].cat.codes.to_numpy() for name in LEAF]
        sizes = [len(attempts[name].cat.categories) for name in LEAF]
        key = np.zeros(len(attempts), dtype=np.int64)
        for code, size in zip(codes, sizes, strict=True):
            key = key * size + code
        counts = np.bincount(key, minlength=1)
        found = np.flatnonzero(counts)
        told = np.unravel_index(found, sizes)
        names = {n: attempts[n].cat.categories.to_numpy()[code] for n, code in zip(LEAF, told, strict=True)}
        return cls(pd.DataFrame(names | {"attempts": counts[found]}))

    def inside(self, scope: Mapping[str, Sequence[str]]) -> np.ndarray:
        """Which leaves a scope holds. Raises `KeyError` for a dimension there is not."""
        name = repr(sorted(scope.items()))
        if name not in self._held:
            held = np.ones(len(self.frame), dtype=bool)
            for dimension, values in scope.items():
                held &= self.frame[dimension].isin(list(values)).to_numpy()
            self._held[name] = held
        return self._held[name]

    def jaccard(self, one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]) -> float:
        """Attempts in both over attempts in either; 0 when there are none."""
        first, second = self.inside(one), self.inside(other)
        either = self._attempts[first | second].sum()
        return float(self._attempts[first & second].sum() / either) if either else 0.0

    def concerns(
        self, one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]], *, least: float = ABOUT
    ) -> bool:
        """Whether two scopes have so much in common that they may be about the same."""
        first, second = self.inside(one), self.inside(other)
        small, large = sorted((self._attempts[first].sum(), self._attempts[second].sum()))
        both = self._attempts[first & second].sum()
        return bool(small > 0 and both >= least * small and large <= FAR * small)


@dataclass(frozen=True)
class Incident:
    """All alerts of one id, the first and the last of them."""

    first: Alert
    last: Alert


@dataclass(frozen=True)
class Verdict:
    """One fault: None where nothing was detected."""

    label: Label
    minutes: float | None = None
    first_scope: float | None = None
    final_scope: float | None = None
    kind: str | None = None
    people: float | None = None
    messages: float | None = None

    @property
    def detected(self) -> bool:
        return self.minutes is not None

    @property
    def people_near(self) -> bool:
        """Whether the last alert's count of people is within `NEAR` of the truth."""
        return _near(self.people, self.label.people)

    @property
    def messages_near(self) -> bool:
        """Whether the last alert's count of messages is."""
        return _near(self.messages, self.label.messages)


def _near(said: float | None, truth: int) -> bool:
    return said is not None and abs(said - truth) <= NEAR * truth


@dataclass(frozen=True)
class Score:
    """All verdicts of one world, what was false, and what was said twice."""

    verdicts: list[Verdict]
    false_alarms: list[Incident]
    duplicates: list[Incident]
    days: float
    near_benign: list[str] = field(
        default_factory=list
    )  # kind of the benign event at hand, per false alarm; "" for none


def incidents_of(alerts: Sequence[Alert]) -> list[Incident]:
    """By id, in order of detection."""
    by_id: dict[str, list[Alert]] = {}
    for alert in alerts:
        by_id.setdefault(alert.incident_id, []).append(alert)
    found = [Incident(told[0], told[-1]) for told in by_id.values()]
    return sorted(found, key=lambda incident: incident.first.detected_at)


def score(alerts: Sequence[Alert], labels: Sequence[Label], leaves: Leaves, *, start: datetime, end: datetime) -> Score:
    """Judge the alerts of [start, end) by the labels of that time."""
    faults = [label for label in labels if not label.benign]
    about: dict[str, list[Incident]] = {label.id: [] for label in faults}
    false_alarms: list[Incident] = []
    echoes: list[Incident] = []
    for incident in incidents_of(alerts):
        fault = _fault_of(incident, faults, leaves, least=ABOUT)
        if fault is not None:
            about[fault.id].append(incident)
        else:
            echo = _fault_of(incident, faults, leaves, least=ECHO) is not None
            (echoes if echo else false_alarms).append(incident)
    return Score(
        verdicts=[_verdict(label, about[label.id], leaves) for label in faults],
        false_alarms=false_alarms,
        duplicates=[incident for found in about.values() for incident in found[1:]] + echoes,
        days=(end - start) / timedelta(days=1),
        near_benign=[_benign_near(alarm, labels, leaves) for alarm in false_alarms],
    )


def _fault_of(incident: Incident, faults: Sequence[Label], leaves: Leaves, *, least: float) -> Label | None:
    detected = incident.first.detected_at
    likeness = {
        label.id: max(leaves.jaccard(alert.scope, label.scope) for alert in (incident.first, incident.last))
        for label in faults
        if label.start <= detected <= label.end + TAIL
        and any(leaves.concerns(alert.scope, label.scope, least=least) for alert in (incident.first, incident.last))
    }
    return max((label for label in faults if label.id in likeness), key=lambda label: likeness[label.id], default=None)


def _verdict(label: Label, found: Sequence[Incident], leaves: Leaves) -> Verdict:
    if not found:
        return Verdict(label)
    first, last = found[0].first, found[0].last
    return Verdict(
        label,
        minutes=(first.detected_at - label.start) / timedelta(minutes=1),
        first_scope=leaves.jaccard(first.scope, label.scope),
        final_scope=leaves.jaccard(last.scope, label.scope),
        kind=last.kind,
        people=last.affected,
        messages=last.affected if last.messages is None else last.messages,
    )


def _benign_near(alarm: Incident, labels: Sequence[Label], leaves: Leaves) -> str:
    """What was going on there, for whoever looks for the cause of a false alarm; lasting events only on their first day."""
    detected = alarm.first.detected_at
    for label in labels:
        until = min(label.end, label.start + timedelta(days=1)) + TAIL
        if label.benign and label.start <= detected <= until and leaves.concerns(alarm.first.scope, label.scope):
            return label.kind
    return ""
