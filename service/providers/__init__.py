"""SMS providers: one module a vendor, each with an `Adapter`. A new vendor is a new file here and nothing else."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from time import monotonic

import aiohttp

from core.clock import Clock, Timer
from core.errors import ConfigurationError
from core.settings.sending import Provider as ProviderSettings
from service.providers.base.provider import Provider
from service.providers.base.telemetry import ProviderTelemetry


def kinds() -> list[str]:
    """Every `kind` that the settings may name."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)


def build(
    settings: ProviderSettings,
    *,
    session: aiohttp.ClientSession,
    clock: Clock,
    telemetry: ProviderTelemetry,
    listened: Timer = monotonic,
) -> Provider:
    """The adapter that `settings.kind` names. Raises `ConfigurationError` when there is none, or it cannot work."""
    known = kinds()
    if settings.kind not in known:
        raise ConfigurationError(
            f"provider {settings.name}: no adapter is called {settings.kind!r}", hint=f"there are: {', '.join(known)}"
        )
    adapter: type[Provider] = import_module(f"{__name__}.{settings.kind}").Adapter
    return adapter(settings, session=session, clock=clock, telemetry=telemetry, listened=listened)
