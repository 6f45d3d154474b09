"""Decides where an alert goes: the first route that fits, with its quiet hours; what fits none is not dropped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from core.alerts.alert import Alert
from core.errors import ConfigurationError
from core.settings.watching import AlertRoute

MAIL = "mail"


class Routing:
    """The routes in their order. Raises `ConfigurationError` for a route to a channel that does not exist."""

    def __init__(self, routes: Sequence[AlertRoute], channels: Collection[str], *, time_zone: str) -> None:
        for number, route in enumerate(routes, 1):
            for name in route.channels:
                if name not in channels:
                    there = ", ".join(sorted(channels)) or "none"
                    raise ConfigurationError(
                        f"alert_routes, row {number}: there is no channel called {name!r}",
                        hint=f"channels are the rows of [[alert_channels]], and mail when [mail] has recipients; here: {there}",
                    )
        self._routes = tuple(routes)
        self._default = [MAIL] if MAIL in channels else sorted(channels)
        self._zone = ZoneInfo(time_zone)

    def channels_of(self, alert: Alert, *, now: datetime) -> dict[str, datetime]:
        """The channels of an alert, and from when on each may have it."""
        route = next((one for one in self._routes if _fits(one, alert)), None)
        if route is None:
            return dict.fromkeys(self._default, now)
        is_held = route.quiet_hours and alert.severity != "critical"
        return dict.fromkeys(route.channels, self._after(route.quiet_hours, now) if is_held else now)

    def _after(self, quiet_hours: str, now: datetime) -> datetime:
        """`now`, or the end of the quiet hours that it lies in."""
        first, last = (time.fromisoformat(part) for part in quiet_hours.split("-"))
        local = now.astimezone(self._zone)
        clock = local.time()
        is_quiet = first <= clock < last if first <= last else clock >= first or clock < last
        if not is_quiet:
            return now
        end = datetime.combine(local.date(), last, tzinfo=self._zone)
        if end <= local:
            end = datetime.combine(local.date() + timedelta(days=1), last, tzinfo=self._zone)
        return end.astimezone(now.tzinfo)


def _fits(route: AlertRoute, alert: Alert) -> bool:
    return (
        (not route.kinds or any(fnmatchcase(alert.kind, pattern) for pattern in route.kinds))
        and (not route.severities or alert.severity in route.severities)
        and all(alert.labels.get(name, "") in values for name, values in route.labels.items())
    )
