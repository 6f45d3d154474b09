"""One vendor's format as its own server speaks it: how calls, answers, receipts and signatures look on the wire."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hmac import new as new_hmac
from typing import ClassVar
from uuid import uuid4

import numpy as np

from core.clock import Clock
from core.events import ErrorClass
from core.numbers import Number
from sandbox.world import PlannedReceipt


@dataclass(frozen=True)
class Call:
    """One HTTP call to a provider; header names are lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Order:
    """One message that a customer asked for. `message_id` is the provider's own."""

    reference: str
    number: str = field(repr=False)
    text: str = field(repr=False)
    sender: str = ""
    message_id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Reply:
    """What is answered."""

    status: int
    body: bytes
    content_type: str = "application/json"


class CallRefused(Exception):
    """The call did not get as far as being an order; `reply` says so in the vendor's words."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"refused with status {reply.status}")
        self.reply = reply


class Vendor(ABC):
    """The server side of one vendor's format: how its calls, answers, receipts and signatures look."""

    batches: ClassVar[bool] = False
    acknowledgement: ClassVar[bytes | None] = None  # what the customer must answer; None: any 2xx will do

    def __init__(self, *, account: str, secret: str, clock: Clock, rng: np.random.Generator) -> None:
        self.account = account
        self.clock = clock
        self._secret = secret.encode()
        self._rng = rng

    @abstractmethod
    def order(self, call: Call) -> Order:
        """Read a call, credentials and all. Raises `CallRefused`."""

    @abstractmethod
    def yes(self, order: Order) -> Reply:
        """The message was taken."""

    @abstractmethod
    def no(self, order: Order, code: str) -> Reply:
        """The message was not taken."""

    @abstractmethod
    def refusal_code(self, error_class: ErrorClass) -> str:
        """One of the vendor's codes for a refusal of this class; for "unknown" a code that no manual lists."""

    @abstractmethod
    def receipt(self, order: Order, planned: PlannedReceipt, at: datetime) -> bytes:
        """One receipt as a row of `body`."""

    @abstractmethod
    def inbound(self, number: Number, text: str) -> bytes:
        """One inbound message as a row of `body`."""

    @abstractmethod
    def body(self, rows: Sequence[bytes]) -> bytes:
        """Rows as one body; a vendor that does not batch is given one row."""

    @abstractmethod
    def sign(self, path: str, body: bytes) -> dict[str, str]:
        """The headers of a pushed body."""

    def hmac(self, message: bytes) -> str:
        """HMAC-SHA256 under the secret shared with the customer, in hex."""
        return new_hmac(self._secret, message, "sha256").hexdigest()

    def timestamp(self) -> str:
        """Seconds since 1970."""
        return str(int(self.clock().timestamp()))

    def recent(self, timestamp: str) -> bool:
        """Whether a call was signed within five minutes of now."""
        return timestamp.isdecimal() and abs(self.clock().timestamp() - int(timestamp)) <= 300

    def pick(self, codes: Sequence[str]) -> str:
        """One of `codes`, at random."""
        return codes[int(self._rng.integers(len(codes)))]


def code_for(
    vendor: Vendor, codes: Mapping[ErrorClass, Sequence[str]], error_class: ErrorClass, *, unlisted: str
) -> str:
    """A vendor's code of that class; `unlisted` where it has none."""
    return vendor.pick(codes[error_class]) if error_class in codes else unlisted
