"""What a person is told of a fault: its name, how much it cost, how much of the whole it is, what leads and what stayed normal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from metrics.detection.cases import Case
from metrics.detection.channels import WIDTH
from metrics.detection.codes import Codes, leading
from metrics.detection.evidence import T_FIL, Minute
from metrics.detection.incidents import Channel, Event, Incident
from metrics.detection.leaves import Bools, Floats, Leaves
from metrics.detection.naming import SERIES, TALLY, Facts, name, shadowed
from metrics.detection.people import People, late, per_message

__all__ = ["Told", "explain", "incident", "shadowed"]

Told = Event
_LEAD_MINUTES = 30
_UNTOUCHED, _SAYS_SOMETHING = 0.25, 10.0
_NEIGHBOURS = {
    "provider": "providers",
    "carrier": "carriers",
    "template": "templates",
    "region": "regions",
    "country": "countries",
    "purpose": "purposes",
    "app": "apps",
}
_OUT_OF: dict[Channel, int] = {"accepted": 0, "receipts": 1, "delivered": 1, "filled": 1, "delay": 1, "right": 2}

_FAILING: frozenset[Channel] = frozenset({"accepted", "delivered"})
"""Where what is missing was answered with a code."""


def facts(case: Case) -> Facts:
    """Its sums over its scope, since its onset."""
    held = case.mask
    return Facts(
        ratio=case.ratio[held].sum(axis=0),
        tally=case.tally[held].sum(axis=0),
        volume=case.volume[held].sum(axis=0),
        usual_volume=float(case.usual[held].sum()),
    )


def explain(case: Case, leaves: Leaves, codes: Codes, *, start: datetime, now: datetime) -> None:
    """Give it its name, its codes and what stayed normal."""
    case.codes = leading(codes, case.scope, start, now)
    seen = facts(case)
    leads = case.codes[0].error_class if case.codes else ""
    case.kind, case.channel, case.watched = name(seen, case.watched, case.scope, leads)
    if case.channel not in _FAILING:
        case.codes = ()  # what is missing has no code; those that grew beside it would mislead
    case.normal = _normal(case, leaves)


def _normal(case: Case, leaves: Leaves) -> tuple[str, ...]:
    """The neighbours that share the place and not the fault: the other providers there, say, else the other carriers."""
    here = _drop(case, case.mask)
    for dimension, others in _NEIGHBOURS.items():
        if dimension not in case.scope:
            continue
        around = {name: values for name, values in case.scope.items() if name != dimension}
        drop = _drop(case, leaves.inside(around) & ~case.mask)
        if drop is not None and here is not None and drop < _UNTOUCHED * here:
            return (f"the other {others} are normal{' there' if around else ''}",)
    return ()


def _drop(case: Case, held: Bools) -> float | None:
    """The missing share of what was expected of these leaves; None where too little was to say."""
    place = TALLY[case.channel]
    expected, observed = (float(case.tally[held, 2 * place + side].sum()) for side in (0, 1))
    return 1 - observed / expected if expected >= _SAYS_SOMETHING else None


def _missing(tally: Floats, channel: Channel) -> float:
    """Messages short of a good day."""
    place = TALLY[channel]
    return float(tally[2 * place] - tally[2 * place + 1])


def harmed(case: Case) -> float:
    """Messages that fared worse than on a good day, since this process watches it."""
    seen = facts(case)
    if case.channel == "filled":  # people do not enter every code: of those that came, so many were of no use
        return float(seen.volume[1]) * max(0.0, seen.drop(T_FIL))
    return max(0.0, _missing(seen.tally, case.channel)) * (case.late_share if case.channel == "delay" else 1.0)


def count_people(case: Case, people: People, *, start: datetime, end: datetime, now: datetime) -> None:
    """Learn how many people its messages stand for, and of a slow channel how many were late."""
    case.people_per_message = per_message(people, case.channel, case.scope, start, end, now)
    case.late_share = 1.0
    if case.channel == "delay":
        found, guess = late(people, case.scope, start, end, now), harmed(case)
        case.late_share = found / guess if found is not None and guess > 0 else 1.0


@dataclass(frozen=True)
class _Before:
    """What an earlier process had counted: messages, expected and observed of them, and what was missing anywhere."""

    n: int = 0
    expected: float = 0.0
    observed: float = 0.0
    everywhere: float = 0.0


def _before(case: Case) -> _Before:
    """Read back from what it told; nothing where that was of another channel or scope, and can be added to nothing here."""
    told = case.before
    if told is None or told.expected is None or told.observed is None:
        return _Before()
    if told.channel != case.channel or dict(told.scope) != case.scope:
        return _Before()
    expected, observed = told.n * told.expected, told.n * told.observed
    return _Before(told.n, expected, observed, (expected - observed) / (told.share or 1.0))


def _share(case: Case, before: _Before) -> float | None:
    everywhere = before.everywhere + _missing(case.tally.sum(axis=0), case.channel)
    here = before.expected - before.observed + _missing(case.tally[case.mask].sum(axis=0), case.channel)
    return float(np.clip(here / everywhere, 0, 1)) if everywhere > 0 and here > 0 else None


def incident(case: Case, minute: int, moment: Callable[[int], datetime]) -> Incident:
    """The case as others see it."""
    seen, place, before = facts(case), TALLY[case.channel], _before(case)
    n = before.n + int(seen.volume[_OUT_OF[case.channel]])
    expected = before.expected + float(seen.tally[2 * place])
    observed = before.observed + float(seen.tally[2 * place + 1])
    count = harmed(case)
    messages, people = (case.before.messages, case.before.affected) if case.before else (0, 0)
    messages += round(count)
    return Incident(
        id=case.id,
        kind=case.kind,
        channel=case.channel,
        scope=dict(case.scope),
        onset=moment(case.onset),
        detected_at=moment(case.detected + 1),
        updated_at=moment(minute + 1),
        state="open" if case.open else "resolved",
        resolved_at=moment(case.resolved) if case.resolved is not None else None,
        affected=people + round(count * case.people_per_message),
        messages=messages,
        lost=0 if case.kind in ("receipts-stop", "slow-channel", "pumping") else messages,
        share=_share(case, before),
        expected=_ratio(expected, n),
        observed=_ratio(observed, n),
        n=n,
        codes=case.codes,
        normal=case.normal,
        confidence=round(case.confidence, 2),
    )


def _ratio(count: float, n: int) -> float | None:
    return min(1.0, count / n) if n else None


def evidence(
    case: Case, minutes: Iterable[Minute], dispersion: Floats, moment: Callable[[int], datetime]
) -> pd.DataFrame:
    """Expected and observed counts of its channel in its scope, a row a minute from half an hour before its onset.

    The band holds 95 of 100 good minutes: binomial, widened by the over-dispersion.
    """
    place, out_of = TALLY[case.channel], _OUT_OF[case.channel]
    rows = []
    for one in minutes:
        if one.minute >= case.onset - _LEAD_MINUTES:
            held = case.mask[one.leaf]
            expected, observed = one.tally[held, 2 * place].sum(), one.tally[held, 2 * place + 1].sum()
            n = one.volume[held, out_of].sum()
            rows.append((moment(one.minute), case.channel, expected, observed, n))
    frame = pd.DataFrame(rows, columns=["minute", "channel", "expected", "observed", "n"])
    p = np.minimum(frame["expected"] / np.maximum(frame["n"], 1), 0.98)
    half = 1.96 * np.sqrt(frame["expected"] * (1 - p) * dispersion[case.watched]) + 0.5
    frame["low"], frame["high"] = np.maximum(frame["expected"] - half, 0.0), frame["expected"] + half
    return frame.astype({"n": "int64"})


def restored(told: Incident, minute: Callable[[datetime], int], mask: Bools) -> Case:
    """An incident of an earlier process, taken over where it stood."""
    case = Case(
        id=told.id,
        watched=SERIES[told.channel],
        scope=dict(told.scope),
        mask=mask,
        quiet=mask.copy(),
        onset=minute(told.onset),
        detected=minute(told.detected_at) - 1,
        kind=told.kind,
        channel=told.channel,
        confidence=told.confidence,
        codes=told.codes,
        normal=told.normal,
        before=told,
        heard=minute(told.updated_at) - 1,
    )
    if told.resolved_at is not None:
        case.resolved, case.closed_at = minute(told.resolved_at), minute(told.updated_at) - 1
    case.start_count(len(mask), WIDTH)
    return case
