"""`make bench-warehouse`: the questions people ask, at two sizes, beside a plain join of the raw events; and the intake."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click
from pydantic import SecretStr
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.warehouse import intake, questions
from benchmarks.warehouse.load import ATTEMPTS_MIN, DAYS, end_of, load
from core import log
from core import warehouse as door
from core.clock import utc_now
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from metrics import hourly
from metrics.upkeep import settle
from sandbox.gateway.launch import RunningGateway, start_gateway

GOAL_SECONDS, GOAL_RATIO, GOAL_INTAKE = 0.3, 10.0, 0.6
SAME, NEAR = 1e-6, 0.02
"""Relative differences: of counts and exact percentiles; of percentiles out of digests."""


@dataclass(frozen=True)
class Size:
    """What was found at one size."""

    attempts: int
    timings: list[questions.Timing]


@click.command()
@click.option(
    "--attempts",
    default=20_000_000,
    show_default=True,
    type=click.IntRange(min=10 * ATTEMPTS_MIN),
    help="The larger size; the smaller is a tenth of it.",
)
@click.option("--events", default=150_000, show_default=True, help="Events of each intake; 0 leaves it out.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Load into this folder and leave it there; one that is loaded already is asked at once.",
)
@click.option("--load-only", is_flag=True, help="Load, settle and roll up the larger size, and ask nothing.")
def main(attempts: int, events: int, keep: Path | None, load_only: bool) -> None:
    """Load a made-up past of 40 days and time the questions people ask of it.

    Each question is asked of Heliograph and, as a plain join, of the raw events; what both say is compared. Then events
    go from JetStream into ClickHouse, beside bare inserts of as many by its client. At 20 million attempts it takes about
    half an hour on two cores, most of it loading and joins, and 10 GB of disk while it runs.

    \b
      python -m benchmarks.warehouse --attempts 2000000         a few minutes
      python -m benchmarks.warehouse --keep past                load once, ask as often as you like
      python -m benchmarks.warehouse --keep past --events 0     only the questions
    """
    log.configure("bench-warehouse", level="warning")
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="heliograph-bench-")))
        gateway = start_gateway(folder / "clickhouse")
        stack.callback(gateway.stop)
        if load_only:
            _load(_open(_settings(gateway, f"bench_{attempts}")), attempts)
            return
        sizes = [_measure(gateway, size, is_judged=size == attempts) for size in (attempts // 10, attempts)]
        _print_growth(*sizes)
        if events:
            settings = _settings(gateway, "bench_intake")
            warehouse = _open(settings)
            spare = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="heliograph-bench-")))
            stack.callback(warehouse.command, f"DROP DATABASE {settings.database}")
            _print_intake(intake.measure(warehouse, settings, spare, count=events))


def _load(warehouse: Warehouse, attempts: int) -> tuple[float, float, float]:
    """Seconds that loading, settling and rolling up took; near nothing where it was done before."""
    bars = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    began = time.perf_counter()
    with bars:
        load(warehouse, attempts, today=utc_now(), progress=bars)
    loaded = time.perf_counter()
    click.echo(f"settling {attempts:,} attempts")
    settle(warehouse, now=end_of(warehouse) + timedelta(days=60))
    settled = time.perf_counter()
    click.echo("rolling up their hours")
    hourly.build(warehouse, on_time_seconds=60, lasts=timedelta(), quiet=timedelta(), margin=timedelta())
    return loaded - began, settled - loaded, time.perf_counter() - settled


def _measure(gateway: RunningGateway, attempts: int, *, is_judged: bool) -> Size:
    warehouse = _open(_settings(gateway, f"bench_{attempts}"))
    load_seconds, settle_seconds, rollup_seconds = _load(warehouse, attempts)
    ((size,),) = warehouse.query_rows(
        "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
    )
    click.echo(
        f"\n{attempts:,} attempts in {DAYS} days, {size / attempts:.0f} bytes each with their events; "
        f"loaded in {load_seconds:.0f} s, settled in {settle_seconds:.0f} s, rolled up in {rollup_seconds:.0f} s"
        f"{' (most of it was there already)' if load_seconds < attempts / 1e6 else ''}"
    )
    click.echo(
        f"{'question':52}{'rows':>7}{'median':>10}{'p95':>10}{'plain join':>14}{'ratio':>8}"
        f"{f'  goal: {GOAL_SECONDS * 1000:.0f} ms, {GOAL_RATIO:.0f} × faster' if is_judged else ''}"
    )
    timings = []
    for one in questions.measure(warehouse, end_of(warehouse)):
        _print_timing(one, is_judged=is_judged)
        timings.append(one)
    warehouse.close()
    return Size(attempts, timings)


def _print_timing(one: questions.Timing, *, is_judged: bool) -> None:
    join = f"{one.join_median * 1000:11,.0f} ms" if one.join_median else "no answer"
    ratio = f"{one.join_median / one.median:6.1f} ×" if one.join_median else ""
    click.echo(
        f"{one.words:52}{one.rows:>7,}{one.median * 1000:>7.0f} ms{one.p95 * 1000:>7.0f} ms{join:>14}{ratio:>8}  {_verdict(one, is_judged=is_judged)}"
    )
    if one.join_fault:
        click.echo(f"    the join: {one.join_fault}")


def _verdict(one: questions.Timing, *, is_judged: bool) -> str:
    said = []
    if is_judged and one.median > GOAL_SECONDS:
        said.append(f"over {GOAL_SECONDS * 1000:.0f} ms")
    if is_judged and one.join_median and one.join_median / one.median < GOAL_RATIO:
        said.append(f"under {GOAL_RATIO:.0f} ×")
    if is_judged and not said:
        said.append("reached")
    counted, percentiles = one.apart
    if counted > SAME or percentiles > NEAR:
        said.append("THE ANSWERS DIFFER")
    elif percentiles > SAME:
        said.append(f"percentiles within {percentiles:.1%} of the join's")
    return ", ".join(said)


def _print_growth(small: Size, large: Size) -> None:
    click.echo(f"\nten times the attempts take ({small.attempts:,} to {large.attempts:,}):")
    for one, other in zip(small.timings, large.timings, strict=True):
        click.echo(f"  {one.words:52}× {other.median / one.median:.1f}")


def _print_intake(rates: intake.Rates) -> None:
    click.echo(
        f"\nintake, events a second (medians of {intake.ROUNDS} rounds in turn; goal: {GOAL_INTAKE:.0%} of each bare insert)"
    )
    click.echo(f"  JetStream to ClickHouse                 {statistics.median(rates.stream):>10,.0f}")
    for words, rival in (("insert, rows", rates.rows), ("raw_insert, JSON", rates.json)):
        ratio = rates.ratio(rival)
        said = "reached" if ratio >= GOAL_INTAKE else f"under {GOAL_INTAKE:.0%}"
        click.echo(f"  clickhouse-connect {words:20} {statistics.median(rival):>10,.0f}   {ratio:.0%}  {said}")


def _open(settings: WarehouseSettings) -> Warehouse:
    warehouse = door.connect(settings)
    warehouse.migrate()
    return warehouse


def _settings(gateway: RunningGateway, database: str) -> WarehouseSettings:
    return WarehouseSettings(
        host=gateway.host,
        port=gateway.port,
        username=gateway.user,
        password=SecretStr(gateway.password),
        database=database,
        query_timeout_seconds=1800,
    )


if __name__ == "__main__":
    main()
