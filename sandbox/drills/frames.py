"""Columns of a stretch as the warehouse would hold them, joined into one frame of attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sandbox.history.lines import RECEIPTS, REFUSALS, answer_code, mixed
from sandbox.world import COUNTRIES, PROVIDERS, areas
from sandbox.world.fates import CLASSES, NEVER, Bools, Codes, Floats
from sandbox.world.lives import (
    APP_NAMES,
    CATEGORIES,
    CAUSES,
    PURPOSE_NAMES,
    RESULTS,
    TEMPLATES,
    Checks,
    Past,
    Requests,
    is_own_code,
)

OUTCOMES = ("accepted", "rejected", "failed", "unknown", "refused")
CARRIERS = tuple(dict.fromkeys(area.carrier for area in areas()))
REGIONS = tuple(dict.fromkeys(area.region for area in areas()))
_COUNTRY_CODES = tuple(COUNTRIES)
_PEOPLE_PER_WEIGHT = 600_000


def _answer_code(provider: str, answer: int, error: str) -> str:
    """The provider's word for an answer; "" where there is none."""
    possible = error in REFUSALS[provider] if answer == 1 else answer > 1
    return answer_code(provider, answer, error) if possible else ""


_ANSWER_CODES = [
    _answer_code(provider, answer, error) for provider in PROVIDERS for answer in range(4) for error in CLASSES
]
_RECEIPT_CODES = [
    RECEIPTS[provider].get(error, ("", ""))[1] if error else "" for provider in PROVIDERS for error in CLASSES
]
OUTCOME_CODES = tuple(dict.fromkeys(_ANSWER_CODES))
FAILURE_CODES = tuple(dict.fromkeys(_RECEIPT_CODES))
_OUTCOME_CODE = np.array([OUTCOME_CODES.index(code) for code in _ANSWER_CODES], dtype=np.int8)
_FAILURE_CODE = np.array([FAILURE_CODES.index(code) for code in _RECEIPT_CODES], dtype=np.int8)

_NAMES: Mapping[str, Sequence[str]] = {
    "provider": PROVIDERS,
    "carrier": CARRIERS,
    "country": _COUNTRY_CODES,
    "region": REGIONS,
    "app": APP_NAMES,
    "purpose": PURPOSE_NAMES,
    "template": TEMPLATES,
    "category": CATEGORIES,
    "cause": CAUSES,
    "outcome": OUTCOMES,
    "outcome_class": CLASSES,
    "outcome_code": OUTCOME_CODES,
    "failure_class": CLASSES,
    "failure_code": FAILURE_CODES,
}
_AREA_COLUMNS = {
    "carrier": np.array([CARRIERS.index(area.carrier) for area in areas()], dtype=np.int8),
    "country": np.array([_COUNTRY_CODES.index(area.country) for area in areas()], dtype=np.int8),
    "region": np.array([REGIONS.index(area.region) for area in areas()], dtype=np.int8),
}

Columns = dict[str, NDArray[Any]]


def phones_of(rng: np.random.Generator, requests: Requests, *, seed: int) -> NDArray[np.uint64]:
    """A keyed hash of each one's number: people of the area who come back; machines use numbers of their own."""
    sizes = np.array([max(50, int(area.weight * _PEOPLE_PER_WEIGHT)) for area in areas()])
    person = (rng.random(len(requests.area)) * np.where(requests.bot, 2**31, sizes[requests.area])).astype(np.uint64)
    person += np.where(requests.bot, np.uint64(2**31), np.uint64(0))
    return mixed((requests.area.astype(np.uint64) << np.uint64(32)) | person, seed * 2 + 1)


def columns_of(past: Past, phones: NDArray[np.uint64], *, first_request: int) -> Columns:
    """One row an attempt, in the order of drawing."""
    attempts, requests, fate = past.attempts, past.requests, past.attempts.fate
    whom, provider = attempts.request, attempts.provider
    delivered = fate.delivered & (fate.final_seconds < NEVER)
    failed = ~fate.delivered & (fate.final_seconds < NEVER)
    failure = np.where(failed, fate.failure, 0)
    small = {
        "provider": provider,
        "app": requests.app[whom],
        "purpose": requests.purpose[whom],
        "template": requests.template[whom],
        "category": requests.category[whom],
        "cause": attempts.cause,
        "attempt": attempts.number,
        "outcome": fate.answer,
        "outcome_class": fate.error,
        "outcome_code": _OUTCOME_CODE[(provider * 4 + fate.answer) * len(CLASSES) + fate.error],
        "failure_class": failure,
        "failure_code": _FAILURE_CODE[provider * len(CLASSES) + failure],
    }
    area = requests.area[whom]
    return {
        "submitted_at": stamps(attempts.at),
        "request": first_request + whom,
        "phone_hash": phones[whom],
        **{name: values[area] for name, values in _AREA_COLUMNS.items()},
        **{name: values.astype(np.int8) for name, values in small.items()},
        "receipt_at": stamps(attempts.at + np.minimum(fate.pending_seconds, fate.final_seconds)),
        "delivered_at": stamps(np.where(delivered, attempts.at + fate.final_seconds, NEVER)),
        "failed_at": stamps(np.where(failed, attempts.at + fate.final_seconds, NEVER)),
        **_verification_columns(past),
    }


def _verification_columns(past: Past) -> Columns:
    attempts, checks = past.attempts, past.checks
    count = len(attempts.at)
    row_of = _Rows(attempts.request, attempts.number, len(past.requests.at))
    filled, approved, first_at, resent = (np.full(count, NEVER) for _ in range(4))
    first_right = np.zeros(count, dtype=bool)
    right = checks.attempt > 0
    filled[row_of(checks.request[right], checks.attempt[right])] = checks.at[right]
    good = checks.result == RESULTS.index("approved")
    approved[row_of(checks.request[good], 1)] = checks.at[good]
    first = _first_checks(checks, own=is_own_code(past.requests))
    rows = row_of(checks.request[first], 1)
    first_at[rows], first_right[rows] = checks.at[first], good[first]
    again = np.flatnonzero(attempts.cause == CAUSES.index("resend"))
    np.minimum.at(resent, row_of(attempts.request[again], 1), attempts.at[again])
    times = {"filled_at": filled, "approved_at": approved, "resent_at": resent, "first_check_at": first_at}
    return {**{name: stamps(at) for name, at in times.items()}, "first_check_right": first_right}


def _first_checks(checks: Checks, *, own: Bools) -> Codes:
    """The first check of every verification; codes that the sender made are not checked by us."""
    return np.flatnonzero((checks.number == 1) & ~own[checks.request])


class _Rows:
    """Finds the row of an attempt by its request and number."""

    def __init__(self, request: Codes, number: Codes, requests: int) -> None:
        self._order = np.lexsort((number, request))
        self._first = np.concatenate([[0], np.cumsum(np.bincount(request, minlength=requests))])

    def __call__(self, request: Codes, number: Codes | int) -> Codes:
        return np.asarray(self._order[self._first[request] + number - 1])


def stamps(seconds: Floats) -> NDArray[np.datetime64]:
    """Moments to the millisecond, NaT where nothing happens."""
    never = ~np.isfinite(seconds)
    whole = np.floor(np.where(never, 0.0, seconds) * 1000).astype(np.int64)
    return np.where(never, np.datetime64("NaT"), whole.astype("datetime64[ms]"))


def frame_of(parts: Sequence[Columns]) -> pd.DataFrame:
    """All stretches in one frame, in order of submission."""
    order = np.argsort(np.concatenate([part["submitted_at"] for part in parts]), kind="stable")
    columns: dict[str, Any] = {}
    for name in list(parts[0]):
        values = np.concatenate([part.pop(name) for part in parts])[order]
        columns[name] = _category(name, values) if name in _NAMES else values
    return pd.DataFrame(columns, copy=False)


def _category(name: str, codes: NDArray[np.int8]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, categories=pd.Index(list(_NAMES[name]), dtype="str"))
