"""Columns as event lines: the JSON of `core.events`, without the ids that it makes itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sandbox.world import COUNTRIES, PROVIDERS, areas
from sandbox.world.fates import CLASSES, NEVER, Codes, Floats
from sandbox.world.lives import (
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
    is_own_code,
)
from sandbox.world.places import other_carrier
from sandbox.world.traffic import STOPS_PER_MESSAGE, TEXTS, VALUES, Text
from service.providers.base.segments import segments_of

_OUTCOMES = ("accepted", "rejected", "failed", "unknown")

REFUSALS: Mapping[str, Mapping[str, str]] = {
    # by provider: the code in its answer when it refuses, by our class
    "aurora": {"number": "52001", "blocked": "52005", "throttled": "52006", "account": "51003"},
    "beacon": {
        "number": "InvalidParameter.Number",
        "blocked": "InvalidParameter.Template",
        "throttled": "LimitExceeded.Rate",
        "account": "Account.Balance",
    },
    "cumulus": {"number": "110", "blocked": "121", "throttled": "130", "account": "102"},
    "delta": {
        "number": "recipient_invalid",
        "blocked": "content_filtered",
        "throttled": "rate_exceeded",
        "account": "funds_insufficient",
    },
}
RECEIPTS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    # by provider: status and code in its receipts, as its adapter tells them, by our status or, for failures, our class
    "aurora": {
        "pending": ("sent", ""), "delivered": ("delivered", ""), "handset": ("undelivered", "53001"),
        "number": ("undelivered", "53003"), "blocked": ("undelivered", "53004"), "opted_out": ("undelivered", "53009"),
        "throttled": ("undelivered", "53008"), "route": ("undelivered", "53005"), "expired": ("undelivered", "53007"),
        "unknown": ("undelivered", "59999"),
    },
    "beacon": {
        "pending": ("ENROUTE", ""), "delivered": ("DELIVRD", "000"), "handset": ("UNDELIV", "MK:0005"),
        "number": ("UNDELIV", "MK:0001"), "blocked": ("REJECTD", "DB:0142"), "opted_out": ("REJECTD", "DB:0144"),
        "throttled": ("UNDELIV", "MB:1042"), "route": ("UNDELIV", "MB:0069"), "expired": ("EXPIRED", "MI:0029"),
        "unknown": ("UNDELIV", "XA:9999"),
    },
    "cumulus": {
        "pending": ("4", ""), "delivered": ("1", ""), "handset": ("2", "10"),
        "number": ("2", "12"), "blocked": ("5", "21"), "opted_out": ("5", "22"),
        "throttled": ("2", "32"), "route": ("2", "30"), "expired": ("3", "40"), "unknown": ("2", "77"),
    },
    "delta": {
        "pending": ("buffered", ""), "delivered": ("delivered", ""), "handset": ("undeliverable", "subscriber_absent"),
        "number": ("undeliverable", "subscriber_unknown"), "blocked": ("rejected", "content_filtered"),
        "opted_out": ("rejected", "subscriber_opted_out"), "throttled": ("undeliverable", "recipient_rate_exceeded"),
        "route": ("undeliverable", "network_error"), "expired": ("expired", "validity_ended"),
        "unknown": ("undeliverable", "moon_in_retrograde"),
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
    twelve = rng.integers(0, 1 << 12, len(at), dtype=np.uint64)
    rest = rng.integers(0, 1 << 62, len(at), dtype=np.uint64)
    return uuid7_texts(np.floor(at * 1000).astype(np.uint64), twelve, rest)


def uuid7_texts(milliseconds: NDArray[np.uint64], twelve: NDArray[np.uint64], rest: NDArray[np.uint64]) -> list[str]:
    """UUIDv7s, canonical, of their time and the 12 and 62 bits that are free."""
    high = (milliseconds << np.uint64(16)) | np.uint64(0x7000) | twelve
    low = np.uint64(0b10 << 62) | rest
    return [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in _hex(high, low)]


def _hex(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> list[str]:
    text = np.stack([high, low], axis=1).astype(">u8").tobytes().hex()
    return [text[place : place + 32] for place in range(0, len(text), 32)]


def _phone_hashes(rng: np.random.Generator, requests: Requests, *, seed: int) -> list[str]:
    """The hash of a subscriber of the area: nobody has these numbers, the same person returns under the same hash."""
    sizes = np.array([max(50, int(area.weight * _PEOPLE_PER_WEIGHT)) for area in areas()])
    person = (rng.random(len(requests.area)) * sizes[requests.area]).astype(np.uint64)
    key = (requests.area.astype(np.uint64) << np.uint64(32)) | person
    return _hex(mixed(key, seed * 2 + 1), mixed(key, seed * 2 + 2))


def mixed(key: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
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
    dims, categories, segments = _dims(requests), requests.category.tolist(), _segments(requests)
    told = _outcomes(attempts)
    latency = np.round(np.minimum(attempts.fate.answer_seconds, TIMEOUT_SECONDS) * 1000).astype(int).tolist()
    text = [
        f'{{"kind":"send","at":"{at}","request_id":"{ids[row]}","attempt":{number},"provider":"{PROVIDERS[provider]}",'
        f'{dims[row]},"category":"{CATEGORIES[categories[row]]}","segments":{segments[row]},"cause":"{CAUSES[cause]}",{outcome},"latency_ms":{ms},"phone_hash":"{phones[row]}"}}'
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


def _dims(requests: Requests) -> list[str]:
    """The dimensions of every request, but the provider."""
    places = [f'"country":"{a.country}","carrier":"{a.carrier}","region":"{a.region}"' for a in areas()]
    return [
        f'{places[area]},"app":"{APP_NAMES[app]}","purpose":"{PURPOSE_NAMES[purpose]}","template":"{TEMPLATES[template]}"'
        for area, app, purpose, template in zip(
            requests.area.tolist(),
            requests.app.tolist(),
            requests.purpose.tolist(),
            requests.template.tolist(),
            strict=True,
        )
    ]


def _segments(requests: Requests) -> list[int]:
    """Parts of every request's text, as the service counts them: by template and language."""
    parts = np.array([[_parts(text, country.locale) for country in COUNTRIES.values()] for text in TEXTS])
    codes = list(COUNTRIES)
    country_of_area = np.array([codes.index(area.country) for area in areas()])
    counted: list[int] = parts[requests.template, country_of_area[requests.area]].tolist()
    return counted


def _parts(text: Text, locale: str) -> int:
    filled = text.locales[locale].replace("{code}", "0" * 6).replace("{minutes}", "10")
    for name in text.variables:
        filled = filled.replace(f"{{{name}}}", VALUES[name][0])
    return segments_of(filled)


def _outcomes(attempts: Attempts) -> list[str]:
    """Outcome, class and code, in the words of the provider."""
    return [
        '"outcome":"accepted"'
        if answer == 0
        else f'"outcome":"{_OUTCOMES[answer]}","error_class":"{CLASSES[error]}",'
        f'"error_code":"{answer_code(PROVIDERS[provider], answer, CLASSES[error])}"'
        for provider, answer, error in zip(
            attempts.provider.tolist(), attempts.fate.answer.tolist(), attempts.fate.error.tolist(), strict=True
        )
    ]


def answer_code(provider: str, answer: int, error: str) -> str:
    if answer == 1:
        return REFUSALS[provider][error]
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
    status = "pending" if interim else "delivered" if failure is None else "failed"
    error_class = CLASSES[failure] if status == "failed" and failure is not None else ""
    # classes that only answers have never reach a receipt; they stand for themselves
    word, code = RECEIPTS[provider].get(error_class or status, ("", ""))
    told = f'"provider":"{provider}","status":"{status}","raw_status":"{word}","raw_code":"{code}"'
    return f'{told},"error_class":"{error_class}"' if error_class else told


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
    # of codes that the sender made, only the right ones are told
    own_codes = is_own_code(requests)[checks.request]
    rows = np.flatnonzero(~own_codes | (checks.result == RESULTS.index("approved")))
    dims = _dims(requests)
    text = [
        f'{{"kind":"verify","at":"{at}","request_id":"{ids[request]}","attempt":{attempt},"check":{1 if own else number},'
        f'"result":"{RESULTS[result]}","source":"{"conversion" if own else "check"}",'
        f'"provider":"{PROVIDERS[provider] if attempt else ""}",{dims[request]}}}'
        for at, request, attempt, number, result, own, provider in zip(
            _times(checks.at[rows]),
            checks.request[rows].tolist(),
            checks.attempt[rows].tolist(),
            checks.number[rows].tolist(),
            checks.result[rows].tolist(),
            own_codes[rows].tolist(),
            checks.provider[rows].tolist(),
            strict=True,
        )
    ]
    return Lines(checks.at[rows], text)


def _inbounds(past: Past, rng: np.random.Generator, phones: list[str]) -> Lines:
    """A few of those who got a message answer with STOP."""
    attempts = past.attempts
    arrived = attempts.fate.arrives_seconds < NEVER
    rows = np.flatnonzero(arrived & (rng.random(len(arrived)) < STOPS_PER_MESSAGE))
    at = attempts.at[rows] + attempts.fate.arrives_seconds[rows]
    messages = _hex(*(rng.integers(0, 1 << 63, len(rows), dtype=np.uint64) for _ in range(2)))
    text = [
        f'{{"kind":"inbound","at":"{when}","provider":"{PROVIDERS[provider]}","message_hash":"{message}",'
        f'"phone_hash":"{phones[request]}","keyword":"stop"}}'
        for when, provider, message, request in zip(
            _times(at), attempts.provider[rows].tolist(), messages, attempts.request[rows].tolist(), strict=True
        )
    ]
    return Lines(at, text)
