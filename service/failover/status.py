"""The words for how the stores stand: the status, a change of it, and all that an operator sees."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec


class Status(StrEnum):
    """Which stores are used; section 4.4 of the design."""

    HEALTHY = "healthy"
    MYSQL_FATAL = "mysql_fatal"
    REDIS_FATAL = "redis_fatal"
    BOTH_FATAL = "both_fatal"
    RECOVERING = "recovering"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of status."""

    at: datetime
    old: Status
    new: Status
    reason: str


class FailoverView(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator sees. `looks_well_since` is set while the failed primary store passes its probes; `problem`
    says what keeps a recovery from finishing. `journal` is the name of this instance's journal, `owed` those of others that
    hold what the primary store does not have yet, `deaf` those of instances that do not hear what the others owe."""

    status: Status
    since: datetime
    reason: str
    backlog_bytes: int
    looks_well_since: datetime | None
    problem: str
    copies_dropped: int
    history: tuple[Change, ...]
    journal: str = ""
    owed: tuple[str, ...] = ()
    deaf: tuple[str, ...] = ()
