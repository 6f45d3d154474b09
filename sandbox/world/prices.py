"""What the simulated providers ask for a part of a message. Made up, of believable size and order."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.world.channels import PROVIDERS

CURRENCY = "EUR"

_BY_COUNTRY: Mapping[str, float] = {
    "CN": 0.006, "US": 0.009, "GB": 0.034, "DE": 0.068, "IN": 0.004, "BR": 0.021, "ID": 0.29, "NG": 0.24,
}  # fmt: skip
_BY_PROVIDER: Mapping[str, float] = {"aurora": 1.18, "beacon": 0.86, "cumulus": 1.0, "delta": 0.92}

PRICES: Mapping[tuple[str, str], float] = {
    (provider, country): round(price * _BY_PROVIDER[provider], 5)
    for provider in PROVIDERS
    for country, price in _BY_COUNTRY.items()
}
"""By provider and country."""
