"""What went wrong in the simulated past, so that a reader of the charts can look it up."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sandbox.world import NAMED_FAULTS, Fault


def _named(name: str) -> Fault:
    return NAMED_FAULTS[name].fault


_INCIDENTS = (
    # days before the end, time of that day in UTC, length, what; each large enough to be found at the demo's volume
    (12, timedelta(hours=8, minutes=5), timedelta(minutes=70), _named("receipts-stop")),
    (9, timedelta(hours=11, minutes=20), timedelta(minutes=95), _named("carrier-drop")),
    (6, timedelta(hours=9, minutes=40), timedelta(minutes=80), _named("template-blocked")),
    (5, timedelta(hours=2, minutes=30), timedelta(minutes=60), _named("verification-broken")),
    (3, timedelta(hours=13, minutes=10), timedelta(minutes=45), replace(_named("provider-outage"), provider="cumulus")),
    (
        1,
        timedelta(hours=12, minutes=25),
        timedelta(minutes=55),
        replace(_named("black-hole"), provider="aurora", country="CN"),
    ),
)


def past_incidents(*, end: datetime, days: int) -> tuple[Fault, ...]:
    """The incidents of a history of so many days that ends at `end`, oldest first."""
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    found = [
        replace(fault, start=midnight - timedelta(days=ago) + time, end=midnight - timedelta(days=ago) + time + length)
        for ago, time, length, fault in _INCIDENTS
    ]
    return tuple(fault for fault in found if fault.start > end - timedelta(days=days))
