"""A small world told in counts: so many verifications of a channel, so many accepted, delivered and approved."""

from __future__ import annotations

from core.events import Event
from tests.metrics.story import Request, all_of

DAY_SECONDS = 86_400


def crowd(
    name: str, *, sent: int, accepted: int, delivered: int, approved: int, days: int = 0, hours: float = 0, **names: str
) -> list[Event]:
    """`sent` verifications, a second apart, `days` and `hours` from the beginning of the story.

    Of the accepted ones the first were delivered 5 s later, of these the first approved; the accepted rest failed.
    """
    told = []
    for index in range(sent):
        request = Request(f"{name}-{days}-{index}", seconds=days * DAY_SECONDS + hours * 3600 + index, **names)
        request.sent("accepted" if index < accepted else "rejected")
        if index < accepted:
            request.receipt("delivered" if index < delivered else "failed", 5)
        if index < approved:
            request.check("approved", 20)
        told.append(request)
    return sorted(all_of(*told), key=lambda event: event.kind)  # few inserts instead of hundreds
