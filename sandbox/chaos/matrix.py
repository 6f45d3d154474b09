"""Runs faults under load, one after the other, and judges each: `heliograph chaos`.

Rows share a cluster as long as nothing goes wrong, so that each also has what the faults before it left behind; after
a row that fails, the next one gets a fresh cluster.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import click
import numpy as np

from core import log
from core import warehouse as door
from core.alerts import Alert
from core.alerts.outbox import Outbox
from core.errors import HeliographError, WarehouseRefused, WarehouseUnavailable
from core.numbers import NumberHash
from sandbox.chaos import checker, figures, table
from sandbox.chaos.checker import Findings
from sandbox.chaos.cluster import INSTANCES, Cluster, Plan, Starting
from sandbox.chaos.evidence import Evidence, read_all, read_facts
from sandbox.chaos.leaks import Secrets, leaks, leaks_in_warehouse
from sandbox.chaos.ledger import Ledger
from sandbox.chaos.load import Load, running
from sandbox.chaos.nemesis import Fault, Field
from sandbox.chaos.operations import Operator
from sandbox.chaos.table import Row
from sandbox.errors import PortTaken
from service.failover.replay import replay
from service.stores.sql import SqlStore

WARM_SECONDS = 3.0
"""Load before a fault: some verifications must be under way when it comes."""
AFTER_SECONDS = 2.0
RECOVERY_SECONDS = 60.0
SETTLE_SECONDS = 60.0
SOAK_EVERY_SECONDS = (20.0, 40.0)
SOAK_FAULT_SECONDS = (5.0, 12.0)
_POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What to run. `rate` is in calls a second; `keep` is where everything stays to be looked at."""

    seed: int = 0
    rate: float = 40.0
    quick: bool = False
    embedded: bool = False
    keep: Path | None = None


@dataclass
class Stage:
    """A cluster under load, and who watches it."""

    plan: Plan
    cluster: Cluster
    load: Load
    operator: Operator
    ledger: Ledger
    kept: Path = field(repr=False)
    told: set[str] = field(default_factory=set)
    healed_at: float = field(default_factory=time.time)

    def told_since(self) -> list[Alert]:
        """The alerts since this was asked last."""
        rows = Outbox(self.cluster.settings.alerts.folder).all()
        fresh = [row.alert for row in rows if row.name not in self.told]
        self.told |= {row.name for row in rows}
        return fresh

    @property
    def number_hash(self) -> NumberHash:
        return NumberHash(self.cluster.settings.numbers.hash_key.get_secret_value())


Say = Callable[[str], None]


@dataclass(frozen=True)
class Struck:
    """A fault that was made and healed, and what it left in its field."""

    fault: Fault
    field: Field


def run(faults: Sequence[Fault], wishes: Wishes) -> int:
    """Run the faults, print the table; returns the exit status: 0 only when every row that ran is as it should be."""
    log.configure("chaos", level="error")
    click.echo(table.heading())
    rows: list[Row] = []

    def finished(row: Row) -> None:
        rows.append(row)
        click.echo(table.line(row))

    with _folder(wishes) as folder:
        asyncio.run(run_all(faults, wishes, Path(folder), say=_progress, finished=finished))
    click.echo(table.summary(rows))
    return 0 if all(row.is_ok for row in rows) and any(not row.skipped for row in rows) else 1


async def run_all(
    faults: Sequence[Fault], wishes: Wishes, folder: Path, *, say: Say, finished: Callable[[Row], None]
) -> None:
    """Run the faults in a folder; `finished` is told each row as soon as it is there."""
    clusters = 0
    waiting = list(faults)
    while waiting:
        clusters += 1
        first = Plan(folder=folder / f"cluster-{clusters}", seed=wishes.seed, embedded=wishes.embedded)
        if impossible := waiting[0].impossible(first):
            fault = waiting.pop(0)
            finished(Row(fault.number, fault.title, skipped=impossible))
            continue
        plan = waiting[0].plan(first)
        say(f"starting two instances and their servers in {plan.folder}")
        async with staged(plan, rate=wishes.rate) as stage:
            while waiting and waiting[0].plan(first) == plan and not waiting[0].impossible(first):
                fault = waiting.pop(0)
                row = await measure(stage, fault, quick=wishes.quick, say=say)
                finished(row)
                if not row.is_ok:
                    break


def soak(faults: Sequence[Fault], wishes: Wishes, *, minutes: float) -> int:
    """One cluster, and a random fault every 20 to 40 s; the table at the end. Returns the exit status."""
    log.configure("chaos", level="error")
    with _folder(wishes) as folder:
        rows = asyncio.run(soaked(faults, wishes, Path(folder), minutes=minutes, say=_progress))
    click.echo("\n".join([table.heading(), *map(table.line, rows), table.summary(rows)]))
    return 0 if all(row.is_ok for row in rows) else 1


async def soaked(faults: Sequence[Fault], wishes: Wishes, folder: Path, *, minutes: float, say: Say) -> list[Row]:
    """A row a fault, with what can be said while load goes on; the last row judges the whole."""
    plan = Plan(folder=folder / "cluster", seed=wishes.seed, embedded=wishes.embedded)
    fit = [fault for fault in faults if not fault.impossible(plan) and fault.plan(plan) == plan]
    rng = np.random.default_rng([wishes.seed, 2])
    rows: list[Row] = []
    async with staged(plan, rate=wishes.rate) as stage:
        began_at, until = time.time(), time.monotonic() + minutes * 60
        while (left := until - time.monotonic()) > 0:
            due = time.monotonic() + float(rng.uniform(*SOAK_EVERY_SECONDS))
            fault = fit[int(rng.integers(len(fit)))]
            struck = await strike(stage, fault, seconds=float(rng.uniform(*SOAK_FAULT_SECONDS)), say=say)
            row, findings = row_of(stage, struck)
            rows.append(closed(row, findings, judged=frozenset({"I8", "I9"})))
            say(f"{row.number}: {row.calls} calls, {row.not_ok} not 2xx; {max(0.0, left) / 60:.0f} minutes to go")
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        say("the last person is on the way home; then every store is read")
        await stage.load.pause()
        rows.append(await _whole(stage, began_at))
    return rows


async def _whole(stage: Stage, began_at: float) -> Row:
    """The row over everything."""
    calls = stage.ledger.since(began_at)
    row = Row("all", "from the first call to the last", calls=len(calls))
    row.not_ok = sum(call.is_failure for call in calls)
    row.p99_ms = float(np.percentile([call.seconds * 1000 for call in calls], 99)) if calls else None
    return closed(row, await settle(stage), judged=table.ALL - {"I8", "I9"})


@asynccontextmanager
async def staged(plan: Plan, *, rate: float) -> AsyncIterator[Stage]:
    """A cluster under load while the block runs."""
    ledger = Ledger()
    async with AsyncExitStack() as stack:
        plan, cluster = await started(stack, plan)
        kept = plan.folder / "kept-journals"
        session = await stack.enter_async_context(aiohttp.ClientSession())
        operator = Operator(cluster, session)
        load = await stack.enter_async_context(running(cluster, ledger, rate=rate, seed=plan.seed))
        keeping = asyncio.create_task(operator.keep_journals(kept))
        try:
            yield Stage(plan, cluster, load, operator, ledger, kept)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


async def started(
    stack: AsyncExitStack,
    plan: Plan,
    *,
    start: Callable[[Plan], AbstractAsyncContextManager[Cluster]] = Starting,
) -> tuple[Plan, Cluster]:
    """A cluster that runs until `stack` is left, and its plan: in a folder beside the first and on other ports where
    somebody took one of its ports before it could listen. An hour of faults must not end with such an accident.

    Raises `PortTaken` after a few tries.
    """
    beside = [plan.folder.with_name(f"{plan.folder.name}-{again}") for again in ("again", "once-more")]
    for other in (plan, *(replace(plan, folder=folder) for folder in beside)):
        try:
            return other, await stack.enter_async_context(start(other))
        except PortTaken as error:
            taken = error
    raise taken


async def strike(stage: Stage, fault: Fault, *, seconds: float, say: Say) -> Struck:
    """Make a fault under load, heal it, and lead back."""
    rng = np.random.default_rng([stage.plan.seed, *fault.number.encode()])
    field = Field(stage.cluster, stage.load, stage.operator, rng, seconds)
    await _begin_well(stage, field)
    stage.load.tolerated, stage.load.codes_may_expire = fault.tolerates, fault.codes_may_expire
    stage.told_since()  # those are of the fault before
    say(f"{fault.number} {fault.title}: broken for {seconds:g} s")
    async with fault.around(field):
        await asyncio.sleep(max(0.0, field.began_at + seconds - time.time()))
    say(f"{fault.number} {fault.title}: healed, recovering")
    is_back = await stage.operator.lead_back(within_seconds=RECOVERY_SECONDS)
    if not is_back:
        field.fail("I6", f"not recovered after {RECOVERY_SECONDS:g} s: {await stage.operator.statuses()}")
    stage.load.tolerated, stage.load.codes_may_expire = frozenset(), False
    await asyncio.sleep(AFTER_SECONDS)
    stage.healed_at = time.time()
    return Struck(fault, field)


async def _begin_well(stage: Stage, field: Field) -> None:
    """A fault is made of what is well, and whoever reads the table hears of what was called down while nothing was broken:
    a machine that is busy may lose a store.
    """
    await stage.operator.lead_back(within_seconds=RECOVERY_SECONDS)
    for note in figures.restless(stage.operator.changes(), since=stage.healed_at):
        field.note(note)
    field.begins()


async def measure(stage: Stage, fault: Fault, *, quick: bool, say: Say) -> Row:
    """One fault, from warm load to all verdicts."""
    stage.load.go_on()
    say(f"{fault.number} {fault.title}: load")
    await asyncio.sleep(WARM_SECONDS)
    struck = await strike(stage, fault, seconds=fault.quick_seconds if quick else fault.seconds, say=say)
    await stage.load.pause()
    say(f"{fault.number} {fault.title}: reading every store")
    row, findings = row_of(stage, struck)
    findings.join(await settle(stage))
    judges_answers = fault.judges_answers and fault.expects is not None
    return closed(row, findings, judged=table.ALL if judges_answers else table.ALL - {"I8"})


def row_of(stage: Stage, struck: Struck) -> tuple[Row, Findings]:
    """What can be said of a fault without reading a store."""
    fault, began_at = struck.fault, struck.field.began_at
    row, findings = Row(fault.number, fault.title, notes=struck.field.notes), Findings()
    failed = figures.measure(row, fault, stage.ledger, stage.operator, began_at=began_at)
    calls, store = stage.ledger.since(began_at), stage.cluster.settings.store
    findings.add("I8", figures.answers(row, fault, failed, calls, store))
    findings.add("I9", figures.changes(fault, stage.operator, began_at=began_at))
    findings.add("I9", figures.alerts(fault, stage.told_since()))
    for invariant, problem in struck.field.problems:
        findings.add(invariant, [problem])
    return row, findings


def closed(row: Row, findings: Findings, *, judged: frozenset[str]) -> Row:
    """The row with its verdicts."""
    row.lost, row.doubled, row.approved_twice = findings.lost, findings.doubled, findings.approved_twice
    row.problems = {name: found for name, found in sorted(findings.problems.items()) if found}
    row.judged = judged
    return row


async def settle(stage: Stage) -> Findings:
    """The findings once nothing is missing any more, or as they are after `SETTLE_SECONDS`."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        # A machine that is busy may lose a store once more; what waits in a journal is late, and not lost.
        await stage.operator.lead_back(within_seconds=RECOVERY_SECONDS)
        findings, evidence = await asyncio.to_thread(_look, stage)
        undrained = stage.operator.undrained()
        if (findings.are_none and not undrained) or time.monotonic() > deadline:
            break
        await asyncio.sleep(_POLL_SECONDS)
    findings.add("I6", undrained)
    await asyncio.to_thread(_look_closely, stage, evidence, findings)
    findings.add("I6", await _replay_again(stage))
    return findings


def _look(stage: Stage) -> tuple[Findings, Evidence]:
    settings = stage.cluster.settings
    try:
        evidence = read_all(stage.cluster.store_url, settings.warehouse)
    except (WarehouseRefused, WarehouseUnavailable) as error:
        evidence = Evidence(read_facts(stage.cluster.store_url), {})
        findings = Findings()
        findings.add("I5", [f"ClickHouse cannot be read: {error}"])
        return findings, evidence
    stage.ledger.alone = stage.operator.without_store()
    return checker.judge(stage.ledger, evidence, number_hash=stage.number_hash), evidence


def _look_closely(stage: Stage, evidence: Evidence, findings: Findings) -> None:
    """What need not be looked at again and again: metrics, and secrets in files and tables."""
    settings = stage.cluster.settings
    secrets = Secrets(stage.ledger.secrets)
    findings.add("I7", (f"a number or a code in {place}" for place in leaks(stage.cluster.folder, secrets)))
    warehouse = door.connect(settings.warehouse)
    try:
        now, on_time_seconds = stage.cluster.clock(), settings.metrics.on_time_seconds
        differ = checker.metrics_that_differ(warehouse, evidence, now=now, on_time_seconds=on_time_seconds)
        findings.add("I5", differ)
        found = leaks_in_warehouse(settings.warehouse, secrets)
        findings.add("I7", (f"a number or a code in {place}" for place in found))
    except HeliographError as error:
        findings.add("I5", [f"ClickHouse cannot be read: {error}"])
    finally:
        warehouse.close()


async def _replay_again(stage: Stage) -> list[str]:
    """Replay every journal there ever was once more; returns what that changed."""
    url = stage.cluster.store_url
    store = SqlStore(stage.cluster.settings.store)
    try:
        before = Evidence(await asyncio.to_thread(read_facts, url), {}).counts()
        for name in INSTANCES:
            await replay(stage.kept / name, store)
        after = Evidence(await asyncio.to_thread(read_facts, url), {}).counts()
    except HeliographError as error:
        return [f"the journals could not be replayed again: {error}"]
    finally:
        await store.close()
    return list(checker.changed_by_replay(before, after))


def _folder(wishes: Wishes) -> tempfile.TemporaryDirectory[str] | _Kept:
    return _Kept(wishes.keep) if wishes.keep else tempfile.TemporaryDirectory(prefix="heliograph-chaos-")


class _Kept:
    """A folder that stays."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        return str(self._folder)

    def __exit__(self, *_: object) -> None:
        return


def _progress(text: str) -> None:
    click.echo(f"  … {text}", err=True)
