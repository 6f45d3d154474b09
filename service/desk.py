"""What both ways to send work with: verifications and messages have the same tools, limits and locks."""

from __future__ import annotations

from dataclasses import dataclass

from core.clock import Clock
from core.numbers import Number, NumberHash, read
from service.dispatch import Dispatcher
from service.guards import Guards
from service.limits import KeyedLocks, Limits
from service.publisher import Publisher
from service.stores import Store
from service.telemetry import Telemetry
from service.templates import Templates


@dataclass(frozen=True)
class Desk:
    """The tools. The locks are shared, so that a verification and a message cannot both take a number's last send."""

    store: Store
    dispatcher: Dispatcher
    publisher: Publisher
    templates: Templates
    limits: Limits
    guards: Guards
    locks: KeyedLocks
    number_hash: NumberHash
    default_country: str
    clock: Clock
    telemetry: Telemetry

    def read(self, to: str) -> tuple[Number, str]:
        """A number as a caller wrote it, and its hash. Raises `InvalidNumber`."""
        number = read(to, default_country=self.default_country)
        return number, self.number_hash(number.e164)
