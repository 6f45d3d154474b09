"""A fault under watch: what is known of it, whether it still lasts, and what it cost. The mutable side of an `Incident`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from metrics.detection.channels import columns
from metrics.detection.evidence import TALLIES, Minute
from metrics.detection.incidents import Channel, Incident, Kind, LeadingCode
from metrics.detection.leaves import Bools, Floats

LOOKS = (4, 9, 20, 45, 90)
"""Minutes after detection at which the scope is looked at again."""
REOPENS_MINUTES = 25
LINGERS_MINUTES = 15
"""How long after its end a fault's cohorts still speak of it."""
_WELL_AGAIN = 6.0
_BACK_AGAIN = 9.0
_STEP = 60.0
SILENT = "it went silent: nothing was sent there for a day"
SILENT_MINUTES = 24 * 60
"""With nothing sent in its scope for so long nobody can say any more whether a fault lasts."""


@dataclass
class Case:
    """Minutes count from 1970. `mask` are the leaves of its scope, `quiet` those whose alarms it explains besides."""

    id: str
    watched: int
    scope: dict[str, tuple[str, ...]]
    mask: Bools
    quiet: Bools
    onset: int
    detected: int
    kind: Kind = "delivery-drop"
    channel: Channel = "delivered"
    resolved: int | None = None
    confidence: float = 0.0
    tally: Floats = field(default_factory=lambda: np.zeros((0, TALLIES)))
    volume: Floats = field(default_factory=lambda: np.zeros((0, 3)))
    usual: Floats = field(default_factory=lambda: np.zeros(0))
    ratio: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    codes: tuple[LeadingCode, ...] = ()
    normal: tuple[str, ...] = ()
    before: Incident | None = None
    """As it was told when this process took it over; what is counted here comes on top of it."""
    people_per_message: float = 1.0
    late_share: float = 1.0
    """Of the messages short of receipts within a minute, those that were late: what comes within a minute spans two."""
    heard: int = 0
    """The last minute in which anything of its scope came."""
    _level: float = 0.0
    _turned: int = 0
    closed_at: int | None = None

    @property
    def open(self) -> bool:
        return self.resolved is None

    def lingers(self, minute: int) -> bool:
        """Whether its leaves still speak of it."""
        return self.closed_at is None or minute < self.closed_at + LINGERS_MINUTES

    def may_reopen(self, minute: int) -> bool:
        """Whether the same thing again would be no news."""
        return self.closed_at is not None and minute < self.closed_at + REOPENS_MINUTES

    def is_due(self, minute: int) -> bool:
        """Whether its scope is to be looked at again."""
        return minute - self.detected in LOOKS

    def start_count(self, leaves: int, width: int) -> None:
        """Begin counting, for this many leaves."""
        self.tally, self.volume = np.zeros((leaves, TALLIES)), np.zeros((leaves, 3))
        self.usual, self.ratio = np.zeros(leaves), np.zeros((leaves, width))

    def count(self, one: Minute, usual: Floats) -> None:
        """Add a minute to what it cost."""
        self.tally[one.leaf] += one.tally
        self.volume[one.leaf] += one.volume
        self.ratio[one.leaf] += one.ratio
        self.usual[: len(usual)] += usual

    def grow(self, leaves: int, inside: Bools) -> None:
        """Make room for new leaves."""
        more = leaves - len(self.mask)
        if more > 0:
            self.mask = np.concatenate([self.mask, inside[-more:]])
            self.quiet = np.concatenate([self.quiet, inside[-more:]])
        more = leaves - len(self.tally)
        if more > 0:
            self.tally, self.volume, self.ratio = (
                np.vstack([table, np.zeros((more, table.shape[1]))]) for table in (self.tally, self.volume, self.ratio)
            )
            self.usual = np.concatenate([self.usual, np.zeros(more)])

    def went_silent(self, minute: int) -> bool:
        """Whether nothing has come from its scope for a day: its traffic was moved away, say."""
        return self.open and minute - max(self.heard, self.detected) >= SILENT_MINUTES

    def watch(self, one: Minute) -> bool:
        """Follow whether it lasts: true when it has just ended, or, after its end, just come back."""
        if one.volume[self.mask[one.leaf]].any():
            self.heard = one.minute
        told = self._says(one.young[self.mask[one.leaf]])
        step = -told if self.open else told
        if self._level == 0.0:
            self._turned = one.minute
        self._level = max(0.0, self._level + step)
        return self._level >= (_WELL_AGAIN if self.open else _BACK_AGAIN)

    def _says(self, young: Floats) -> float:
        """The evidence of a minute for a fault such as this one: under each alternative, as far as it fits what was seen.

        One alternative alone ends a weak fault too soon: it is half of what a total one would be.
        """
        so_far = self.ratio[self.mask, columns(self.watched)].sum(axis=0)
        fits = np.exp(so_far - so_far.max())
        told = np.clip(young[:, columns(self.watched)].sum(axis=0), -_STEP, _STEP)
        return float(np.log((fits * np.exp(told)).sum() / fits.sum()))

    def end(self, minute: int) -> None:
        """It has ended, at the minute from which all was well."""
        self.resolved, self.closed_at = max(self._turned, self.onset + 1), minute
        self._level = 0.0

    def fall_silent(self, minute: int) -> None:
        """Nothing is known of it any more: over since the last that was heard of it."""
        self.normal = (SILENT,)
        self.resolved, self.closed_at = max(self.heard, self.onset) + 1, minute
        self._level = 0.0

    def reopen(self) -> None:
        """It is back."""
        self.resolved, self.closed_at = None, None
        self._level = 0.0
