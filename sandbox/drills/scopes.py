"""Which attempts something touches: values by dimension, told as masks over the tables of the world."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

import numpy as np

from sandbox.world import PROVIDER_WEIGHTS, PROVIDERS, areas
from sandbox.world.fates import Bools, Codes, Floats
from sandbox.world.lives import APP_NAMES, PURPOSE_NAMES, TEMPLATES, Requests
from sandbox.world.traffic import (
    APPS,
    CODE_TEMPLATES,
    MARKETING_PER_VERIFICATION,
    NOTIFICATIONS_PER_VERIFICATION,
    PURPOSES,
    demand,
)

MESSAGES_PER_VERIFICATION = 1 + NOTIFICATIONS_PER_VERIFICATION + MARKETING_PER_VERIFICATION


class Scope:
    """A rectangle: every dimension in `values` is one of the values told, the others are any."""

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self.values = dict(values)
        self.provider = self._mask("provider", PROVIDERS)
        self.template = self._mask("template", TEMPLATES)
        self.app = self._mask("app", APP_NAMES)
        self.purpose = self._mask("purpose", PURPOSE_NAMES)
        self.area = np.logical_and.reduce(
            [self._mask(name, [getattr(area, name) for area in areas()]) for name in ("carrier", "country", "region")]
        )

    def _mask(self, dimension: str, names: tuple[str, ...] | list[str]) -> Bools:
        told = self.values.get(dimension)
        return np.array([told is None or name in told for name in names])

    def holds_requests(self, requests: Requests, rows: Codes) -> Bools:
        """Which of these requests it holds, whoever carries them."""
        return np.asarray(
            self.area[requests.area[rows]]
            & self.template[requests.template[rows]]
            & self.app[requests.app[rows]]
            & self.purpose[requests.purpose[rows]]
        )

    def meets(self, other: Scope) -> bool:
        """Whether an attempt can be in both."""
        pairs = [(self.provider, other.provider), (self.area, other.area), (self.template, other.template)]
        pairs += [(self.app, other.app), (self.purpose, other.purpose)]
        return all(bool((mine & theirs).any()) for mine, theirs in pairs)

    @cached_property
    def _share(self) -> float:
        """Share of all requests by provider and what they are for; places come in by `volume`."""
        provider = sum(weight for name, weight in PROVIDER_WEIGHTS.items() if self.provider[PROVIDERS.index(name)])
        return provider * sum(share for share, held in _wishes_held(self) if held)

    def volume(self, at: datetime, rate_per_minute: float) -> float:
        """Requests a minute that fall into it at that moment in a healthy world, of `rate_per_minute` in all."""
        busy: Floats = demand(at)
        return float(busy[self.area].sum()) * self._share * rate_per_minute


def _wishes_held(scope: Scope) -> list[tuple[float, bool]]:
    """Every app × purpose × template with its share of the requests, and whether the scope holds it."""
    held = []
    for app, app_share in APPS.items():
        for purpose, purpose_share in PURPOSES.items():
            for template, share in CODE_TEMPLATES[purpose].items():
                held.append((app_share * purpose_share * share, _holds(scope, app, purpose, template)))
    for template, share in (
        ("parcel-arriving", NOTIFICATIONS_PER_VERIFICATION),
        ("weekend-offer", MARKETING_PER_VERIFICATION),
    ):
        held.append((share, _holds(scope, "shop", "", template)))
    return [(share / MESSAGES_PER_VERIFICATION, inside) for share, inside in held]


def _holds(scope: Scope, app: str, purpose: str, template: str) -> bool:
    return bool(
        scope.app[APP_NAMES.index(app)]
        and scope.purpose[PURPOSE_NAMES.index(purpose)]
        and scope.template[TEMPLATES.index(template)]
    )
