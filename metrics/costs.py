"""What a delivered message and an entered code cost, by the price list of the settings: accepted parts are paid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from core.settings.sending import Price
from core.warehouse import Warehouse
from metrics import cohorts
from metrics.cohorts import Filters

COLUMNS = ("provider", "cost", "code_cost", "delivered", "approved", "per_delivered", "per_approved", "priced")


def costs(
    warehouse: Warehouse, prices: Sequence[Price], *, start: datetime, end: datetime, filters: Filters
) -> pd.DataFrame:
    """One row a provider that accepted something: `COLUMNS`; costs in the currency of the list.

    A price for a country goes before the provider's general one. `priced` is the share of accepted messages that had a
    price; costs are of those alone, as are `delivered` and `approved`: undefined where it is 0. `approved` counts attempts
    whose own code was entered, and is what `code_cost` is divided by, the part of `cost` that codes have: what notifications
    and marketing cost brings no code. A quotient is NaN where nothing was delivered or approved. Raises `BadInput`,
    `WarehouseUnavailable`.
    """
    cohorts.check_window(start, end)
    cohorts.check_filters(filters)
    where = " AND ".join([cohorts.WINDOW, "accepted", *cohorts.filter_clauses(filters)])
    sql = f"""
        SELECT provider, country, count() AS n, sum(segments) AS parts, sumIf(segments, is_code) AS code_parts,
               countIf(delivered) AS delivered, countIf(is_code AND filled_at IS NOT NULL) AS approved
        FROM attempts FINAL WHERE {where} GROUP BY provider, country"""
    rows = warehouse.query_df(sql, {**cohorts.window(start, end), **cohorts.filter_values(filters)})
    if rows.empty or not prices:
        return pd.DataFrame(columns=list(COLUMNS))
    listed = {(price.provider, price.country): price.per_part for price in prices}
    pairs = zip(rows["provider"], rows["country"], strict=True)
    rows["price"] = [listed.get((name, country), listed.get((name, ""))) for name, country in pairs]
    rows["price"] = rows["price"].astype("float64")
    all_of = rows.groupby("provider")["n"].sum()
    known = rows.dropna(subset=["price"])
    known = known.assign(cost=known["price"] * known["parts"], code_cost=known["price"] * known["code_parts"])
    table = known.groupby("provider")[["cost", "code_cost", "n", "delivered", "approved"]].sum().reindex(all_of.index)
    table["per_delivered"] = table["cost"] / table["delivered"].where(table["delivered"] > 0)
    table["per_approved"] = table["code_cost"] / table["approved"].where(table["approved"] > 0)
    table["priced"] = table["n"].fillna(0) / all_of
    counts = {"delivered": "Int64", "approved": "Int64"}  # which stay whole beside a provider that has none
    return table.astype(counts).reset_index()[list(COLUMNS)]
