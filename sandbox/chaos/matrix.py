"""Runs faults under load, one after the other, and judges each: `heliograph chaos`.

Rows share a cluster as long as nothing goes wrong, so that each also has what the faults before it left behind; after
a row that fails, the next one gets a fresh cluster.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import click
import numpy as np

from core import log
from core import warehouse as door
from core.errors import HeliographError, WarehouseRefused, WarehouseUnavailable
from core.numbers import NumberHash
from sandbox.chaos import checker, table
from sandbox.chaos.checker import Findings
from sandbox.chaos.cluster import INSTANCES, Cluster, Plan, Starting
from sandbox.chaos.evidence import Evidence, read_all, read_facts
from sandbox.chaos.leaks import Secrets, leaks, leaks_in_warehouse
from sandbox.chaos.ledger import Call, Ledger
from sandbox.chaos.load import Load, running
from sandbox.chaos.nemesis import Fault, Field
from sandbox.chaos.operations import Operator
from sandbox.chaos.table import Row
from service.failover.replay import replay
from service.stores.sql import SqlStore

WARM_SECONDS = 3.0
"""Load before a fault: some verifications must be under way when it comes."""
AFTER_SECONDS = 2.0
RECOVERY_SECONDS = 60.0
SETTLE_SECONDS = 60.0
NOT_OK_MAX_SHARE = 0.0001
_POLL_SECONDS = 0.5
_LATER = (429, 503)


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

    @property
    def number_hash(self) -> NumberHash:
        return NumberHash(self.cluster.settings.numbers.hash_key.get_secret_value())


Say = Callable[[str], None]


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


@asynccontextmanager
async def staged(plan: Plan, *, rate: float) -> AsyncIterator[Stage]:
    """A cluster under load while the block runs."""
    ledger = Ledger()
    kept = plan.folder / "kept-journals"
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(Starting(plan))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        operator = Operator(cluster, session)
        await operator.statuses()  # a key that was used is known to the backup store too
        load = await stack.enter_async_context(running(cluster, ledger, rate=rate, seed=plan.seed))
        keeping = asyncio.create_task(operator.keep_journals(kept))
        try:
            yield Stage(plan, cluster, load, operator, ledger, kept)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


async def measure(stage: Stage, fault: Fault, *, quick: bool, say: Say) -> Row:
    """One fault, from warm load to the verdicts."""
    load, seconds = stage.load, fault.quick_seconds if quick else fault.seconds
    load.go_on()
    say(f"{fault.number} {fault.title}: load")
    await asyncio.sleep(WARM_SECONDS)
    rng = np.random.default_rng([stage.plan.seed, *fault.number.encode()])
    field = Field(stage.cluster, load, stage.operator, rng, seconds)
    load.tolerated, load.codes_may_expire = fault.tolerates, fault.codes_may_expire
    say(f"{fault.number} {fault.title}: broken for {seconds:g} s")
    async with fault.around(field):
        await asyncio.sleep(max(0.0, field.began_at + seconds - time.time()))
    say(f"{fault.number} {fault.title}: healed, recovering")
    is_back = await stage.operator.lead_back(within_seconds=RECOVERY_SECONDS)
    load.tolerated, load.codes_may_expire = frozenset(), False
    await asyncio.sleep(AFTER_SECONDS)
    await load.pause()
    say(f"{fault.number} {fault.title}: reading every store")
    row = Row(fault.number, fault.title, notes=field.notes)
    _figures(row, fault, stage, field)
    findings = await settle(stage)
    for invariant, problem in field.problems:
        findings.add(invariant, [problem])
    if not is_back:
        findings.add("I6", [f"not recovered after {RECOVERY_SECONDS:g} s: {await stage.operator.statuses()}"])
    _judge_answers(row, fault, stage, findings)
    _judge_changes(fault, stage, field, findings)
    row.lost, row.doubled, row.approved_twice = findings.lost, findings.doubled, findings.approved_twice
    row.problems = {name: found for name, found in sorted(findings.problems.items()) if found}
    return row


async def settle(stage: Stage) -> Findings:
    """The findings once nothing is missing any more, or as they are after `SETTLE_SECONDS`."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
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


# ---- figures of one row


def _figures(row: Row, fault: Fault, stage: Stage, field: Field) -> None:
    calls = stage.ledger.since(field.began_at)
    row.calls = len(calls)
    row.not_ok = sum(is_failure(call, fault) for call in calls)
    row.refused = sum(call.intended and call.ending != "ok" for call in calls)
    if calls:
        row.p99_ms = float(np.percentile([call.seconds * 1000 for call in calls], 99))
    detected = [first for name in INSTANCES if (first := _detected_at(stage, fault, name, field.began_at))]
    if (fault.expects or fault.detected_by) and detected:
        row.detection_seconds = max(detected) - field.began_at


def is_failure(call: Call, fault: Fault) -> bool:
    """Not answered 2xx, although it was well-formed and nothing ended the instance that had it."""
    return call.is_failure and not (fault.restarts_instances and call.made_good)


def _detected_at(stage: Stage, fault: Fault, instance: str, since: float) -> float | None:
    if fault.detected_by:
        return min((at for at, _ in stage.operator.lines(instance, fault.detected_by) if at >= since), default=None)
    changes = [change for change in stage.operator.changes() if change.instance == instance and change.at >= since]
    return min((change.at for change in changes if change.new in fault.expects[:1]), default=None)


def _judge_answers(row: Row, fault: Fault, stage: Stage, findings: Findings) -> None:
    """I8."""
    if row.not_ok > NOT_OK_MAX_SHARE * row.calls:
        failed = [call for call in stage.ledger.calls if is_failure(call, fault)][-row.not_ok :]
        words = [
            f"{call}: {f'HTTP {call.status}' if call.status else 'no answer'} after {call.seconds:.1f} s"
            for call in failed
        ]
        findings.add("I8", [f"{row.not_ok} of {row.calls} calls were not answered 2xx", *words])
    store = stage.cluster.settings.store
    p99_max_ms = fault.p99_max_ms or (max(store.connect_timeout_seconds, store.read_timeout_seconds) + 1) * 1000
    if row.p99_ms is None or row.p99_ms > p99_max_ms:
        findings.add("I8", [f"p99 is {row.p99_ms or 0:.0f} ms, and may be {p99_max_ms:.0f} ms"])
    if fault.expects or fault.detected_by:
        if row.detection_seconds is None:
            findings.add("I8", ["the fault was not detected"])
        elif fault.detection_max_seconds and row.detection_seconds > fault.detection_max_seconds:
            findings.add(
                "I8",
                [
                    f"detected after {row.detection_seconds:.1f} s, and should be within {fault.detection_max_seconds:g} s"
                ],
            )
    silent = [
        call
        for call in stage.ledger.calls
        if call.status in _LATER and not call.says_when and call.kind not in ("receipts", "inbound")
    ]
    if silent:
        findings.add("I8", [f"{silent[-1]}: HTTP {silent[-1].status} without Retry-After"])


def _judge_changes(fault: Fault, stage: Stage, field: Field, findings: Findings) -> None:
    """I9."""
    for name in INSTANCES:
        seen = [
            change.new for change in stage.operator.changes() if change.instance == name and change.at >= field.began_at
        ]
        if seen != list(fault.expects):
            wanted = " → ".join(fault.expects) or "no change"
            findings.add("I9", [f"instance {name} went {' → '.join(seen) or 'nowhere'}, expected {wanted}"])


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
