"""Where a fact lies in Redis, and for how long: one hash for everything that is asked for together, one field a fact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from core.events import Category
from service.facts import (
    AnyFact,
    ApiKey,
    ApiKeyRevocation,
    Attempt,
    IdempotencyAnswer,
    IdempotencyClaim,
    InboundMessage,
    OptOut,
    Request,
)

HOUR_SECONDS = 3600
MARGIN_SECONDS = HOUR_SECONDS  # beyond the life of a verification: receipts and late checks still find it
MESSAGE_SECONDS = 24 * HOUR_SECONDS
WINDOW_SECONDS = 25 * HOUR_SECONDS  # the longest limit is a day; Idempotency-Keys are kept as long
KEY_SECONDS = 7 * 24 * HOUR_SECONDS  # an API key that nobody used for a week is asked of the primary store again
FOR_EVER = 0

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = msgspec.json.Encoder(uuid_format="canonical")
_decoder: msgspec.json.Decoder[AnyFact] = msgspec.json.Decoder(AnyFact)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A hash, a field of it, and the sorted set that finds the hash ("-" where nothing has to)."""

    hash: str
    field: str
    life_seconds: int
    set: str = "-"
    member: str = ""


def encode(fact: AnyFact) -> bytes:
    return _encoder.encode(fact)


def decode(value: bytes) -> AnyFact:
    return _decoder.decode(value)


def microseconds(at: datetime) -> int:
    """A score: exact, as a double holds it until the year 2255."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(score: float) -> datetime:
    return _EPOCH + timedelta(microseconds=int(score))


def request_hash(request_id: UUID) -> str:
    return f"request:{request_id}"


def claim_hash(app: str, idempotency_key: str) -> str:
    return f"claim:{app}:{idempotency_key}"


def key_hash(hashed: str) -> str:
    return f"key:{hashed}"


def opt_out_hash(phone_hash: str) -> str:
    return f"opt-out:{phone_hash}"


def living_set(*, app: str, phone_hash: str, purpose: str) -> str:
    return f"living:{phone_hash}:{app}:{purpose}"


def sends_set(phone_hash: str, category: Category) -> str:
    # Codes have the name that all had before there was one for each: what an older version wrote counts as a code.
    return f"sends:{phone_hash}" if category == "code" else f"sends:{phone_hash}:{category}"


def place_of(fact: AnyFact, now: datetime) -> Place:
    """Where `fact` goes. What belongs to a request lies with it, and lives as long."""
    match fact:
        case Request():
            return _place_of_request(fact, now)
        case IdempotencyClaim() | IdempotencyAnswer():
            where = claim_hash(fact.app, fact.idempotency_key)
            return Place(hash=where, field=_tag(fact), life_seconds=WINDOW_SECONDS)
        case ApiKey() | ApiKeyRevocation():
            return Place(hash=key_hash(fact.key_hash), field=_tag(fact), life_seconds=KEY_SECONDS)
        case OptOut():
            return Place(hash=opt_out_hash(fact.phone_hash), field=fact.message_hash, life_seconds=FOR_EVER)
        case InboundMessage():
            where = f"inbound:{fact.provider}:{fact.message_hash}"
            return Place(hash=where, field=_tag(fact), life_seconds=WINDOW_SECONDS)
        case _:
            return _place_beside_request(fact)


def _place_of_request(request: Request, now: datetime) -> Place:
    where = request_hash(request.id)
    if request.expires_at is None:
        return Place(hash=where, field=_tag(request), life_seconds=MESSAGE_SECONDS)
    left = max((request.expires_at - now).total_seconds(), 0)
    return Place(
        hash=where,
        field=_tag(request),
        life_seconds=int(left) + MARGIN_SECONDS,
        set=living_set(app=request.app, phone_hash=request.phone_hash, purpose=request.purpose),
        member=str(request.id),
    )


def _place_beside_request(fact: AnyFact) -> Place:
    request_id: UUID = fact.request_id  # type: ignore[union-attr]  # the other kinds were taken out above
    where, rest = request_hash(request_id), [str(part) for part in fact.key[1:]]
    field = ":".join([_tag(fact), *rest])
    if isinstance(fact, Attempt) and fact.was_asked_for:
        member = f"{request_id}:{fact.attempt}"
        sends = sends_set(fact.phone_hash, fact.category)
        return Place(hash=where, field=field, life_seconds=MARGIN_SECONDS, set=sends, member=member)
    return Place(hash=where, field=field, life_seconds=MARGIN_SECONDS)


def _tag(fact: AnyFact) -> str:
    return str(fact.__struct_config__.tag)
