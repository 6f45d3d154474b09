"""Deployments, as pipelines and operators note them: context for whoever reads a chart or an incident.

They silence nothing, and no judgement of detection reads them.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

from core import warehouse as door
from core.clock import utc_now
from core.errors import BadInput
from core.settings import Settings
from core.warehouse import Warehouse
from metrics.detection.incidents import Incident, Scope, where
from metrics.detection.words import Word, check, deployments_between, say

NEAR = timedelta(hours=1)
"""So close to the onset of an incident, on either side, a deployment is named beside it."""

AHEAD_MAX = timedelta(days=1)
_BACK_MAX = timedelta(days=3_653)


def deployment(what: str, *, at: datetime, scope: Scope, said_by: str, now: datetime) -> Word:
    """The word for it, on one line: what a pipeline tells may be a whole commit message. Raises `BadInput`."""
    if not now - _BACK_MAX <= at <= now + AHEAD_MAX:
        raise BadInput(
            f"a deployment at {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC cannot be noted",
            hint="its time is at most ten years ago and at most a day ahead",
        )
    return Word("deployment", said_by, " ".join(what.split()), scope=scope, start=at)


def deployed_near(warehouse: Warehouse, incidents: Sequence[Incident]) -> dict[str, list[Word]]:
    """What was deployed within `NEAR` of the onset of each, where it is; by its id, oldest first. One question for all.

    Raises `WarehouseUnavailable`.
    """
    if not incidents:
        return {}
    onsets = [one.onset for one in incidents]
    found = deployments_between(warehouse, min(onsets) - NEAR, max(onsets) + NEAR)
    return {
        one.id: [
            word
            for word in found
            if word.start and abs(word.start - one.onset) <= NEAR and touches(word.scope or {}, one.scope)
        ]
        for one in incidents
    }


def beside(word: Word, one: Incident, *, lasting: Callable[[timedelta], str]) -> str:
    """A deployment, where it was, and how long before or after an incident began, which is said by `lasting`."""
    span = one.onset - (word.start or one.onset)
    side = "before" if span >= timedelta(0) else "after"
    return f"{word.text}, {where(word.scope or {})}, {lasting(abs(span))} {side} it began"


def touches(scope: Scope, filters: Scope) -> bool:
    """Whether an incident or a deployment of this scope may concern messages that have one of the values in each dimension."""
    return all(not values or name not in scope or set(values) & set(scope[name]) for name, values in filters.items())


def note(settings: Settings, what: str, *, at: str | None, scope: Scope, by: str) -> str:
    """What `heliograph deployment` does. Returns a line on what was noted.

    Raises `BadInput`, `WarehouseUnavailable`, `WarehouseRefused`; then nothing was noted.
    """
    now = utc_now()
    for name, values in scope.items():
        if not all(value.strip() for value in values):
            raise BadInput(f"the {name} of a deployment is empty", hint=f"leave {name} away to say: all of them")
    word = deployment(what, at=now if at is None else moment(at), scope=scope, said_by=by or _login(), now=now)
    check(word)
    with closing(door.connect(settings.warehouse)) as warehouse:
        warehouse.migrate()
        said = say(warehouse, word, now=now)
    return f"Noted: {said.text}, {where(scope)}, at {said.start:%Y-%m-%d %H:%M:%S} UTC, by {said.said_by}."


def moment(text: str) -> datetime:
    """A time as people and pipelines write it, in UTC where it names no zone. Raises `BadInput`."""
    try:
        at = datetime.fromisoformat(text.strip())
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            f"{text!r} is no time that can be read",
            hint="write it as 2026-11-26T06:30:00Z, 2026-11-26T07:30+01:00 or, in UTC, 2026-11-26 06:30",
        ) from None


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise BadInput("nobody is known by name here", hint="say with --by who notes it") from None
