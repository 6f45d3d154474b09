"""What somebody should hear of the stores: a change of status, a store that looks well again, and what needs a hand.

The state gives notices; whoever composes the service passes in the callable that takes them, and decides who is told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from service.failover.status import Status

NoticeKind = Literal["status", "looks_well", "credentials", "journal"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """`status`: from `old` to `new`. `looks_well`: the failed primary store takes writes again. `credentials`: a password,
    a right or a table is wrong. `journal`: it cannot be written, or is nearly full.

    `component` is "store" for the status, else what it is about: "mysql", "redis", "journal". `is_over` when the matter is
    settled; `word` is when the last word on the primary store was given, the same on all instances, and
    `order` its place among all words; `heard` when another instance said so first, and so has told it.
    """

    kind: NoticeKind
    at: datetime
    component: str
    old: Status
    new: Status
    reason: str
    instance: str
    since: datetime
    word: datetime
    order: int = 0
    heard: bool = False
    is_over: bool = False


OnNotice = Callable[[Notice], None]
