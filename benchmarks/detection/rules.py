"""Two rules that others use, on the same counts: a fixed threshold, and the hour against the same hour of seven days.

Both watch the groups of `SLICES` and every ratio, say what they see in words of that ratio, and close what has been well
for a cool-down. Neither joins what it sees in several groups: that is what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.detection.alerts import Alert
from benchmarks.detection.windows import Window, windows

_DAYS = 7
_DAY = 1440


@dataclass(frozen=True)
class FixedThreshold:
    """Every minute: of the messages submitted 20 to 5 minutes ago, is the share that went well below a fixed value?

    After the alarm of GOV.UK Notify: fifteen minutes, once they are five minutes old, with a cool-down. The thresholds lie
    a good ten points below the ratio of the whole world, as somebody would set them who wants to be told early.
    """

    least: int = 60
    below: Mapping[str, float] = field(default_factory=lambda: THRESHOLDS)
    cooldown_minutes: int = 15

    def __call__(self, attempts: pd.DataFrame, *, start: datetime, end: datetime) -> list[Alert]:
        """Its alerts; nothing is learnt from the time before `start`."""
        recent = attempts[attempts.submitted_at >= _naive(start - timedelta(hours=1))]
        found: list[Alert] = []
        minutes = int((end - start) / timedelta(minutes=1))
        for window in windows(recent, origin=start, minutes=minutes, youngest=5, oldest=20):
            threshold = self.below[window.measure.name]
            bad = (window.base >= self.least) & (window.good < threshold * window.base)
            lost = (window.base - window.good) / 15.0
            found += _alerts(window, bad, lost, start, cooldown=self.cooldown_minutes)
        return sorted(found, key=_moment)


THRESHOLDS: Mapping[str, float] = {
    "third_party_success_rate": 0.90,
    "receipt_rate": 0.85,
    "delivery_rate": 0.80,
    "fill_rate": 0.55,
    "verification_success_rate": 0.80,
    "on_time_rate": 0.70,
}


@dataclass(frozen=True)
class SameHour:
    """Plivo's rule: every 15 minutes, the last 60 against the mean of the same hour of seven days, from 100 messages on.

    `fall` is how far below that mean, as a share of it, is an alarm.
    """

    least: int = 100
    fall: float = 0.15
    every_minutes: int = 15

    def __call__(self, attempts: pd.DataFrame, *, start: datetime, end: datetime) -> list[Alert]:
        """Its alerts; the seven days before each hour must be among the attempts."""
        origin = start - timedelta(days=_DAYS)
        recent = attempts[attempts.submitted_at >= _naive(origin - timedelta(hours=2))]
        minutes = int((end - origin) / timedelta(minutes=1))
        found: list[Alert] = []
        for window in windows(recent, origin=origin, minutes=minutes, youngest=0, oldest=60):
            usual = _same_hour(window)
            base, good = window.base[:, _DAYS * _DAY :], window.good[:, _DAYS * _DAY :]
            looked = np.arange(base.shape[1]) % self.every_minutes == 0
            with np.errstate(invalid="ignore"):
                bad = looked & (base >= self.least) & (good < (1 - self.fall) * usual * base)
                lost = np.nan_to_num(usual * base - good) / 60
            seen = bad[:, looked].repeat(self.every_minutes, axis=1)[:, : base.shape[1]]
            found += _alerts(window, seen, lost, start, cooldown=self.every_minutes)
        return sorted(found, key=_moment)


def _same_hour(window: Window) -> NDArray[np.float64]:
    """The mean ratio of the same hour on the seven days before, for every minute after those days."""
    days = range(1, _DAYS + 1)
    shifted = [slice(_DAYS * _DAY - day * _DAY, window.base.shape[1] - day * _DAY) for day in days]
    good = sum(window.good[:, part] for part in shifted)
    base = sum(window.base[:, part] for part in shifted)
    return np.asarray(np.where(base > 0, good / np.maximum(base, 1), np.nan), dtype=np.float64)


def _alerts(
    window: Window, bad: NDArray[np.bool_], lost: NDArray[np.float64], start: datetime, *, cooldown: int
) -> Iterator[Alert]:
    """An incident a stretch of bad minutes, two alerts each: opened and resolved."""
    for row in np.flatnonzero(bad.any(axis=1)).tolist():
        scope = window.scopes[row]
        for first, last in _stretches(np.flatnonzero(bad[row]), cooldown):
            began, ended = (start + timedelta(minutes=minute) for minute in (first, last + cooldown))
            told = Alert(
                detected_at=began,
                incident_id=f"{window.measure.name} {scope} {began:%d %H:%M}",
                kind=window.measure.kind,
                metric=window.measure.name,
                scope=scope,
                onset=began,
                affected=float(lost[row, first]),
            )
            yield told
            yield _resolved(told, ended, float(lost[row, first : last + 1].sum()))


def _resolved(told: Alert, at: datetime, affected: float) -> Alert:
    return Alert(
        detected_at=told.detected_at,
        incident_id=told.incident_id,
        kind=told.kind,
        metric=told.metric,
        scope=told.scope,
        onset=told.onset,
        resolved_at=at,
        affected=affected,
    )


def _stretches(minutes: NDArray[np.intp], cooldown: int) -> Iterator[tuple[int, int]]:
    """First and last of minutes that lie no further apart than the cool-down."""
    for part in np.split(minutes, np.flatnonzero(np.diff(minutes) > cooldown) + 1):
        yield int(part[0]), int(part[-1])


def _moment(alert: Alert) -> tuple[datetime, str, bool]:
    return alert.resolved_at or alert.detected_at, alert.incident_id, alert.resolved_at is not None


def _naive(at: datetime) -> pd.Timestamp:
    return pd.Timestamp(at).tz_localize(None)
