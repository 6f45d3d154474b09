"""Columns as event lines: the JSON of `core.events`, without the ids that it makes itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sandbox.history.simulate import (
    APP_NAMES,
    CATEGORIES,
    CAUSES,
    PURPOSE_NAMES,
    RESULTS,
    TEMPLATES,
    TIMEOUT_SECONDS,
    Attempts,
    Past,
    Requests,
)
from sandbox.world import PROVIDERS, areas
from sandbox.world.fates import CLASSES, NEVER, Codes, Floats
from sandbox.world.places import other_carrier
from sandbox.world.traffic import STOPS_PER_MARKETING

_OUTCOMES = ("accepted", "rejected", "failed", "unknown")

WORDS: Mapping[str, Mapping[str, str]] = {
    # by provider: what it says when it refuses ("no "), and in receipts; classes as in core.events
    "aurora": {
        "no number": "52001", "no blocked": "52005", "no throttled": "52006", "no account": "51003",
        "delivered": "delivered", "failed": "undelivered", "pending": "sent",
        "handset": "53001", "number": "53003", "blocked": "53004", "opted_out": "53009", "throttled": "53008",
        "route": "53005", "expired": "53007", "unknown": "",
    },
    "beacon": {
        "no number": "InvalidParameter.Number", "no blocked": "InvalidParameter.Template",
        "no throttled": "LimitExceeded.Rate", "no account": "Account.Balance",
        "delivered": "DELIVRD", "failed": "UNDELIV", "pending": "ACCEPTD",
        "handset": "MK:0005", "number": "MK:0001", "blocked": "DB:0142", "opted_out": "DB:0144",
        "throttled": "MB:1042", "route": "MB:0069", "expired": "MI:0029", "unknown": "",
    },
    "cumulus": {
        "no number": "110", "no blocked": "121", "no throttled": "130", "no account": "102",
        "delivered": "1", "failed": "2", "pending": "4",
        "handset": "10", "number": "12", "blocked": "21", "opted_out": "22", "throttled": "32",
        "route": "30", "expired": "40", "unknown": "",
    },
    "delta": {
        "no number": "recipient_invalid", "no blocked": "content_filtered", "no throttled": "rate_exceeded",
        "no account": "funds_insufficient",
        "delivered": "delivered", "failed": "undeliverable", "pending": "buffered",
        "handset": "subscriber_absent", "number": "subscriber_unknown", "blocked": "content_filtered",
        "opted_out": "subscriber_opted_out", "throttled": "recipient_rate_exceeded", "route": "network_error",
        "expired": "validity_ended", "unknown": "",
    },
}  # fmt: skip

_PEOPLE_PER_WEIGHT = 600_000


@dataclass(frozen=True)
class Lines:
    """The lines of one kind with their times, in seconds since 1970."""

    at: Floats
    text: list[str]


def lines_of(past: Past, rng: np.random.Generator, *, seed: int) -> dict[str, Lines]:
    """All events of a stretch, by kind."""
    ids = request_ids(rng, past.requests.at)
    phones = _phone_hashes(rng, past.requests, seed=seed)
    return {
        "send": _sends(past, ids, phones),
        "receipt": _receipts(past, ids),
        "verify": _verifies(past, ids),
        "inbound": _inbounds(past, rng, phones),
    }


def request_ids(rng: np.random.Generator, at: Floats) -> list[str]:
    """A UUIDv7 for each moment, canonical."""
    high = (np.floor(at * 1000).astype(np.uint64) << np.uint64(16)) | np.uint64(0x7000)
    high |= rng.integers(0, 1 << 12, len(at), dtype=np.uint64)
    low = np.uint64(0b10 << 62) | rng.integers(0, 1 << 62, len(at), dtype=np.uint64)
    return [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in _hex(high, low)]


def _hex(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> list[str]:
    text = np.stack([high, low], axis=1).astype(">u8").tobytes().hex()
    return [text[place : place + 32] for place in range(0, len(text), 32)]


def _phone_hashes(rng: np.random.Generator, requests: Requests, *, seed: int) -> list[str]:
    """The hash of a subscriber of the area: nobody has these numbers, the same person returns under the same hash."""
    sizes = np.array([max(50, int(area.weight * _PEOPLE_PER_WEIGHT)) for area in areas()])
    person = (rng.random(len(requests.area)) * sizes[requests.area]).astype(np.uint64)
    key = (requests.area.astype(np.uint64) << np.uint64(32)) | person
    return _hex(_mixed(key, seed * 2 + 1), _mixed(key, seed * 2 + 2))


def _mixed(key: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """splitmix64: different keys give different, evenly spread values."""
    mixed = key + np.uint64((seed * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def _times(at: Floats) -> list[str]:
    stamps = np.datetime_as_string(np.floor(at * 1000).astype("datetime64[ms]"), unit="ms")
    return [f"{stamp}Z" for stamp in stamps.tolist()]


def _sends(past: Past, ids: list[str], phones: list[str]) -> Lines:
    attempts, requests = past.attempts, past.requests
    whom = attempts.request.tolist()
    dims = _send_dims(requests)
    told = _outcomes(attempts)
    latency = np.round(np.minimum(attempts.fate.answer_seconds, TIMEOUT_SECONDS) * 1000).astype(int).tolist()
    text = [
        f'{{"kind":"send","at":"{at}","request_id":"{ids[row]}","attempt":{number},"provider":"{PROVIDERS[provider]}",'
        f'{dims[row]},"cause":"{CAUSES[cause]}",{outcome},"latency_ms":{ms},"phone_hash":"{phones[row]}"}}'
        for at, row, number, provider, cause, outcome, ms in zip(
            _times(attempts.at),
            whom,
            attempts.number.tolist(),
            attempts.provider.tolist(),
            attempts.cause.tolist(),
            told,
            latency,
            strict=True,
        )
    ]
    return Lines(attempts.at, text)


def _send_dims(requests: Requests) -> list[str]:
    places = [f'"country":"{a.country}","carrier":"{a.carrier}","region":"{a.region}"' for a in areas()]
    return [
        f'{places[area]},"app":"{APP_NAMES[app]}","purpose":"{PURPOSE_NAMES[purpose]}",'
        f'"template":"{TEMPLATES[template]}","category":"{CATEGORIES[category]}"'
        for area, app, purpose, template, category in zip(
            requests.area.tolist(),
            requests.app.tolist(),
            requests.purpose.tolist(),
            requests.template.tolist(),
            requests.category.tolist(),
            strict=True,
        )
    ]


def _outcomes(attempts: Attempts) -> list[str]:
    """Outcome, class and code, in the words of the provider."""
    return [
        '"outcome":"accepted"'
        if answer == 0
        else f'"outcome":"{_OUTCOMES[answer]}","error_class":"{CLASSES[error]}",'
        f'"error_code":"{_answer_code(PROVIDERS[provider], answer, CLASSES[error])}"'
        for provider, answer, error in zip(
            attempts.provider.tolist(), attempts.fate.answer.tolist(), attempts.fate.error.tolist(), strict=True
        )
    ]


def _answer_code(provider: str, answer: int, error: str) -> str:
    if answer == 1:
        return WORDS[provider][f"no {error}"]
    return "http_503" if answer == 2 else "no_answer"


def _receipts(past: Past, ids: list[str]) -> Lines:
    fate = past.attempts.fate
    kinds = ((fate.pending_seconds, True), (fate.final_seconds, False), (fate.duplicate_seconds, False))
    parts = [_receipts_at(past, ids, seconds, interim=interim) for seconds, interim in kinds]
    return Lines(np.concatenate([part.at for part in parts]), [line for part in parts for line in part.text])


def _receipts_at(past: Past, ids: list[str], seconds: Floats, *, interim: bool) -> Lines:
    attempts = past.attempts
    rows = np.flatnonzero(seconds < NEVER)
    at = attempts.at[rows] + seconds[rows]
    # the provider's clock, to the second, a little before its receipt is here
    provider_at = np.maximum(np.floor(at - 0.2), np.floor(attempts.at[rows]))
    area = past.requests.area[attempts.request[rows]]
    text = [
        f'{{"kind":"receipt","at":"{when}","provider_at":"{there}","request_id":"{ids[request]}","attempt":{number},{said}{named}}}'
        for when, there, request, number, said, named in zip(
            _times(at),
            _times(provider_at),
            attempts.request[rows].tolist(),
            attempts.number[rows].tolist(),
            _said(attempts, rows, interim=interim),
            [""] * len(rows) if interim else _named_carriers(attempts, rows, area),
            strict=True,
        )
    ]
    return Lines(at, text)


def _said(attempts: Attempts, rows: Codes, *, interim: bool) -> list[str]:
    """Provider, status and class, ours and in its words."""
    fragments = {
        (number, failure): _receipt_fragment(provider, interim=interim, failure=failure)
        for number, provider in enumerate(PROVIDERS)
        for failure in (None, *range(len(CLASSES)))
    }
    delivered = attempts.fate.delivered[rows] | interim
    return [
        fragments[provider, None if good else failure]
        for provider, good, failure in zip(
            attempts.provider[rows].tolist(), delivered.tolist(), attempts.fate.failure[rows].tolist(), strict=True
        )
    ]


def _receipt_fragment(provider: str, *, interim: bool, failure: int | None) -> str:
    words = WORDS[provider]
    status = "pending" if interim else "delivered" if failure is None else "failed"
    told = f'"provider":"{provider}","status":"{status}","raw_status":"{words[status]}"'
    if status != "failed" or failure is None:
        return told
    return f'{told},"error_class":"{CLASSES[failure]}","raw_code":"{words.get(CLASSES[failure], "")}"'


def _named_carriers(attempts: Attempts, rows: Codes, area: Codes) -> list[str]:
    here = [f',"carrier":"{a.carrier}"' for a in areas()]
    ported = [f',"carrier":"{other_carrier(a.country, a.carrier)}"' for a in areas()]
    return [
        (ported if moved else here)[place] if named else ""
        for place, named, moved in zip(
            area.tolist(),
            attempts.fate.names_carrier[rows].tolist(),
            attempts.fate.ported[rows].tolist(),
            strict=True,
        )
    ]


def _verifies(past: Past, ids: list[str]) -> Lines:
    checks, requests = past.checks, past.requests
    # the app "ride" makes its own codes and tells us of the right ones only
    own_codes = (requests.app == APP_NAMES.index("ride"))[checks.request]
    rows = np.flatnonzero(~own_codes | (checks.result == RESULTS.index("approved")))
    text = [
        f'{{"kind":"verify","at":"{at}","request_id":"{ids[request]}","attempt":{attempt},"check":{1 if own else number},'
        f'"result":"{RESULTS[result]}","source":"{"conversion" if own else "check"}",'
        f'"app":"{APP_NAMES[app]}","purpose":"{PURPOSE_NAMES[purpose]}"}}'
        for at, request, attempt, number, result, own, app, purpose in zip(
            _times(checks.at[rows]),
            checks.request[rows].tolist(),
            checks.attempt[rows].tolist(),
            checks.number[rows].tolist(),
            checks.result[rows].tolist(),
            own_codes[rows].tolist(),
            requests.app[checks.request[rows]].tolist(),
            requests.purpose[checks.request[rows]].tolist(),
            strict=True,
        )
    ]
    return Lines(checks.at[rows], text)


def _inbounds(past: Past, rng: np.random.Generator, phones: list[str]) -> Lines:
    """A few of those who got marketing answer with STOP."""
    attempts = past.attempts
    arrived = attempts.fate.arrives_seconds < NEVER
    marketing = past.requests.category[attempts.request] == CATEGORIES.index("marketing")
    stops = rng.random(len(arrived)) < STOPS_PER_MARKETING
    rows = np.flatnonzero(arrived & marketing & stops)
    at = attempts.at[rows] + attempts.fate.arrives_seconds[rows] + 180 * np.exp(rng.standard_normal(len(rows)))
    messages = _hex(*(rng.integers(0, 1 << 63, len(rows), dtype=np.uint64) for _ in range(2)))
    text = [
        f'{{"kind":"inbound","at":"{when}","provider":"{PROVIDERS[provider]}","message_hash":"{message}",'
        f'"phone_hash":"{phones[request]}","keyword":"stop"}}'
        for when, provider, message, request in zip(
            _times(at), attempts.provider[rows].tolist(), messages, attempts.request[rows].tolist(), strict=True
        )
    ]
    return Lines(at, text)
