"""`make bench-warehouse`: the questions people ask, at two sizes, beside a plain join of the raw events; and the intake."""

from __future__ import annotations

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
from benchmarks.warehouse.load import end_of, load
from core import warehouse as door
from core.clock import utc_now
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from metrics import hourly
from metrics.upkeep import settle
from sandbox.gateway.launch import RunningGateway, start_gateway

GOAL_SECONDS, GOAL_RATIO, GOAL_INTAKE = 0.3, 10.0, 0.6


@dataclass(frozen=True)
class Size:
    """What was found at one size."""

    attempts: int
    bytes_an_attempt: float
    load_seconds: float
    rollup_seconds: float
    settle_seconds: float
    timings: list[questions.Timing]


@click.command()
@click.option(
    "--attempts", default=20_000_000, show_default=True, help="The larger size; the smaller is a tenth of it."
)
@click.option("--events", default=150_000, show_default=True, help="Events of each intake; 0 leaves it out.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep what was loaded, and use it again.",
)
def main(attempts: int, events: int, keep: Path | None) -> None:
    """Load a made-up past of 40 days and time the questions people ask of it.

    Takes about a quarter of an hour at 20 million attempts on two cores, and 8 GB of disk while it runs.
    """
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="heliograph-bench-")))
        gateway = start_gateway(folder / "clickhouse")
        stack.callback(gateway.stop)
        sizes = [_measure(gateway, size) for size in (attempts // 10, attempts)]
        for size in sizes:
            _print_size(size)
        _print_growth(*sizes)
        if events:
            settings = _settings(gateway, "bench_intake")
            warehouse = _open(settings)
            _print_intake(intake.measure(warehouse, settings, folder, count=events))
            warehouse.command(f"DROP DATABASE {settings.database}")


def _measure(gateway: RunningGateway, attempts: int) -> Size:
    warehouse = _open(_settings(gateway, f"bench_{attempts}"))
    bars = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    began = time.perf_counter()
    with bars:
        load(warehouse, attempts, today=utc_now(), progress=bars)
    loaded = time.perf_counter()
    end = end_of(warehouse)
    click.echo(f"settling {attempts:,} attempts, and rolling up their hours")
    settle(warehouse, now=end + timedelta(days=60))
    settled = time.perf_counter()
    hourly.build(warehouse, on_time_seconds=60, quiet=timedelta(), margin=timedelta())
    rolled = time.perf_counter()
    click.echo("asking")
    ((size,),) = warehouse.query_rows(
        "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
    )
    timings = list(questions.measure(warehouse, end))
    warehouse.close()
    return Size(attempts, size / attempts, loaded - began, rolled - settled, settled - loaded, timings)


def _print_size(size: Size) -> None:
    click.echo(
        f"\n{size.attempts:,} attempts in 40 days, {size.bytes_an_attempt:.0f} bytes each with their events; "
        f"loaded in {size.load_seconds:.0f} s, settled in {size.settle_seconds:.0f} s, rolled up in {size.rollup_seconds:.0f} s"
    )
    click.echo(f"{'question':52}{'rows':>7}{'median':>10}{'p95':>10}{'plain join':>12}{'ratio':>8}  ")
    for one in size.timings:
        join = f"{one.join_median * 1000:9.0f} ms" if one.join_median else "not asked"
        ratio = f"{one.join_median / one.median:6.1f} ×" if one.join_median else ""
        click.echo(
            f"{one.words:52}{one.rows:>7,}{one.median * 1000:>7.0f} ms{one.p95 * 1000:>7.0f} ms{join:>12}{ratio:>8}  {_verdict(one)}"
        )


def _verdict(one: questions.Timing) -> str:
    faults = []
    if one.median > GOAL_SECONDS:
        faults.append(f"over {GOAL_SECONDS * 1000:.0f} ms")
    if one.join_median and one.join_median / one.median < GOAL_RATIO:
        faults.append(f"under {GOAL_RATIO:.0f} ×")
    if not one.agrees:
        faults.append("THE ANSWERS DIFFER")
    return ", ".join(faults) or "reached"


def _print_growth(small: Size, large: Size) -> None:
    click.echo(f"\nten times the attempts take ({small.attempts:,} to {large.attempts:,}):")
    for one, other in zip(small.timings, large.timings, strict=True):
        click.echo(f"  {one.words:52}× {other.median / one.median:.1f}")


def _print_intake(rates: intake.Rates) -> None:
    best = max(rates.rows, rates.json)
    click.echo("\nintake, events a second (median of three rounds, in turn)")
    click.echo(f"  JetStream to ClickHouse                 {rates.stream:>10,.0f}")
    click.echo(
        f"  clickhouse-connect insert, rows         {rates.rows:>10,.0f}   ratio {rates.stream / rates.rows:.2f}"
    )
    click.echo(
        f"  clickhouse-connect raw_insert, JSON     {rates.json:>10,.0f}   ratio {rates.stream / rates.json:.2f}"
    )
    said = "reached" if rates.stream / best >= GOAL_INTAKE else f"under {GOAL_INTAKE:.0%} of the faster one"
    click.echo(f"  goal: {said}")


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
