"""What the handlers work with: the parts of the service, handed in by whoever composes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from core.clock import Clock
from core.settings.sending import Api as ApiSettings
from service.availability import Minutes
from service.health import Health
from service.idempotency import Idempotency
from service.keys import Keys
from service.messages import Messages
from service.receipts import Receipts
from service.telemetry import Telemetry
from service.verifications import Verifications


class Switch(Protocol):
    """What an operator can see and do about the stores. States are told as plain values, ready for JSON."""

    def describe(self) -> Mapping[str, object]:
        """How the stores stand: at least `status`, and what is left in the journal."""
        ...

    async def set(self, status: str, *, reason: str) -> None:
        """Declare a status. Raises `BadInput` for one that does not exist."""
        ...

    async def recover(self) -> None:
        """Go back to the primary store and replay what was journalled. Raises `Unavailable` while it is not well."""
        ...

    async def write_off(self, journal: str) -> None:
        """Wait no longer for the journal of an instance that will not come back. Raises `BadInput`, `Unavailable`."""
        ...


@dataclass(frozen=True)
class Parts:
    """Made once a process, and passed to every handler."""

    settings: ApiSettings
    clock: Clock
    keys: Keys
    verifications: Verifications
    messages: Messages
    receipts: Receipts
    idempotency: Idempotency
    health: Health
    telemetry: Telemetry
    minutes: Minutes
    switch: Switch | None
