"""The sign of a pumping attack: codes go out to a country's network in number, and hardly any is entered.

An outage of the network looks the same from here, so by default the guard only counts and warns; `metrics.detection`
tells the two apart by the volume. Told to refuse, it lets one in ten through, so that a recovery can be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import structlog

from core.settings.sending import Limits as LimitsSettings
from service.errors import TooManySends
from service.facts import Request
from service.guards.windows import SlidingCounts

_log = structlog.get_logger(__name__)

_WINDOW_SECONDS = 3600.0
_MATURE_SECONDS = 600.0
"""A code younger than this may still be entered."""
_GROUPS_MAX = 5_000
_LET_THROUGH = 0.1


class PumpingGuard:
    """Sent and approved by (country, carrier), over the last hour but its newest ten minutes."""

    def __init__(self, settings: LimitsSettings, *, timer: Callable[[], float], random: Random) -> None:
        self._settings = settings
        self._random = random
        self._sent = SlidingCounts(window_seconds=_WINDOW_SECONDS, keys_max=_GROUPS_MAX, timer=timer)
        self._approved = SlidingCounts(window_seconds=_WINDOW_SECONDS, keys_max=_GROUPS_MAX, timer=timer)
        self._elsewhere: dict[str, tuple[int, int]] = {}
        self._warned: set[str] = set()

    def require_unsuspected(self, *, country: str, carrier: str) -> None:
        """Raise `TooManySends` when the settings refuse sends to a suspected network."""
        group = _group(country, carrier)
        if not self.is_suspected(group):
            self._warned.discard(group)
            return
        if group not in self._warned:
            self._warned.add(group)
            _log.warning("few codes are entered", network=group, refuse=self._settings.refuse_suspected_pumping)
        if self._settings.refuse_suspected_pumping and self._random.random() >= _LET_THROUGH:
            raise TooManySends(
                "hardly any code sent to this network is entered", retry_after_seconds=_WINDOW_SECONDS / 12
            )

    def sent(self, request: Request) -> None:
        """A first code went out."""
        self._sent.add(_group(request.country, request.carrier))

    def approved(self, request: Request, *, age_seconds: float) -> None:
        """A verification that was begun `age_seconds` ago was approved."""
        self._approved.add(_group(request.country, request.carrier), age_seconds=age_seconds)

    def is_suspected(self, group: str) -> bool:
        """Whether enough codes went to it, and too few were entered."""
        sent, approved = self._mature(group)
        more_sent, more_approved = self._elsewhere.get(group, (0, 0))
        sent, approved = sent + more_sent, approved + more_approved
        return sent >= self._settings.pumping_codes_min and approved < self._settings.pumping_approved_share * sent

    def counts(self) -> dict[str, tuple[int, int]]:
        """Sent and approved by group, for the other instances: a check may be made elsewhere than its send."""
        groups = {group for group, _ in self._sent.items()} | {group for group, _ in self._approved.items()}
        return {group: self._mature(group) for group in groups}

    def hear(self, elsewhere: dict[str, tuple[int, int]]) -> None:
        """What the other instances counted."""
        self._elsewhere = elsewhere

    def _mature(self, group: str) -> tuple[int, int]:
        return (
            self._sent.count(group, older_than_seconds=_MATURE_SECONDS),
            self._approved.count(group, older_than_seconds=_MATURE_SECONDS),
        )


def _group(country: str, carrier: str) -> str:
    return f"{country}/{carrier}"
