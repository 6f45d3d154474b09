"""How many codes one network address, app, number range or country is sent in an hour, over all instances."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.numbers import Number
from core.settings.sending import Limits as LimitsSettings
from service.errors import AddressUnreadable, TooManySends
from service.guards.windows import SlidingCounts

WINDOW_SECONDS = 3600.0
KEYS_MAX = 50_000
"""Keys a rule remembers: about 30 MB when all four are full. A flood of new addresses displaces the idle ones."""
_TOLD_FROM = 0.1
"""Share of a quota from which the others are told: ten instances that say nothing cannot pass it together."""
_RANGE_DIGITS = 3
"""Numbers that differ in their last three digits only are one range: pumping rents them by the thousand."""

_WORDS: Mapping[str, str] = {
    "address": "this network address asked for too many codes",
    "app": "this app has sent its share of codes for the hour",
    "range": "numbers next to this one were sent too many codes",
    "country": "this country was sent its share of codes for the hour",
}


@dataclass(frozen=True)
class Subject:
    """Who is about to be sent a code, and on whose behalf. `keys` maps a rule to what it counts by; no number is in it."""

    keys: Mapping[str, str]

    @classmethod
    def of(cls, *, app: str, number: Number, client_address: str, digest: Callable[[str], str]) -> Subject:
        """`digest` is a keyed hash. Raises `AddressUnreadable` for an address that is none."""
        keys = {"app": app, "range": digest(f"range {number.e164[:-_RANGE_DIGITS]}"), "country": number.country}
        if client_address:
            keys["address"] = digest(f"address {_network(client_address)}")
        return cls(keys)


class Quotas:
    """The rules of the settings; a rule of 0 is off."""

    def __init__(self, settings: LimitsSettings, *, timer: Callable[[], float]) -> None:
        allowed = {
            "address": settings.codes_per_address_per_hour,
            "app": settings.codes_per_app_per_hour,
            "range": settings.codes_per_range_per_hour,
            "country": settings.codes_per_country_per_hour,
        }
        self._allowed = {rule: most for rule, most in allowed.items() if most}
        self._counts = {
            rule: SlidingCounts(window_seconds=WINDOW_SECONDS, keys_max=KEYS_MAX, timer=timer) for rule in self._allowed
        }
        self._elsewhere: Mapping[str, int] = {}
        self._loud: dict[tuple[str, str], None] = {}

    def take(self, subject: Subject) -> None:
        """Count one code, unless a quota is used up. Raises `TooManySends`; then nothing was counted."""
        keys = [(rule, subject.keys[rule]) for rule in self._allowed if rule in subject.keys]
        for rule, key in keys:
            self._require_room(rule, key)
        for rule, key in keys:
            if self._counts[rule].add(key) >= self._allowed[rule] * _TOLD_FROM:
                self._loud[rule, key] = None

    def loud(self) -> dict[str, int]:
        """What the other instances should know: counts that come near their quota, by rule and key."""
        # Only those that came near: looking through all keys would hold up the event loop every second.
        counts = {pair: self._counts[pair[0]].count(pair[1]) for pair in self._loud}
        self._loud = dict.fromkeys(
            (rule, key) for (rule, key), count in counts.items() if count >= self._allowed[rule] * _TOLD_FROM
        )
        return {f"{rule}:{key}": counts[rule, key] for rule, key in self._loud}

    def hear(self, elsewhere: Mapping[str, int]) -> None:
        """What the other instances counted, by rule and key."""
        self._elsewhere = elsewhere

    def _require_room(self, rule: str, key: str) -> None:
        allowed = self._allowed[rule] - self._elsewhere.get(f"{rule}:{key}", 0)
        if self._counts[rule].count(key) < allowed:
            return
        # What others counted leaves their window at a time not known here: then a slot's length is a fair guess.
        seconds = self._counts[rule].seconds_until_below(key, max(allowed, 1)) or WINDOW_SECONDS / 12
        raise TooManySends(_WORDS[rule], retry_after_seconds=math.ceil(seconds))


def _network(address: str) -> str:
    """The address, or of IPv6 the /64 that one subscriber has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise AddressUnreadable("client_address is neither an IPv4 nor an IPv6 address") from None
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.ip_network((parsed.packed[:8] + bytes(8), 64)))
    return str(parsed)
