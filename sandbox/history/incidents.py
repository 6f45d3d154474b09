"""What went wrong in the simulated past, so that a reader of the charts can look it up."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sandbox.world import NAMED_FAULTS, Fault

_CUMULUS_OUT = replace(NAMED_FAULTS["provider-outage"].fault, provider="cumulus")
_INCIDENTS = (
    # days before the end, time of that day in UTC, length, what
    (9, timedelta(hours=11, minutes=20), timedelta(minutes=95), NAMED_FAULTS["carrier-drop"].fault),
    (3, timedelta(hours=13, minutes=10), timedelta(minutes=45), _CUMULUS_OUT),
)


def past_incidents(*, end: datetime, days: int) -> tuple[Fault, ...]:
    """The incidents of a history of so many days that ends at `end`, oldest first."""
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    found = [
        replace(fault, start=midnight - timedelta(days=ago) + time, end=midnight - timedelta(days=ago) + time + length)
        for ago, time, length, fault in _INCIDENTS
    ]
    return tuple(fault for fault in found if fault.start > end - timedelta(days=days))
