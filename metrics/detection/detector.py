"""The detector: takes what arrived minute by minute, and tells what broke, where, since when, and when it was well again.

All state is in the object; the same cells in the same minutes give the same notices, live or replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import numpy as np
import pandas as pd

from metrics.detection import explaining
from metrics.detection.baseline import AGE_MAX, Aside, Baseline, History, fit, follow
from metrics.detection.cases import LINGERS_MINUTES, Case
from metrics.detection.cells import Cells
from metrics.detection.channels import PATIENCE, WATCHED, WIDTH, columns
from metrics.detection.codes import Codes, NoCodes
from metrics.detection.evidence import T_REC, Cohorts, Minute, Odds, judge
from metrics.detection.incidents import Incident, Notification
from metrics.detection.leaves import Bools, Floats, Leaves, Slices
from metrics.detection.people import NobodyKnown, People
from metrics.detection.scan import Found, join, one_feed, onset, scan, score_of, totals
from metrics.detection.sequential import Sequential, seen_ratio

REMEMBERED_MINUTES = 360
_REFITS = 14
"""The baseline is fitted anew when its hours have grown by this part: once a day with two weeks of history, every six hours at the least."""
_ALARMS_A_MINUTE = 4
_JOINS_MINUTES = 9
"""Only then are several values of a dimension taken for one scope: before, chance makes neighbours look ill."""
_STILL = 0.5
_SILENT, _FLUSHING, _STALLS_MINUTES = 0.2, 1.25, 3
"""Receipts of a feed that came in a minute, of those due in it: fewer than the first in a stall, more than the second when
it ends. It lies in so many minutes; in the first it is half a minute, and looks like a fault of half the depth."""
_ILL_BEFORE = 3.0
"""Evidence from before this minute, without which the first minute of a stall cannot be told from a fault."""
_CLEAR, _CLEAR_SLOW, _SLOW_MINUTES = 8.0, 12.0, 120
"""Evidence in one place, after its price, below which an alarm is noise of many slices; more of it when it took hours to
gather, as a rate that strays by a point or two does. On two weeks of drills false alarms had 4 to 10, faults 9 and more."""
_LEARNS_HOURS = 24
"""With fewer hours of history nothing can be called usual, and nothing unusual."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Tuning:
    """What may be set: tolerated false alarms a day for everything together, and the days a baseline is made of."""

    false_alarms_per_day: float = 0.5
    baseline_days: int = 14


@dataclass
class Detector:
    """Feed it the history once, then every minute once, in order."""

    leaves: Leaves
    tuning: Tuning = Tuning()
    codes: Codes = field(default_factory=NoCodes)
    people: People = field(default_factory=NobodyKnown)

    def __post_init__(self) -> None:
        self.history = History(self.leaves, self.tuning.baseline_days)
        self.slices = Slices(self.leaves)
        self.cases: list[Case] = []
        self.minutes: deque[Minute] = deque(maxlen=REMEMBERED_MINUTES)
        self.aside: Sequence[Aside] = ()
        self.baseline: Baseline | None = None
        self._sequential = Sequential(self.slices)
        self._cohorts = Cohorts()
        self._odds: Odds | None = None
        self._hour = -1
        self._fitted_hour = -(10**9)
        self._refit_hours = 1
        self._waiting: deque[Cells] = deque()

    def learn(self, cells: Cells) -> None:
        """Take in history, of which the baseline is made. Cells of the last hour also are the cohorts now outstanding."""
        self.history.add(cells)

    def minute(self, minute: int, cells: Cells, *, quiet: bool = False) -> list[Notification]:
        """Judge one minute: `cells` are what was seen in it. `quiet` takes it in and judges nothing."""
        self._prepare(minute)
        self._cohorts.take(minute, cells, len(self.leaves))
        self._waiting.append(cells)
        assert self._odds is not None
        now = judge(minute, self._cohorts, self._odds)
        self.minutes.append(now)
        for case in self.cases:
            if case.open and not quiet:
                case.count(now, self._usual())
        self._sequential.step(minute, self.slices.sums(now.leaf, seen_ratio(now, self._hidden(minute))))
        if quiet:
            return []
        followed = self._follow(minute, now)
        return followed if self._still_learns() else [*followed, *self._alarms(minute)]

    def _still_learns(self) -> bool:
        return len({hour for hour, _, _ in self.history.hours}) < _LEARNS_HOURS

    # What is usual

    def _prepare(self, minute: int) -> None:
        hour = minute // 60
        if hour != self._hour:
            self._settle(hour)
        if hour - self._fitted_hour >= self._refit_hours:
            self.history.forget(hour - 24 * self.tuning.baseline_days)
            self.baseline = fit(self.history, hour)
            self._fitted_hour = hour
            known = len({one for one, _, _ in self.history.hours})
            self._refit_hours = min(max(known // _REFITS, 6), 24)
            self._odds = None
        assert self.baseline is not None
        if self.baseline.rate.shape[1] < len(self.leaves):
            self.baseline.grow(self.leaves)
            self._odds = None
        moved = self.slices.grow()
        if moved is not None:
            self._sequential.grow(moved)
            for case in self.cases:
                case.grow(len(self.leaves), self.leaves.inside(case.scope))
        if moved is not None or self._odds is None:
            traffic = self.slices.sums(np.arange(len(self.leaves)), self.baseline.volume.mean(axis=0)[:, None])
            self._sequential.tolerate(self.tuning.false_alarms_per_day, traffic[:, 0])
        if self._odds is None or hour != self._hour:
            follow(self.baseline, self.history, hour)
            self._odds = Odds(self.baseline, hour % 24)
        self._hour = hour

    def _settle(self, hour: int) -> None:
        """Move cohorts that have settled into the history, but for those of incidents."""
        if not self._waiting:
            return
        all_of = Cells.joined(self._waiting)
        settled = all_of.cohort < hour * 60 - AGE_MAX
        ill = np.zeros(len(all_of), dtype=bool)
        for case in self.cases:
            end = case.resolved if case.resolved is not None else 2**62
            ill |= case.mask[all_of.leaf] & (all_of.cohort >= case.onset - 2) & (all_of.cohort <= end + 1)
        for one in self.aside:
            within = (all_of.cohort >= one.first) & (all_of.cohort < one.end)
            ill |= within & self.leaves.inside(one.scope)[all_of.leaf]
        self.history.add(all_of[settled & ~ill])
        self._waiting = deque([all_of[~settled]])

    def _usual(self) -> Floats:
        assert self.baseline is not None
        usual: Floats = self.baseline.volume[self._hour % 24]
        return usual

    def _hidden(self, minute: int, but: Case | None = None) -> Bools:
        hidden = np.zeros((len(self.leaves), len(WATCHED)), dtype=bool)
        for case in self.cases:
            if case is not but and case.lingers(minute):
                hidden |= case.quiet[:, None] & explaining.shadowed(case.watched)
        return hidden

    # What becomes of faults

    def _follow(self, minute: int, now: Minute) -> list[Notification]:
        told = []
        for case in self.cases:
            if case.open and case.is_due(minute):
                told += self._look(case, minute)
            if case.open and case.watch(now):
                case.end(minute)
                self._count_people(case, minute)
                told.append(self._tell("resolved", case, minute))
            elif case.went_silent(minute):
                case.fall_silent(minute)
                told.append(self._tell("resolved", case, minute))
            elif not case.open and case.may_reopen(minute) and case.watch(now):
                case.reopen()
                told.append(self._tell("reopened", case, minute))
        self.cases = [case for case in self.cases if case.open or minute - (case.closed_at or 0) < 24 * 60]
        return told

    def _look(self, case: Case, minute: int) -> list[Notification]:
        """Look again where it is and what it is; tell when that changed."""
        before = (case.scope, case.kind)
        table = self._table(case.watched, case.onset, minute, but=case)
        found = scan(self.slices, table, case.watched)
        mine = score_of(self.leaves, table, case.watched, case.scope)
        if found.score > max(mine + 1.0, _CLEAR):
            self._settle_on(case, self.slices.scope(found.slice), found)
        joined = join(self.leaves, table, case.watched, case.scope, found.alternative)
        if joined is not None and minute - case.detected >= _JOINS_MINUTES:
            self._settle_on(case, joined.scope, found)
        self._explain(case, minute)
        return [self._tell("updated", case, minute)] if (case.scope, case.kind) != before else []

    def _where(self, watched: int, first: int, minute: int, but: Case | None) -> Found:
        return scan(self.slices, self._table(watched, first, minute, but), watched)

    def _table(self, watched: int, first: int, minute: int, but: Case | None) -> Floats:
        """What every leaf has said since `first`, without what other faults explain."""
        hidden = self._hidden(minute, but)[:, watched]
        table = totals(self.minutes, first, len(self.leaves), WIDTH)
        table[hidden] = 0.0
        for case in self.cases:  # of leaves of a fault that is over only what came after it counts
            if case is not but and case.closed_at is not None and case.closed_at + LINGERS_MINUTES > first:
                later = totals(self.minutes, case.closed_at + LINGERS_MINUTES, len(self.leaves), WIDTH)
                table[case.mask] = later[case.mask]
        return table

    def _settle_on(self, case: Case, scope: dict[str, tuple[str, ...]], found: Found) -> None:
        case.scope = scope
        case.mask = self.leaves.inside(case.scope)
        case.quiet = case.quiet | case.mask
        case.confidence = found.score
        self._forget(case)

    def _forget(self, case: Case, *places: int) -> None:
        """Take the evidence that this case explains out of all slices, and out of those whose alarm it was."""
        touched = np.unique(np.append(self.slices.members[case.quiet], np.array(places, dtype=np.int64)))
        self._sequential.forget(touched[touched < len(self.slices)])

    # What is new

    def _alarms(self, minute: int) -> list[Notification]:
        told: list[Notification] = []
        for _ in range(_ALARMS_A_MINUTE):
            places, watched, level = self._sequential.standing(minute)
            for top in np.argsort(-level)[:_ALARMS_A_MINUTE]:
                place, series = int(places[top]), int(watched[top])
                if self._is_due(place, series, minute):
                    told += self._alarm(place, series, minute)
                    break  # what it explains is no alarm any more
            else:
                break
        return told

    def _is_due(self, place: int, watched: int, minute: int) -> bool:
        """Whether it is no stall: because it is not of one feed, or receipts come all the while, or it lasts when stalls have healed."""
        if PATIENCE[watched] == 0:
            return True
        held = self.leaves.inside(self.slices.scope(place))
        alternative = self._sequential.alternative(place, watched)
        healed = self._sequential.since(place, watched) + int(PATIENCE[watched])
        lasts = minute >= healed
        if lasts and not self._still_ill(held, columns(watched).start + alternative, healed):
            return False
        began = self._onset(held, watched, alternative, minute)
        table = self._table(watched, began, minute, but=None)
        found = scan(self.slices, table, watched)
        where = self.leaves.inside(self.slices.scope(found.slice))
        feed = one_feed(self.leaves, table, watched, where, found.alternative)
        if feed is None:
            return True
        column = columns(watched).start + found.alternative
        if lasts:
            return self._flow(feed, self.minutes[-1]) < _FLUSHING and self._still_ill(where, column, healed)
        now = self.minutes[-1]
        before = float(table[where, column].sum() - now.ratio[where[now.leaf], column].sum())
        return before > _ILL_BEFORE and self._comes(feed, max(began, minute - _STALLS_MINUTES))

    def _comes(self, feed: Bools, first: int) -> bool:
        """Whether some receipts of a feed came in every minute since `first`, and not those of a stall that has just ended."""
        flows = [self._flow(feed, one) for one in self.minutes if one.minute >= first]
        return min(flows) > _SILENT and flows[-1] < _FLUSHING

    def _still_ill(self, held: Bools, column: int, first: int) -> bool:
        """Whether the youngest cohorts say so, of late and in all since a stall would have healed."""
        young = [float(one.young[held[one.leaf], column].sum()) for one in self.minutes if one.minute >= first]
        return young[-1] > 0 and sum(young) > _STILL

    def _flow(self, feed: Bools, one: Minute) -> float:
        """The receipts of a feed that came in a minute, of those due in it."""
        due, came = one.tally[feed[one.leaf], 2 * T_REC : 2 * T_REC + 2].sum(axis=0)
        return float(came / due) if due > 0 else 0.0

    def _alarm(self, place: int, watched: int, minute: int) -> list[Notification]:
        held = self.leaves.inside(self.slices.scope(place))
        began = self._onset(held, watched, self._sequential.alternative(place, watched), minute)
        known = self._known(held, watched, began, minute)
        found = self._where(watched, min(began, known.onset) if known else began, minute, but=known)
        scope = self.slices.scope(found.slice)
        mask = self.leaves.inside(scope)
        if known is not None and self._alike(known.mask, mask) >= (0.1 if known.open else 0.5):
            return self._widen(known, found, place, minute)
        if known is not None:
            found = self._where(watched, began, minute, but=None)
            scope = self.slices.scope(found.slice)
            mask = self.leaves.inside(scope)
        if found.score < (_CLEAR if minute - began < _SLOW_MINUTES else _CLEAR_SLOW):
            self._sequential.forget(np.array([place]))
            return []
        began = self._onset(mask, watched, found.alternative, minute)
        case = Case(
            id=_id(watched, scope, began),
            watched=watched,
            scope=scope,
            mask=mask,
            quiet=mask.copy(),
            onset=began,
            detected=minute,
            confidence=found.score,
        )
        self.cases.append(case)
        self._recount(case)
        self._explain(case, minute)
        self._forget(case, place)
        return [self._tell("opened", case, minute)]

    def _known(self, held: Bools, watched: int, began: int, minute: int) -> Case | None:
        """A fault under watch of which the alarm is another sight: much of its traffic in common, at about the same time."""
        usual = self._usual() + 1e-9
        for case in self.cases:
            both = float(usual[held & case.mask].sum())
            shared = both / min(float(usual[held].sum()), float(usual[case.mask].sum()))
            same_time = case.open and abs(began - case.onset) <= 30
            related = bool((explaining.shadowed(case.watched) & explaining.shadowed(watched)).any())
            if shared >= 0.5 and related and (same_time or (case.may_reopen(minute) and not case.open)):
                return case
        return None

    def _alike(self, one: Bools, other: Bools) -> float:
        """The part of the usual traffic of two scopes that they have in common (Jaccard)."""
        usual = self._usual() + 1e-9
        return float(usual[one & other].sum() / usual[one | other].sum())

    def _widen(self, case: Case, found: Found, place: int, minute: int) -> list[Notification]:
        before, was_open = case.scope, case.open
        if not was_open:
            case.reopen()
        if found.score > case.confidence:
            self._settle_on(case, self.slices.scope(found.slice), found)
        self._forget(case, place)
        self._explain(case, minute)
        if not was_open:
            return [self._tell("reopened", case, minute)]
        return [self._tell("updated", case, minute)] if case.scope != before else []

    def _onset(self, held: Bools, watched: int, alternative: int, minute: int) -> int:
        began = onset(self.minutes, held, watched, alternative)
        over = [
            (case.closed_at or 0) + LINGERS_MINUTES
            for case in self.cases
            if not case.open and not case.lingers(minute) and bool((case.mask & held).any())
        ]
        # what a fault that is over has left in the memory is no evidence of the next one
        return max(began, minute - REMEMBERED_MINUTES, *over)

    def _recount(self, case: Case) -> None:
        case.start_count(len(self.leaves), WIDTH)
        for one in self.minutes:
            if one.minute >= case.onset:
                case.count(one, self._usual())

    def _explain(self, case: Case, minute: int) -> None:
        explaining.explain(case, self.leaves, self.codes, start=moment(case.onset), now=moment(minute + 1))
        self._count_people(case, minute)

    def _count_people(self, case: Case, minute: int) -> None:
        end = minute + 1 if case.resolved is None else max(case.resolved, case.onset + 1)
        explaining.count_people(case, self.people, start=moment(case.onset), end=moment(end), now=moment(minute + 1))

    def _tell(self, event: explaining.Told, case: Case, minute: int) -> Notification:
        return Notification(event, self.incident(case, minute), moment(minute + 1))

    def incident(self, case: Case, minute: int) -> Incident:
        """The case as it stands after that minute."""
        return explaining.incident(case, minute, moment)

    def evidence(self, case: Case) -> pd.DataFrame:
        """The chart of a case: what a good day would have brought, and what came."""
        assert self.baseline is not None
        return explaining.evidence(case, self.minutes, self.baseline.dispersion, moment)

    def restore(self, incidents: Iterable[Incident]) -> None:
        """Take over incidents of an earlier process: open ones, and those that may come back."""
        for one in incidents:
            self.cases.append(
                explaining.restored(one, lambda at: int(at.timestamp() // 60), self.leaves.inside(one.scope))
            )


def moment(minute: int) -> datetime:
    """The beginning of a minute."""
    return _EPOCH + timedelta(minutes=minute)


def _id(watched: int, scope: dict[str, tuple[str, ...]], began: int) -> str:
    told = f"{WATCHED[watched].channel}\0{sorted(scope.items())}\0{began}"
    return blake2b(told.encode(), digest_size=6).hexdigest()
