"""Providers compared on equal traffic: what each would reach with the mix of destinations that all have together.

A provider that is given the difficult routes looks worse than it is. Direct standardisation (Fleiss, Levin and Paik,
Statistical Methods for Rates and Proportions, ch. 19): a value a stratum, weighted by the stratum's share of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

STRATUM_N_MIN = 30
"""A stratum in which a provider has a smaller sample says more about chance than about the provider."""

_REASONS_MAX = 3


@dataclass(frozen=True)
class Reason:
    """A stratum in which a provider's share of traffic differs from everybody's; `effect` is what that adds to its value."""

    stratum: tuple[str, ...]
    own_share: float
    common_share: float
    effect: float


@dataclass(frozen=True)
class Adjusted:
    """`value` is the ratio on the common mix, None when too little is comparable; `covered` is the share of all traffic
    that lies in strata where this provider has a sample, elsewhere it counts as all do: on its own strata alone, who
    carries only the easy ones would look the best. `reasons`: what moves raw away from adjusted, largest first."""

    provider: str
    raw: float | None
    n: int
    value: float | None
    covered: float
    reasons: tuple[Reason, ...]


def adjust(table: pd.DataFrame, strata: tuple[str, ...], *, covered_min: float = 0.5) -> list[Adjusted]:
    """`table` has `provider`, the strata's columns, `value` (ratio, NaN where undefined) and `n`; a row a provider and stratum."""
    rows = table[table["n"] > 0].dropna(subset=["value"])
    if rows.empty:
        return []
    rows = rows.assign(hits=rows["value"] * rows["n"])
    keys = list(strata)
    common = rows.groupby(keys, as_index=False)[["hits", "n"]].sum()
    common["weight"] = common["n"] / common["n"].sum()
    common["usual"] = common["hits"] / common["n"]
    joined = rows.merge(common[[*keys, "weight", "usual"]], on=keys)
    overall = float(common["hits"].sum() / common["n"].sum())
    return [
        _of_provider(str(name), part, keys, overall, covered_min)
        for name, part in joined.groupby("provider", sort=True)
    ]


def _of_provider(name: str, part: pd.DataFrame, keys: list[str], overall: float, covered_min: float) -> Adjusted:
    n = int(part["n"].sum())
    solid = part[part["n"] >= STRATUM_N_MIN]
    covered = float(solid["weight"].sum())
    better = float(((solid["value"] - solid["usual"]) * solid["weight"]).sum())
    value = overall + better if covered >= covered_min else None
    own = part["n"] / n
    effects = part.assign(own=own, effect=(own - part["weight"]) * (part["usual"] - overall))
    largest = effects.reindex(effects["effect"].abs().sort_values(ascending=False).index).head(_REASONS_MAX)
    reasons = tuple(
        Reason(tuple(str(row[key]) for key in keys), float(row["own"]), float(row["weight"]), float(row["effect"]))
        for row in largest.to_dict("records")
        if abs(row["effect"]) >= 0.001
    )
    return Adjusted(name, float(part["hits"].sum() / n), n, value, covered, reasons)
