"""Tells what becomes of the stores: every change to the warehouse, and to people once for the whole fleet.

Instances settle who speaks by a claim in whichever store lives; who only heard it from another says nothing. With both
stores down nobody can be asked, and each instance says it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol
from uuid import UUID

import structlog

from core.alerts import Alert
from core.alerts.alert import Event as AlertEvent
from core.alerts.alert import Severity
from core.errors import HeliographError
from core.events import Event, StatusChange
from core.redact import redact
from service.facts import OWN_APP, IdempotencyClaim
from service.failover.notices import Notice, NoticeKind
from service.failover.status import Status
from service.stores import Claim

_log = structlog.get_logger(__name__)

_SAME_SECONDS = 30
"""Two instances that notice the same thing do so within the time of a detection; a bucket and the one before it cover that."""
_WAITING_MAX = 1_000
_REASON_MAX = 300


class Desk(Protocol):
    """Where alerts are handed in."""

    def tell(self, alert: Alert) -> object:
        """Take it at once; nothing is raised."""
        ...


@dataclass(frozen=True)
class Words:
    """How a status is told to people."""

    severity: Severity
    title: str
    text: str
    steps: tuple[str, ...]


LOOK = "heliograph failover status"
WORDS: dict[Status, Words] = {
    Status.MYSQL_FATAL: Words(
        "critical",
        "MySQL is down; Redis serves",
        "Codes are sent and checked from Redis, and every write waits in the journal of its instance. Nothing is lost.",
        (
            "Find out what is wrong with MySQL: reachable, writable, disk, connections. The reason is the error that decided it.",
            "Mind the room on the disks that hold the journals: `heliograph failover status` shows the backlog.",
            "When MySQL is well: `heliograph failover recover` on one instance; the others follow.",
        ),
    ),
    Status.REDIS_FATAL: Words(
        "warning",
        "Redis is down; MySQL serves alone",
        "Nothing is missing, but if MySQL fails too, codes are limited by what each instance remembers.",
        ("Bring Redis back: it is used again by itself once it has stayed well, and warmed from MySQL.", LOOK),
    ),
    Status.BOTH_FATAL: Words(
        "critical",
        "MySQL and Redis are down; codes go on without a store",
        "Codes are sent and checked from the secret alone. Guesses, cool-down and sends are limited on each instance by "
        "itself; marketing and notifications are refused. Every write waits in the journal of its instance.",
        (
            "Bring either store back; whichever comes first is used at once.",
            "Do not delete the journal folders and do not add instances: new ones know no API key.",
            LOOK,
        ),
    ),
    Status.RECOVERING: Words(
        "info",
        "MySQL serves again; journals are replayed",
        "Until all journals are replayed both stores are asked.",
        ("`heliograph failover status` shows what is left; `problem` says what keeps it from finishing.",),
    ),
    Status.HEALTHY: Words("info", "Both stores are well", "MySQL serves, Redis is warm, and no journal waits.", ()),
}


class Herald:
    """Takes notices at any time with `hear`; tells them from `start` on, in their order."""

    def __init__(self, alerts: Desk | None) -> None:
        self._alerts = alerts
        self._notices: asyncio.Queue[Notice] = asyncio.Queue(_WAITING_MAX)
        self._task: asyncio.Task[None] | None = None

    def hear(self, notice: Notice) -> None:
        """Keep a notice until it is told."""
        try:
            self._notices.put_nowait(notice)
        except asyncio.QueueFull:
            _log.error("notice_dropped", kind=notice.kind, new=str(notice.new))

    def start(
        self,
        *,
        claim: Callable[[IdempotencyClaim], Awaitable[Claim]],
        tell: Callable[[Sequence[Event]], Awaitable[None]],
    ) -> None:
        """Begin to tell: `claim` settles who speaks, `tell` brings events to the warehouse."""
        self._task = asyncio.create_task(self._run(claim, tell), name="herald")

    async def stop(self) -> None:
        """Tell what waits, and stop."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(5.0):
                await self._notices.join()
        except TimeoutError:
            _log.error("notices_untold", count=self._notices.qsize())
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(
        self,
        claim: Callable[[IdempotencyClaim], Awaitable[Claim]],
        tell: Callable[[Sequence[Event]], Awaitable[None]],
    ) -> None:
        while True:
            notice = await self._notices.get()
            try:
                await self._tell(notice, claim, tell)
            except Exception:  # noqa: BLE001  # whatever it is, the next notice still has to be told
                _log.exception("notice_untold", kind=notice.kind)
            finally:
                self._notices.task_done()

    async def _tell(
        self,
        notice: Notice,
        claim: Callable[[IdempotencyClaim], Awaitable[Claim]],
        tell: Callable[[Sequence[Event]], Awaitable[None]],
    ) -> None:
        if notice.kind == "status":
            await tell([status_event(notice)])
        if self._alerts is not None and await _is_ours_to_say(notice, claim):
            self._alerts.tell(alert_of(notice))


async def _is_ours_to_say(notice: Notice, claim: Callable[[IdempotencyClaim], Awaitable[Claim]]) -> bool:
    if notice.heard:
        return False
    if notice.kind == "journal":
        return True  # each instance has its own
    for matter in _matters(notice):
        wanted = IdempotencyClaim(
            app=OWN_APP,
            idempotency_key=blake2b(matter.encode(), digest_size=32).hexdigest(),
            at=notice.at,
            fingerprint="",
            request_id=UUID(notice.instance),
        )
        try:
            taken = await claim(wanted)
        except HeliographError as error:
            _log.warning("nobody could be asked who tells it", reason=str(error))
            return True
        if not taken.ours:
            return False
    return True


def _matters(notice: Notice) -> tuple[str, ...]:
    """What has to be claimed, in this order: whoever said the same shortly before may say it again."""
    what = f"{notice.kind} {notice.component} {notice.old} {notice.new} {notice.is_over}"
    if notice.kind == "looks_well" or notice.old is Status.RECOVERING:
        return (f"{what} {notice.word.isoformat()}",)  # instances come to it at different times, after the same word
    if notice.kind == "status" and _is_word(notice):
        what = f"{what} {notice.order}"  # or who tells of an outage soon after another would be held to have told of it
    bucket = int(notice.at.timestamp()) // _SAME_SECONDS
    return (f"{what} {bucket - 1}", f"{what} {bucket}")


def _is_word(notice: Notice) -> bool:
    """Whether the change is one of the primary store, which only the first to notice tells of."""
    was_down, is_down = (status in (Status.MYSQL_FATAL, Status.BOTH_FATAL) for status in (notice.old, notice.new))
    return was_down != is_down or notice.new is Status.RECOVERING


def status_event(notice: Notice) -> StatusChange:
    """What the warehouse is told of a change."""
    reason = "".join(letter if letter.isprintable() else " " for letter in redact(notice.reason))
    return StatusChange(
        at=notice.at,
        instance=notice.instance,
        component=notice.component,
        old=str(notice.old),
        new=str(notice.new),
        reason=reason[:_REASON_MAX],
    )


def alert_kind(kind: NoticeKind) -> str:
    """What routes go by."""
    return kind if kind == "journal" else f"store_{kind}"


def alert_of(notice: Notice) -> Alert:
    """What people are told of a notice."""
    key, words = _words(notice)
    return Alert(
        key=key,
        event=_event(notice),
        kind=alert_kind(notice.kind),
        severity=words.severity,
        title=words.title,
        text=words.text,
        steps=words.steps,
        at=notice.at,
        facts=(
            ("reason", notice.reason),
            ("status", str(notice.new)),
            ("was", str(notice.old)),
            ("since", f"{notice.since:%Y-%m-%d %H:%M:%S} UTC"),
            ("instance", notice.instance),
        ),
        labels={"component": notice.component},
    )


def _event(notice: Notice) -> AlertEvent:
    if notice.kind == "status":
        is_new = notice.old is Status.HEALTHY
        return "resolved" if notice.new is Status.HEALTHY else ("opened" if is_new else "updated")
    if notice.kind == "looks_well":
        return "updated"
    return "resolved" if notice.is_over else "opened"


def _words(notice: Notice) -> tuple[str, Words]:
    match notice.kind:
        case "status":
            return "store", WORDS[notice.new]
        case "looks_well":
            return "store", Words(
                "warning",
                "MySQL looks well again",
                "It has taken writes for a while. Redis goes on serving until you say so.",
                ("When you are sure of it: `heliograph failover recover`.", LOOK),
            )
        case "credentials":
            what = notice.component.replace("mysql", "MySQL").replace("redis", "Redis")
            return f"credentials {notice.component}", Words(
                "info" if notice.is_over else "critical",
                f"{what} lets us in again" if notice.is_over else f"{what} refuses our credentials or lacks a table",
                "A password, a right or a table was changed. Waiting will not mend it.",
                () if notice.is_over else ("Check the password, the rights and the tables named in the reason.", LOOK),
            )
        case "journal":
            return f"journal {notice.instance}", Words(
                "info" if notice.is_over else "critical",
                "The journal takes writes again" if notice.is_over else "The journal needs room or repair",
                "What a store cannot take waits there. When it is full, calls are refused that the stores cannot take.",
                () if notice.is_over else ("Make room on, or repair, the disk of journal.folder.", LOOK),
            )
