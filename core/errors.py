"""Every error that may leave a module of Heliograph, as one tree; each is named for the fact and says what to do.

    HeliographError
    ├── ConfigurationError        settings that cannot work; the program refuses to start
    ├── BadInput                  the caller's fault: never retried, never fails over
    │   ├── InvalidNumber             not a number that can receive a message
    │   ├── UnknownTemplate
    │   ├── UnknownProvider
    │   ├── EventUnreadable           a queue message or a row of a file that is not an event
    │   └── UnknownMetric             a metric, dimension or bucket that does not exist
    ├── Unavailable               a server that is needed does not answer, or refuses for reasons of its own
    │   ├── StoreUnavailable          MySQL, MariaDB or SQLite
    │   ├── MirrorUnavailable         Redis or Valkey
    │   ├── QueueUnavailable          NATS JetStream
    │   ├── WarehouseUnavailable      ClickHouse
    │   ├── EncryptionUnavailable
    │   ├── MailUnavailable
    │   │   └── MailPartlyTaken           some recipients have it, others were refused for now
    │   └── ChannelUnavailable        a channel of alerts did not take one
    ├── GivenUp                   nobody waits for the answer any more, so it was not waited for
    ├── WarehouseRefused          ClickHouse answered, and said no: the statement or the rows are wrong
    ├── JournalDamaged            a journal with damage elsewhere than at its torn tail
    │   └── JournalNewer              written by a newer version of the program: left alone
    ├── JournalWriteFailed        not durable: nothing may be acknowledged on its strength
    └── Overloaded                a bounded queue is full; try again after `retry_after_seconds`

Errors that only the service raises (`CodeExpired`, `CoolingDown`, ...) continue this tree in `service/errors.py`.
"""

from __future__ import annotations

from collections.abc import Sequence


class HeliographError(Exception):
    """The root. `hint` says what the reader can do about it, and may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigurationError(HeliographError):
    """Settings that cannot work."""


class BadInput(HeliographError):
    """The caller's fault; the same call will fail again."""


class InvalidNumber(BadInput):
    """Not a number that can receive a message. The message never repeats the number."""


class UnknownTemplate(BadInput):
    """No template of this name and locale is configured."""


class UnknownProvider(BadInput):
    """No provider of this name is configured."""


class EventUnreadable(BadInput):
    """Not an event of a version this program knows."""


class UnknownMetric(BadInput):
    """A metric, a dimension or a bucket that does not exist."""


class Unavailable(HeliographError):
    """A server that is needed does not answer; the call may be tried again."""


class StoreUnavailable(Unavailable):
    """MySQL, MariaDB or SQLite."""


class MirrorUnavailable(Unavailable):
    """Redis or Valkey."""


class QueueUnavailable(Unavailable):
    """NATS JetStream."""


class WarehouseUnavailable(Unavailable):
    """ClickHouse."""


class EncryptionUnavailable(Unavailable):
    """The encryption service."""


class MailUnavailable(Unavailable):
    """The SMTP server."""


class MailPartlyTaken(MailUnavailable):
    """Some recipients have the message. Those in `waiting` were refused for now: try again with them alone."""

    def __init__(self, message: str, *, waiting: Sequence[str], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.waiting = tuple(waiting)


class ChannelUnavailable(Unavailable):
    """A channel of alerts did not take one; the message never repeats its address."""


class GivenUp(HeliographError):
    """Nobody waits for the answer any more; the question was broken off, or not asked."""


class WarehouseRefused(HeliographError):
    """ClickHouse answered and said no. `code` is its error number, 0 when it gave none."""

    def __init__(self, message: str, *, code: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class JournalDamaged(HeliographError):
    """A record that was once durable can no longer be read; a person has to look."""


class JournalNewer(JournalDamaged):
    """A file of a later format; the program that wrote it can read it."""


class JournalWriteFailed(HeliographError):
    """The disk did not confirm the write."""


class Overloaded(HeliographError):
    """A bounded queue is full; nothing was done."""

    def __init__(self, message: str, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message, hint=f"try again in {retry_after_seconds:g} s")
        self.retry_after_seconds = retry_after_seconds
