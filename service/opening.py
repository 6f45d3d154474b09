"""The stores of the settings, opened as the one that stays up, and what it may presume when it can ask neither."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from time import monotonic

import structlog
from sqlalchemy import make_url

from core.clock import Clock, Timer, utc_now
from core.errors import StoreUnavailable, Unavailable
from core.hooks import NO_HOOKS, Hooks
from core.settings import Settings
from service.failover import STORE_FOLDER, Failover, Status
from service.failover.note import decode_note, load_note
from service.failover.notices import OnNotice
from service.failover.presumption import ATTEMPTS_MAX, Presumption
from service.limits import TEN_MINUTES
from service.request_ids import SealedIds
from service.stores.redis import RedisStore
from service.stores.sql import SqlStore

_log = structlog.get_logger(__name__)


async def open_store(
    settings: Settings,
    *,
    on_notice: OnNotice = lambda _notice: None,
    hooks: Hooks = NO_HOOKS,
    clock: Clock = utc_now,
    listened: Timer = monotonic,
) -> Failover:
    """The stores of the settings as one, started. While the primary store does not answer, the service starts only when
    it is known to be down: a wrong address must not pass for an outage. Raises `StoreUnavailable`.
    """
    primary = SqlStore(settings.store, clock=clock, listened=listened)
    backup = RedisStore(settings.mirror, clock=clock, listened=listened)
    try:
        await primary.prepare()
        await primary.probe()
    except StoreUnavailable as error:
        if not await _is_known_to_be_down(settings, backup):
            await asyncio.gather(primary.close(), backup.close())
            raise _primary_absent(settings, error) from None
        _log.warning("starting without the primary store, which is known to be down", reason=str(error))
    failover = Failover(
        primary=primary,
        backup=backup,
        settings=settings.failover,
        journal=settings.journal,
        presumption=presumption_of(settings),
        claims_kept=timedelta(hours=settings.api.idempotency_hours),
        clock=clock,
        on_notice=on_notice,
        hooks=hooks,
    )
    await failover.start()
    return failover


def presumption_of(settings: Settings) -> Presumption:
    """What may be presumed of a verification when no store can be asked."""
    code = settings.code
    is_short = code.lifetime_seconds <= TEN_MINUTES.total_seconds()
    sends_max = code.sends_per_ten_minutes if is_short else code.sends_per_day
    providers_max = min(settings.routing.attempts_max, len(settings.providers) or settings.routing.attempts_max)
    return Presumption(
        ids=SealedIds(code.secret.get_secret_value(), clock=utc_now),
        lifetime_seconds=code.lifetime_seconds,
        attempts_max=min(ATTEMPTS_MAX, sends_max * providers_max),  # every send may take several providers
    )


async def _is_known_to_be_down(settings: Settings, backup: RedisStore) -> bool:
    down = (Status.MYSQL_FATAL, Status.BOTH_FATAL)
    note = load_note(settings.journal.folder / STORE_FOLDER)
    if note is not None and note.status in down:
        return True
    try:
        note = decode_note(await backup.note())
    except Unavailable:
        return False
    return note is not None and note.status in down


def _primary_absent(settings: Settings, error: StoreUnavailable) -> StoreUnavailable:
    url = make_url(settings.store.url.get_secret_value())
    where = f"{url.host}:{url.port}" if url.port else (url.host or url.database or "?")
    return StoreUnavailable(
        f"the primary store at {where} does not answer: {error}",
        hint="check [store] url in the settings, and that the server runs there and takes writes; "
        "`heliograph failover` declares it down where another instance serves from the backup",
    )
