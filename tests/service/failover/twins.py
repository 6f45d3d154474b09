"""A failover over twins of both stores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from core.clock import utc_now
from service.facts import OWN_APP, AnyFact
from service.failover import STORE_FOLDER, Failover, Status
from service.failover.notices import Notice
from service.failover.presumption import Presumption
from service.request_ids import SealedIds
from service.stores import CheckOrder, CheckVerdict
from service.stores.faults import StoreFault
from service.stores.memory import MemoryStore
from tests.support.until import until

SECRET = "a secret of the tests, long enough"
PRESUMPTION = Presumption(ids=SealedIds(SECRET, clock=utc_now), lifetime_seconds=600, attempts_max=7)
Make = Callable[..., Awaitable[Failover]]


class LateStore(MemoryStore):
    """Does what it is asked, and so many times (`late`) says so too late: what its caller hears is an error."""

    def __init__(self, error: Callable[[], StoreFault]) -> None:
        super().__init__()
        self.late = 0
        self._error = error

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        told = await super().write(facts)
        self._answer()
        return told

    async def check(self, order: CheckOrder) -> CheckVerdict:
        verdict = await super().check(order)
        self._answer()
        return verdict

    def _answer(self) -> None:
        if self.late:
            self.late -= 1
            raise self._error()


class Link(MemoryStore):
    """A store as one instance reaches it: cut, and still there for the others."""

    def __init__(self, store: MemoryStore, *, as_mirror: bool = False) -> None:
        super().__init__(as_mirror=as_mirror)
        self._facts, self._of_request = store._facts, store._of_request
        self._of_number, self._sends = store._of_number, store._sends
        self._owed, self._hearers, self._calls = store._owed, store._hearers, store._calls


class Twins:
    """The two stores, the folder they share, and the notices that were given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.primary = MemoryStore()
        self.backup = MemoryStore(as_mirror=True)
        self.notices: list[Notice] = []

    def hear(self, notice: Notice) -> None:
        self.notices.append(notice)

    def kept(self) -> list[AnyFact]:
        """What the primary store has, but for what instances claim for each other."""
        return [fact for fact in self.primary.facts() if getattr(fact, "app", "") != OWN_APP]

    @property
    def changes(self) -> list[tuple[Status, Status]]:
        return [(row.old, row.new) for row in self.notices if row.kind in ("status", "looks_well")]

    @property
    def journaled(self) -> int:
        folder = self.folder / STORE_FOLDER
        return sum(path.stat().st_size for path in folder.glob("*.journal"))


async def has_looked(*stores: Failover) -> None:
    """Wait until each has its first numbers, which two syncs of the disk go before, and has heard the others: whoever did not hear
    for half a second decides nothing."""
    for store in stores:
        await until(lambda store=store: store._maker.number(utc_now()) is not None)  # type: ignore[misc]


async def fallen_over(make: Make, twins: Twins, **settings) -> Failover:
    """A failover whose primary store has just been found down."""
    failover = await make(**settings)
    twins.primary.available = False
    await failover.set_mysql_fatal("a test said so")
    return failover
