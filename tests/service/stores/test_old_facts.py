"""Old facts go in small batches, and nothing else does; what a backup has to know comes in pages, each fact once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from core.ids import uuid7_from
from service.facts import (
    FOLLOWS,
    OWN_APP,
    AnyFact,
    ApiKey,
    ApiKeyRevocation,
    EncryptedNumber,
    IdempotencyAnswer,
    IdempotencyClaim,
    InboundMessage,
)
from service.stores import Bookmark, Cutoffs
from service.stores.sql import SqlStore
from tests.service.stores import facts
from tests.service.stores.facts import new_hash, new_id

NOW = datetime.now(UTC)
CUTOFFS = Cutoffs(now=NOW, claims=NOW - timedelta(hours=24), facts=NOW - timedelta(days=400))


def life_at(at: datetime, key: str) -> list[AnyFact]:
    request = facts.request(id=uuid7_from(at, key), at=at, expires_at=at + timedelta(minutes=10))
    number = EncryptedNumber(request_id=request.id, at=at, key_id="k", ciphertext=b"c")
    inbound = InboundMessage(
        provider="aurora", message_hash=new_hash(), phone_hash=request.phone_hash, at=at, keyword="stop"
    )
    rest = [facts.attempt(request), facts.outcome(request), facts.receipt(request), facts.check(request, 1)]
    return [request, *rest, facts.approval(request), number, inbound]


def claim(at: datetime, key: str, *, app: str = "shop") -> list[AnyFact]:
    answer = IdempotencyAnswer(app=app, idempotency_key=key, at=at, status=201, body=b"{}")
    return [IdempotencyClaim(app=app, idempotency_key=key, at=at, fingerprint="f", request_id=new_id()), answer]


async def purged(store: SqlStore, *, batch_max: int) -> list[int]:
    counts = []
    while count := await store.purge(CUTOFFS, batch_max=batch_max):
        counts.append(count)
    return counts


async def test_what_is_old_goes_in_batches_and_what_is_not_stays(sql_store: SqlStore):
    old = [fact for number in range(5) for fact in life_at(NOW - timedelta(days=401), f"old {number}")]
    young = life_at(NOW - timedelta(days=399), "young")
    old_claims = [fact for number in range(7) for fact in claim(NOW - timedelta(hours=25), f"old {number}")]
    own = claim(NOW - timedelta(hours=25), "a turn", app=OWN_APP)[:1]
    kept = [*young, *claim(NOW - timedelta(hours=23), "young"), *own, facts.opt_out(new_hash(), at=old[0].at)]
    for rows in (old, old_claims, kept):
        await sql_store.write(rows)
    counts = await purged(sql_store, batch_max=4)

    assert sum(counts) == len(old) + len(old_claims)
    assert max(counts) == 4
    assert await sql_store.write(kept) == [False] * len(kept)
    assert await sql_store.write(old) == [True] * len(old)


async def test_a_key_whose_claim_is_gone_is_free_again(sql_store: SqlStore):
    await sql_store.write(claim(NOW - timedelta(hours=25), "order"))
    await purged(sql_store, batch_max=100)
    [again, _] = claim(NOW, "order")

    assert (await sql_store.claim(again)).ours


@pytest.mark.parametrize(
    ("ages_hours", "left"),
    [((25, 1), 2), ((49, 25, 1), 3), ((50, 25), 0), ((75, 50, 25), 0), ((24 * 31, 25, 1), 2)],
    ids=["used again", "used again twice", "over", "all over", "too long ago"],
)
async def test_a_claim_stays_while_another_follows_it(sql_store: SqlStore, ages_hours: Sequence[int], left: int):
    names = ["order" + FOLLOWS * number for number in range(len(ages_hours))]
    rows = [claim(NOW - timedelta(hours=age), name)[0] for age, name in zip(ages_hours, names, strict=True)]
    await sql_store.write(rows)
    await purged(sql_store, batch_max=100)
    written = await sql_store.write(rows)

    assert written.count(False) == left


async def test_a_backup_is_told_everything_it_has_to_know_once_and_nothing_else(sql_store: SqlStore):
    hour = timedelta(hours=1)
    living = [facts.request(at=NOW, expires_at=NOW + timedelta(minutes=number + 1)) for number in range(5)]
    of_living = [fact for row in living for fact in (row, facts.attempt(row), facts.check(row, 1))]
    lasting: list[AnyFact] = [facts.opt_out(new_hash()) for _ in range(7)]
    lasting += [ApiKey(key_hash=new_hash(), at=NOW, app="shop", label="", scopes="send") for _ in range(3)]
    lasting += [ApiKeyRevocation(key_hash=new_hash(), at=NOW)]
    lasting += [fact for number in range(5) for fact in claim(NOW - hour, f"k{number}")]
    over = [*life_at(NOW - 30 * hour, "over"), *claim(NOW - 30 * hour, "over")]
    for rows in (of_living, lasting, over):
        await sql_store.write(rows)
    told: list[AnyFact] = []
    bookmark: Bookmark | None = Bookmark()
    while bookmark is not None:
        page = await sql_store.page(bookmark, now=NOW, claims_since=NOW - 24 * hour, most=2)
        told, bookmark = [*told, *page.facts], page.following

    assert sorted(map(str, told)) == sorted(map(str, [*of_living, *lasting]))
