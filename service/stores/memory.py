"""The twin of a store in the process: same promises, nothing survives the process. `available = False` makes it refuse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from time import monotonic
from typing import TypeVar, cast
from uuid import UUID

import msgspec

from core.clock import Timer
from core.errors import MirrorUnavailable, StoreUnavailable
from core.events import Category
from core.ids import time_of
from service.facts import (
    FOLLOWS,
    OWN_APP,
    AnyFact,
    ApiKey,
    ApiKeyRevocation,
    Approval,
    Attempt,
    AttemptOutcome,
    Check,
    Fact,
    IdempotencyAnswer,
    IdempotencyClaim,
    OptOut,
    Request,
    RequestState,
)
from service.stores import (
    Bookmark,
    Candidate,
    CheckOrder,
    CheckSubject,
    CheckVerdict,
    Claim,
    Cutoffs,
    Earlier,
    Heard,
    Page,
    SendSubject,
)
from service.stores.derive import (
    assemble,
    earlier_by_parts,
    facts_of_verdict,
    is_living,
    known_candidates,
    latest_word,
    newest,
    next_verdict,
)
from service.stores.faults import FaultClass, MirrorFault, StoreFault

Kind = TypeVar("Kind", bound=Fact)


class MemoryStore:
    """Facts in dictionaries. With `as_mirror=True` it fails as Redis does, else as MySQL does, with the class in `fault`."""

    def __init__(self, *, as_mirror: bool = False, timer: Timer = monotonic) -> None:
        self._timer = timer
        self.available = True
        self.fault = FaultClass.FATAL
        self._as_mirror = as_mirror
        self._facts: dict[type[Fact], dict[tuple[object, ...], AnyFact]] = defaultdict(dict)
        self._of_request: dict[UUID, list[AnyFact]] = defaultdict(list)
        self._of_number: dict[str, list[Request]] = defaultdict(list)
        self._sends: dict[tuple[str, Category], list[datetime]] = defaultdict(list)
        self._note, self._note_order = b"", 0
        self._is_warm = False
        self._owed: dict[str, int | None] = {}
        self._hearers: dict[str, int] = {}
        self._calls: dict[UUID, CheckVerdict] = {}

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        self._require()
        return [self._insert(fact) for fact in facts]

    async def request(self, request_id: UUID) -> RequestState | None:
        self._require()
        return self._state(request_id)

    async def brief(self, request_id: UUID) -> RequestState | None:
        return await self.request(request_id)

    async def checks(self, request_id: UUID) -> list[Check]:
        self._require()
        found = [row for row in self._of_request[request_id] if isinstance(row, Check)]
        return sorted(found, key=lambda row: row.check)

    async def living(self, *, app: str, phone_hash: str, purpose: str, now: datetime) -> RequestState | None:
        self._require()
        requests = (row for row in self._of_number[phone_hash] if (row.app, row.purpose) == (app, purpose))
        states = (assemble(row, self._of_request[row.id]) for row in requests)
        return newest(state for state in states if is_living(state, now))

    def id_for(self, *, app: str, phone_hash: str, purpose: str, fresh: UUID) -> UUID:
        return fresh

    async def candidates(self, subject: CheckSubject) -> Sequence[Candidate]:
        return await known_candidates(self, subject)

    async def sends_since(self, *, phone_hash: str, category: Category, since: datetime) -> list[datetime]:
        self._require()
        return sorted(at for at in self._sends[phone_hash, category] if at >= since)

    async def earlier(self, subject: SendSubject) -> Earlier:
        return await earlier_by_parts(self, subject)

    async def opted_out(self, phone_hash: str) -> bool:
        self._require()
        word = latest_word(row for row in self._rows(OptOut) if row.phone_hash == phone_hash)
        return word is not None and word.keyword == "stop"

    async def check(self, order: CheckOrder) -> CheckVerdict:
        self._require()
        if order.call in self._calls:
            return self._calls[order.call]
        numbers = [row.check for row in self._of_request[order.request_id] if isinstance(row, Check)]
        approved = (order.request_id,) in self._facts[Approval]
        verdict = next_verdict(order, counted=len(numbers), last=max(numbers, default=0), approved=approved)
        for fact in facts_of_verdict(order, verdict):
            self._insert(fact)
        if verdict.check:
            self._calls[order.call] = verdict
        return verdict

    async def claim(self, claim: IdempotencyClaim) -> Claim:
        self._require()
        self._insert(claim)
        holder = cast("IdempotencyClaim", self._facts[IdempotencyClaim][claim.key])
        answer = cast("IdempotencyAnswer | None", self._facts[IdempotencyAnswer].get(claim.key))
        return Claim(ours=holder.request_id == claim.request_id, holder=holder, answer=answer)

    async def api_key(self, key_hash: str) -> ApiKey | None:
        self._require()
        if (key_hash,) in self._facts[ApiKeyRevocation]:
            return None
        return cast("ApiKey | None", self._facts[ApiKey].get((key_hash,)))

    async def probe(self) -> None:
        self._require()

    async def close(self) -> None:
        """Nothing waits here."""

    async def mirror(self, facts: Sequence[AnyFact]) -> None:
        """Take what another store has: see `service.stores.Backup`."""
        await self.write(facts)

    async def begin_warming(self) -> bool:
        self._require()
        was_warm, self._is_warm = self._is_warm, True
        return not was_warm

    async def go_on_warming(self) -> None:
        self._require()

    async def end_warming(self) -> None:
        self._require()

    async def owe(self, journal: str, order: int) -> int:
        """A journal has what the primary store has not."""
        self._require()
        self._owed[journal] = order
        return self._now()

    async def settle(self, journal: str) -> None:
        """It has no longer."""
        self._require()
        self._owed[journal] = None

    async def hear(self, journal: str, *, until: int) -> Heard:
        """The journals that were named, and who has heard up to when."""
        self._require()
        if until:
            self._hearers[journal] = until
        return Heard(at=self._now(), owed=dict(self._owed), hearers=dict(self._hearers))

    async def leave(self, journal: str) -> None:
        """An instance hears no more."""
        self._require()
        self._hearers.pop(journal, None)

    def _now(self) -> int:
        return int(self._timer() * 1_000_000)

    def lose_all(self) -> None:
        """Start empty, as a server does that keeps nothing on disk."""
        for rows in (
            self._facts,
            self._of_request,
            self._of_number,
            self._sends,
            self._owed,
            self._hearers,
            self._calls,
        ):
            rows.clear()
        self._note, self._note_order, self._is_warm = b"", 0, False

    @property
    def stalled_seconds(self) -> float:
        """It does at once what it does."""
        return 0.0

    async def pulse(self) -> None:
        """Answer, unless it is down."""
        self._require()

    async def keep_first(self, facts: Sequence[AnyFact]) -> None:
        """Let the earlier of two with one key stay."""
        self._require()
        for fact in facts:
            held = self._facts[type(fact)].get(fact.key)
            if held is not None and fact.at < held.at:
                self._facts[type(fact)][fact.key] = fact
                beside = self._of_request[getattr(fact, "request_id", UUID(int=0))]
                beside[:] = [fact if row is held else row for row in beside]

    async def renumber(self, check: Check, number: int) -> None:
        """Give a check another number, and its approval, unless that is taken."""
        self._require()
        rows = self._facts[Check]
        if (check.request_id, number) in rows or rows.get(check.key) != check:
            return
        approval = self._facts[Approval].get((check.request_id,))
        moved: list[Check | Approval] = [check]
        if isinstance(approval, Approval) and (approval.check, approval.at) == (check.check, check.at):
            moved.append(approval)
        beside = self._of_request[check.request_id]
        for old in moved:
            del self._facts[type(old)][old.key]
            beside.remove(old)
            self._insert(msgspec.structs.replace(old, check=number))

    async def made_between(self, *, begun: tuple[datetime, datetime], made: tuple[datetime, datetime]) -> list[AnyFact]:
        """Outcomes and checks, by when they were made and when their requests were begun."""
        self._require()
        found: list[AttemptOutcome | Check] = [*self._rows(AttemptOutcome), *self._rows(Check)]
        return [row for row in found if begun[0] <= time_of(row.request_id) < begun[1] and made[0] <= row.at <= made[1]]

    async def page(self, bookmark: Bookmark, *, now: datetime, claims_since: datetime, most: int) -> Page:
        """All at once."""
        self._require()
        living = [
            fact for row in self._rows(Request) if (row.expires_at or now) > now for fact in self._of_request[row.id]
        ]
        kinds = (ApiKey, ApiKeyRevocation, OptOut, IdempotencyClaim, IdempotencyAnswer)
        lasting = [fact for kind in kinds for fact in self._facts[kind].values()]
        return Page(facts=[*living, *(fact for fact in lasting if getattr(fact, "app", "") != OWN_APP)], following=None)

    async def purge(self, cutoffs: Cutoffs, *, batch_max: int) -> int:
        """All that is old of claims and answers; requests stay, for nothing here lives that long."""
        self._require()
        old: list[tuple[type[Fact], tuple[object, ...]]] = [
            (kind, key)
            for kind in (IdempotencyClaim, IdempotencyAnswer)
            for key, fact in self._facts[kind].items()
            if fact.at < cutoffs.claims and not self._is_followed(fact)
        ]
        for kind, key in old[:batch_max]:
            del self._facts[kind][key]
        return len(old[:batch_max])

    def _is_followed(self, fact: AnyFact) -> bool:
        claims = self._facts[IdempotencyClaim]
        return isinstance(fact, IdempotencyClaim) and (fact.app, fact.idempotency_key + FOLLOWS) in claims

    async def note(self) -> bytes:
        """The note that instances leave for each other; empty when there is none."""
        self._require()
        return self._note

    async def set_note(self, note: bytes, *, order: int) -> bool:
        """Leave a note for the other instances; False when a later one is there."""
        self._require()
        if order < self._note_order:
            return False
        self._note, self._note_order = note, order
        return True

    def facts(self) -> list[AnyFact]:
        """Everything that is kept, in no particular order."""
        return [fact for rows in self._facts.values() for fact in rows.values()]

    def _insert(self, fact: AnyFact) -> bool:
        rows = self._facts[type(fact)]
        if fact.key in rows:
            return False
        rows[fact.key] = fact
        request_id = fact.id if isinstance(fact, Request) else getattr(fact, "request_id", None)
        if request_id is not None:
            self._of_request[request_id].append(fact)
        if isinstance(fact, Request):
            self._of_number[fact.phone_hash].append(fact)
        if isinstance(fact, Attempt) and fact.was_asked_for:
            self._sends[fact.phone_hash, fact.category].append(fact.at)
        return True

    def _state(self, request_id: UUID) -> RequestState | None:
        request = self._facts[Request].get((request_id,))
        return assemble(request, self._of_request[request_id]) if isinstance(request, Request) else None

    def _rows(self, kind: type[Kind]) -> Iterable[Kind]:
        return cast("Iterable[Kind]", self._facts[kind].values())

    def _require(self) -> None:
        if self.available:
            return
        error: StoreUnavailable | MirrorUnavailable
        if self._as_mirror:
            error = MirrorFault("the mirror in memory was told to be down", fault=self.fault)
        else:
            error = StoreFault("the store in memory was told to be down", fault=self.fault)
        raise error
