"""API keys, made and ended by an operator; the service itself only reads them."""

from __future__ import annotations

from core.clock import utc_now
from core.settings import Settings
from service.assembly import require
from service.facts import AnyFact
from service.keys import new_key, revocation
from service.stores.sql import SqlStore


async def create_key(settings: Settings, *, app: str, scopes: frozenset[str], label: str) -> tuple[str, str]:
    """Make an API key: the key, and its id. Raises `BadInput`, `ConfigurationError`, `StoreUnavailable`."""
    require({"api.key_secret": settings.api.key_secret})
    secret = settings.api.key_secret.get_secret_value()
    key, fact = new_key(app=app, scopes=scopes, label=label, secret=secret, now=utc_now())
    await _write(settings, fact)
    return key, fact.key_hash


async def revoke_key(settings: Settings, key_or_id: str) -> None:
    """End an API key. Raises `BadInput`, `ConfigurationError`, `StoreUnavailable`."""
    require({"api.key_secret": settings.api.key_secret})
    await _write(settings, revocation(key_or_id, secret=settings.api.key_secret.get_secret_value(), now=utc_now()))


async def _write(settings: Settings, fact: AnyFact) -> None:
    store = SqlStore(settings.store)
    try:
        await store.prepare()
        await store.write([fact])
    finally:
        await store.close()
