"""All guards as the one thing that a send asks, and the instances' common words for their counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from core.numbers import Number
from core.settings.sending import Limits as LimitsSettings
from service.facts import Request
from service.guards.pumping import PumpingGuard
from service.guards.quotas import Quotas, Subject

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

    def hear(self, elsewhere: Mapping[str, list[str]]) -> None:
        """Counts of the other instances under those keys; what cannot be read counts nothing."""
        self._quotas.hear(
            {
                key.removeprefix(_QUOTA): sum(int(text) for text in texts if text.isdigit())
                for key, texts in elsewhere.items()
                if key.startswith(_QUOTA)
            }
        )
        self._pumping.hear(
            {key.removeprefix(_PUMPING): _summed(texts) for key, texts in elsewhere.items() if key.startswith(_PUMPING)}
        )


def _summed(texts: list[str]) -> tuple[int, int]:
    pairs = [text.split() for text in texts]
    good = [pair for pair in pairs if len(pair) == 2 and all(part.isdigit() for part in pair)]
    return sum(int(pair[0]) for pair in good), sum(int(pair[1]) for pair in good)
