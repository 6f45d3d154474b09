"""Makes a past of so many attempts inside ClickHouse, day by day, through the tables and views that production uses."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from importlib.resources import files

from rich.progress import Progress

from core.migrating import split_statements
from core.warehouse import Warehouse

DAYS = 40
"""Long enough for a question about thirty days that began some days ago."""

A_DAY = 100
"""A day has a multiple of so many attempts."""

ATTEMPTS_MIN = DAYS * A_DAY

_FOLDER = files("benchmarks.warehouse")


def end_of(warehouse: Warehouse) -> datetime:
    """The midnight after the last loaded day."""
    ((day,),) = warehouse.query_rows("SELECT max(toDate(at)) FROM bench_days")
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def load(warehouse: Warehouse, attempts: int, *, today: datetime, progress: Progress) -> None:
    """Load what is missing of `attempts`, which end with yesterday; a load that was cut short goes on where it was.

    One that is there keeps its days, however long ago it was made.
    """
    warehouse.command("CREATE TABLE IF NOT EXISTS bench_days (at DateTime('UTC')) ENGINE = MergeTree ORDER BY at")
    warehouse.command(_text("plan_table.sql"))
    done = {row[0].date() for row in warehouse.query_rows("SELECT at FROM bench_days")}
    first_day = min(done) if done else (today - timedelta(days=DAYS)).date()
    a_day = attempts // DAYS // A_DAY * A_DAY
    bar = progress.add_task(f"loading {attempts:,} attempts", total=DAYS)
    for number in range(DAYS):
        day = datetime.combine(first_day + timedelta(days=number), time(), UTC)
        if day.date() not in done:
            _load_day(warehouse, day, first=number * a_day, count=a_day)
        progress.advance(bar)
    warehouse.command("TRUNCATE TABLE plan")


def _load_day(warehouse: Warehouse, day: datetime, *, first: int, count: int) -> None:
    warehouse.command("TRUNCATE TABLE plan")
    numbers = {"{midnight}": int(day.timestamp()), "{first}": first, "{count}": count}
    text = _text("plan.sql")
    for name, value in numbers.items():
        text = text.replace(name, str(value))
    warehouse.command(text)
    for statement in split_statements(_text("events.sql")):
        warehouse.command(statement)
    warehouse.command(f"INSERT INTO bench_days VALUES ({int(day.timestamp())})")


def _text(name: str) -> str:
    return _FOLDER.joinpath(name).read_text(encoding="utf-8")
