"""All guards as the one thing that a send asks, and the instances' common words for their counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from core.numbers import Number
from core.settings.sending import Limits as LimitsSettings
from service.facts import Request
from service.guards.exchange import Left
from service.guards.pumping import PumpingGuard
from service.guards.quotas import WINDOW_SECONDS, Quotas, Subject

_QUOTA, _PUMPING = "quota:", "pumping:"


class Guards:
    """Asked before a code is sent for a number; told of what was sent and approved."""

    def __init__(
        self,
        settings: LimitsSettings,
        *,
        timer: Callable[[], float],
        random: Random,
        digest: Callable[[str], str],
    ) -> None:
        self._digest = digest
        self._quotas = Quotas(settings, timer=timer)
        self._pumping = PumpingGuard(settings, timer=timer, random=random)

    def subject(self, *, app: str, number: Number, client_address: str = "") -> Subject:
        """Whom a code is for. Raises `AddressUnreadable`."""
        return Subject.of(app=app, number=number, client_address=client_address, digest=self._digest)

    def take(self, subject: Subject, number: Number) -> None:
        """Count a code that is about to be sent. Raises `TooManySends`; then nothing was counted."""
        self._pumping.require_unsuspected(country=number.country, carrier=number.carrier)
        self._quotas.take(subject)

    def sent(self, request: Request) -> None:
        """The first code of a verification is on its way."""
        self._pumping.sent(request)

    def approved(self, request: Request, *, age_seconds: float) -> None:
        """A verification was approved."""
        self._pumping.approved(request, age_seconds=age_seconds)

    def to_tell(self) -> Mapping[str, str]:
        """Counts for the other instances, as text by key."""
        quotas = {f"{_QUOTA}{key}": str(count) for key, count in self._quotas.loud().items()}
        pumping = {
            f"{_PUMPING}{group}": f"{sent} {approved}" for group, (sent, approved) in self._pumping.counts().items()
        }
        return quotas | pumping

    def hear(self, elsewhere: Mapping[str, list[Left]]) -> None:
        """Counts of the other instances under those keys; what cannot be read counts nothing."""
        self._quotas.hear(
            {
                key.removeprefix(_QUOTA): _summed(left, parts=1)[0]
                for key, left in elsewhere.items()
                if key.startswith(_QUOTA)
            }
        )
        pumping = {key: _summed(left, parts=2) for key, left in elsewhere.items() if key.startswith(_PUMPING)}
        self._pumping.hear({key.removeprefix(_PUMPING): (sent, approved) for key, (sent, approved) in pumping.items()})


def _summed(left: list[Left], *, parts: int) -> list[int]:
    """The sums of counts of so many parts. One that is no longer renewed fades as the hour passes that it was counted in:
    kept as it was, the count of an instance that ended would be held against the next one for as long as that runs.
    """
    rows = [(row.text.split(), max(0.0, 1.0 - row.age_seconds / WINDOW_SECONDS)) for row in left]
    good = [(texts, share) for texts, share in rows if len(texts) == parts and all(text.isdecimal() for text in texts)]
    return [round(sum(int(texts[part]) * share for texts, share in good)) for part in range(parts)]
