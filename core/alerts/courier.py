"""Brings the alerts of one channel to it, each until it went or is too old; what fails is tried ever more rarely."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from core.alerts.channels import Channel
from core.alerts.outbox import Outbox, Passage, State, Told
from core.alerts.telemetry import AlertTelemetry
from core.clock import Clock
from core.errors import HeliographError, MailPartlyTaken

_log = structlog.get_logger(__name__)

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=10)
OTHERS_WAIT = timedelta(seconds=10)
"""Another process serves the channel just now: look again, it may die."""


class Courier:
    """Serves one channel; knows nothing of threads."""

    def __init__(
        self, channel: Channel, outbox: Outbox, *, clock: Clock, telemetry: AlertTelemetry, give_up_hours: float
    ) -> None:
        self.channel = channel
        self._outbox = outbox
        self._clock = clock
        self._telemetry = telemetry
        self._give_up_after = timedelta(hours=give_up_hours)

    def round(self) -> datetime | None:
        """Send what is due. Returns when something is due next; None when nothing waits."""
        name = self.channel.name
        with self._outbox.claim(name) as is_ours:
            if not is_ours:
                return self._clock() + OTHERS_WAIT
            for told in _superseded(self._waiting()):
                self._end(told, "superseded", "something newer was told before it could go")
            self._send_in_order(self._waiting())
            still = self._waiting()
            again = [self._due_at(still[index:]) for index in _first_of_threads(still)]
        self._telemetry.waiting.labels(name).set(len(still))
        return min(again, default=None)

    def _waiting(self) -> list[Told]:
        name = self.channel.name
        of_channel = [told for told in self._outbox.all() if name in told.channels]
        return [told for told in of_channel if self._outbox.passage(told, name).state == "waiting"]

    def _send_in_order(self, waiting: list[Told]) -> None:
        held: set[str] = set()
        for index, told in enumerate(waiting):
            is_due = self._due_at(waiting[index:]) <= self._clock()
            went = told.thread not in held and is_due and self._send(told)
            # What follows must not arrive before it; those who have it do not wait for who was refused for now.
            if not went and not self._outbox.passage(told, self.channel.name).left:
                held.add(told.thread)

    def _due_at(self, waiting: list[Told]) -> datetime:
        """When the first of these goes: one that only waits for the end of quiet hours goes before what is critical in its
        thread, which does not wait for it."""
        first, *later = waiting
        passage = self._outbox.passage(first, self.channel.name)
        if passage.tries:
            return passage.again_at
        urgent = [one for one in later if one.thread == first.thread and one.alert.severity == "critical"]
        return min([passage.again_at, *(self._outbox.passage(one, self.channel.name).again_at for one in urgent)])

    def _send(self, told: Told) -> bool:
        whole = self._outbox.whole(told.name)
        if whole is None:
            return True
        left = self._outbox.passage(told, self.channel.name).left
        try:
            self.channel.send(whole, only=left)
        except MailPartlyTaken as error:
            return self._failed(told, str(error), error.hint, left=error.waiting)
        except HeliographError as error:
            return self._failed(told, str(error), error.hint)
        except Exception as error:  # noqa: BLE001  # whatever a channel's library raises, the others' alerts still go
            return self._failed(told, f"{type(error).__name__} in the channel", "")
        self._end(told, "delivered", "")
        self._telemetry.delivered.labels(self.channel.name).inc()
        return True

    def _failed(self, told: Told, reason: str, hint: str, *, left: tuple[str, ...] = ()) -> bool:
        """Whether it is given up, so that what follows in its thread may go."""
        name, now = self.channel.name, self._clock()
        was = self._outbox.passage(told, name)
        again = now + min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(was.tries, 10))
        is_over: bool = again - was.since > self._give_up_after
        passage = Passage(
            state="given up" if is_over else "waiting",
            since=was.since,
            at=now,
            again_at=again,
            tries=was.tries + 1,
            reason=reason,
            left=left or was.left,
        )
        self._outbox.keep(told, name, passage)
        self._telemetry.failed.labels(name).inc()
        say = _log.error if is_over else _log.warning
        say("alert not delivered", channel=name, alert=told.name, reason=reason, hint=hint, tries=passage.tries,
            again_at="never" if is_over else again.isoformat())  # fmt: skip
        return is_over

    def _end(self, told: Told, state: State, reason: str) -> None:
        now, was = self._clock(), self._outbox.passage(told, self.channel.name)
        passage = Passage(state=state, since=was.since, at=now, again_at=now, tries=was.tries + 1, reason=reason)
        self._outbox.keep(told, self.channel.name, passage)


def _first_of_threads(waiting: list[Told]) -> list[int]:
    """Where the first of each thread stands: what follows it is not tried before."""
    threads = [told.thread for told in waiting]
    return [index for index, thread in enumerate(threads) if thread not in threads[:index]]


def _superseded(waiting: list[Told]) -> list[Told]:
    """Updates that nobody saw while something newer of their thread waits already."""
    return [
        told
        for index, told in enumerate(waiting)
        if told.alert.event == "updated" and any(later.thread == told.thread for later in waiting[index + 1 :])
    ]
