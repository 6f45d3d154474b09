"""What every store of the service can do. MySQL (`sql`), Redis (`redis`) and the twin in memory do the same things,
and one set of tests runs over all of them; `service.failover` is one more, which chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

import msgspec

from core.events import Category, CheckResult
from service.facts import AnyFact, ApiKey, Check, IdempotencyAnswer, IdempotencyClaim, RequestState

AT_ONCE = 500
"""Facts that one caller writes, or requests that he asks for, at once: more take longer than a call waits, or overflow the lane."""


class Cutoffs(msgspec.Struct, frozen=True, kw_only=True):
    """What was made before these times may go: keys of Idempotency-Keys, and all facts of requests."""

    now: datetime
    claims: datetime
    facts: datetime


class CheckOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A code was entered: `attempt` is the attempt it belongs to (0: none), worked out before the store is asked.

    The answer is given to the caller only when the store has counted the check.
    """

    request_id: UUID
    at: datetime
    attempt: int
    expired: bool
    checks_max: int
    beside: tuple[UUID, ...] = ()
    """Other verifications that the code was compared with, while no store can say which one it is for."""
    call: UUID = msgspec.field(default_factory=uuid4)
    """A backup that is asked twice for the same call counts it once."""
    again: bool = False
    """This call may have been counted by a store that did not answer in time: that is looked for first."""


class CheckVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. `check` is its number, 0 when it was not counted (too many, already approved)."""

    check: int
    result: CheckResult
    checks_left: int


class CheckSubject(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller of `app` wants checked: a verification by its id, or (`request_id` None) by number and purpose."""

    app: str
    now: datetime
    request_id: UUID | None = None
    phone_hash: str = ""
    purpose: str = ""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A verification that a code may be for, and the attempts whose codes are good. `state` is None where nothing is
    known of it but what follows from its id."""

    request_id: UUID
    expires_at: datetime
    attempts: tuple[int, ...]
    state: RequestState | None = None


class SendSubject(msgspec.Struct, frozen=True, kw_only=True):
    """A code is to be sent: by which app to which number for what, and since when earlier ones count."""

    app: str
    phone_hash: str
    purpose: str
    now: datetime
    since: datetime


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent before: the newest verification that lives, and when codes went to the number, oldest first."""

    living: RequestState | None
    sends: list[datetime]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds an Idempotency-Key: `ours` when this call took it; otherwise the holder, and its answer once there is one."""

    ours: bool
    holder: IdempotencyClaim
    answer: IdempotencyAnswer | None


class Bookmark(msgspec.Struct, frozen=True):
    """Where a reader of pages is: which kind of fact, and the key behind which to go on."""

    stage: int = 0
    key: tuple[object, ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some facts, and where to go on; `following` is None at the end."""

    facts: Sequence[AnyFact]
    following: Bookmark | None


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup tells whoever hears it: `at`, its own time in microseconds; the journals that are or were registered,
    with their order, None for those that are settled; and up to when each instance, by the name of its journal, says that
    it has heard."""

    at: int
    owed: Mapping[str, int | None]
    hearers: Mapping[str, int]


class Store(Protocol):
    """Every method raises `Unavailable` (`StoreUnavailable`, `MirrorUnavailable`) when the server does not do it in time,
    `Overloaded` when too many wait. A write whose answer was lost may have happened; writing it again is a no-op.
    """

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        """Insert all `facts` or none, in one transaction; True for each that was not there before."""
        ...

    async def request(self, request_id: UUID) -> RequestState | None:
        """All that is known of one request."""
        ...

    async def brief(self, request_id: UUID) -> RequestState | None:
        """What a check has to know of one request: outcomes, receipts and earlier checks may be left out."""
        ...

    async def living(self, *, app: str, phone_hash: str, purpose: str, now: datetime) -> RequestState | None:
        """The newest verification for this number and purpose that is neither approved nor expired."""
        ...

    def id_for(self, *, app: str, phone_hash: str, purpose: str, fresh: UUID) -> UUID:
        """The id that a new verification gets: `fresh`, unless it has to be found again while no store can be asked."""
        ...

    async def candidates(self, subject: CheckSubject) -> Sequence[Candidate]:
        """The verification of this app that a code may be for: one or none, and several only while no store can say."""
        ...

    async def sends_since(self, *, phone_hash: str, category: Category, since: datetime) -> list[datetime]:
        """When attempts of this category were made to this number because somebody asked for them, oldest first."""
        ...

    async def earlier(self, subject: SendSubject) -> Earlier:
        """What `living` and `sends_since` tell, in one question where that can be."""
        ...

    async def opted_out(self, phone_hash: str) -> bool:
        """Whether the latest word of this subscriber is stop."""
        ...

    async def check(self, order: CheckOrder) -> CheckVerdict:
        """Count one check and, when it is right and in time, approve: one atomic step, so that neither can be done twice."""
        ...

    async def claim(self, claim: IdempotencyClaim) -> Claim:
        """Take an Idempotency-Key, or learn who has it."""
        ...

    async def api_key(self, key_hash: str) -> ApiKey | None:
        """The key with this hash, unless it was revoked."""
        ...

    async def probe(self) -> None:
        """Write something small: a server can read and yet refuse to write."""
        ...

    async def close(self) -> None:
        """Finish what waits and let go of the connections."""
        ...


class Keeping(Store, Protocol):
    """A store that keeps facts of its own, and says which checks it has counted."""

    async def checks(self, request_id: UUID) -> list[Check]:
        """The checks of a request, by number, whether or not the request itself has come."""
        ...


class Primary(Keeping, Protocol):
    """A store that is the home of all facts: it can let go of old ones, and fill a backup that has lost its own."""

    @property
    def stalled_seconds(self) -> float:
        """For how long it has not finished what it has in hand; 0 while it has nothing."""
        ...

    async def pulse(self) -> None:
        """Ask it something bare, with a limit far below that of a call. Raises `StoreLate` when it says nothing in time."""
        ...

    async def keep_first(self, facts: Sequence[AnyFact]) -> None:
        """Put each of these in the place of the one with its key where that is later; the others change nothing."""
        ...

    async def renumber(self, check: Check, number: int) -> None:
        """Give a check that is kept another number, and the approval that it made; nothing when that number is taken."""
        ...

    async def made_between(self, *, begun: tuple[datetime, datetime], made: tuple[datetime, datetime]) -> list[AnyFact]:
        """Outcomes and checks made within a span, of requests that were begun within another."""
        ...

    async def page(self, bookmark: Bookmark, *, now: datetime, claims_since: datetime, most: int) -> Page:
        """A page of what a backup has to know: keys, words of subscribers, what lives at `now`, claims since then."""
        ...

    async def purge(self, cutoffs: Cutoffs, *, batch_max: int) -> int:
        """Delete one batch of what is older than the cutoffs; returns how many rows, 0 when nothing is."""
        ...


class Backup(Keeping, Protocol):
    """A store that can stand in for another one: it is kept warm, and carries a word from instance to instance."""

    async def mirror(self, facts: Sequence[AnyFact]) -> None:
        """Take facts that the primary store has committed, without saying which were new."""
        ...

    async def note(self) -> bytes:
        """What the instances last told each other; empty when nothing was."""
        ...

    async def set_note(self, note: bytes, *, order: int) -> bool:
        """Tell the other instances; False, and nothing is told, when what they were told last has a greater `order`."""
        ...

    async def owe(self, journal: str, order: int) -> int:
        """A journal of this name holds what the primary store does not have yet, written after the word of this order.
        Returns its time, in microseconds."""
        ...

    async def settle(self, journal: str) -> None:
        """It does no longer."""
        ...

    async def hear(self, journal: str, *, until: int) -> Heard:
        """What is owed and who hears; and the instance of this journal says until when it has heard, 0 before the first time."""
        ...

    async def leave(self, journal: str) -> None:
        """The instance of this journal hears no more, and decides nothing."""
        ...

    async def begin_warming(self) -> bool:
        """Whether it has lost its data and this caller is to fill it; asked again it says no until that stalls."""
        ...

    async def go_on_warming(self) -> None:
        """The caller is still at it."""
        ...

    async def end_warming(self) -> None:
        """It is filled."""
        ...
