"""Commands of the service: the API, the encryption worker, API keys, failover and journals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from core.settings import load


@click.command()
@click.option(
    "--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"])
)
def service(log_level: str) -> None:
    """Serve the HTTP API.

    Needs the primary store ([store] url) and secrets (`heliograph init`). The mirror, the queue and the encryption
    service may be down at the start: the service says so and works on. The API is described at /schema.

    \b
    Examples:
      heliograph service
      HELIOGRAPH_API_PORT=9000 HELIOGRAPH_STORE_URL=mysql+pymysql://… heliograph service
    """
    import uvloop

    from core.ending import end_within
    from core.log import configure
    from service.main import serve

    configure("service", level=log_level)
    uvloop.run(
        serve(
            load(),
            on_ready=lambda address: click.echo(f"Heliograph answers at {address}, see {address}/schema"),
            on_ending=end_within,
        )
    )


@click.command()
@click.option(
    "--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"])
)
def encryptor(log_level: str) -> None:
    """Encrypt phone numbers: take sealed ones from the queue, store what the encryption service makes of them.

    Several may run. While the encryption service is down the backlog waits on the stream, and drains later.
    """
    import uvloop

    from core.log import configure
    from service.main import work_on_numbers

    configure("encryptor", level=log_level)
    uvloop.run(work_on_numbers(load()))


@click.group()
def keys() -> None:
    """Make and end API keys."""


@keys.command()
@click.option("--app", required=True, help="Who it is for: the app's name in answers and charts.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["send", "read", "operate"]),
    help="What it may do; give it several times.",
)
@click.option("--label", default="", help="A note for you.")
def create(app: str, scopes: tuple[str, ...], label: str) -> None:
    """Make a key and print it, once: only a hash of it is stored.

    \b
    Example:
      heliograph keys create --app shop --scope send --scope read
    """
    import asyncio

    from service.key_chores import create_key

    key, key_id = asyncio.run(create_key(load(), app=app, scopes=frozenset(scopes), label=label))
    click.echo(key)
    click.echo(f"Keep it now, it is not shown again. To end it: heliograph keys revoke {key_id}", err=True)


@keys.command()
@click.argument("key_or_id")
def revoke(key_or_id: str) -> None:
    """End a key, given itself or the id that was printed when it was made.

    Instances of the service believe it for up to `api.key_cache_seconds` more.
    """
    import asyncio

    from service.key_chores import revoke_key

    asyncio.run(revoke_key(load(), key_or_id))
    click.echo("The key counts no longer.")


@click.group()
def failover() -> None:
    """See how the stores stand, declare one down, go back to the primary.

    Speaks to a running service, with a key of scope operate (`heliograph keys create --app ops --scope operate`).
    """


_SERVICE = [
    click.option("--url", default="", help="Address of the service; by default the one in the settings."),
    click.option("--key", envvar="HELIOGRAPH_KEY", required=True, help="API key; better in HELIOGRAPH_KEY."),
    click.option("--json", "as_json", is_flag=True, help="Print the answer of the service as it is."),
]


def _speaks_to_service(command: Callable[..., None]) -> Callable[..., None]:
    for option in _SERVICE:
        command = option(command)
    return command


@failover.command()
@_speaks_to_service
def status(url: str, key: str, as_json: bool) -> None:
    """Print the status, since when, why, and what waits in the journal."""
    _print_failover(url, key, None, as_json)


@failover.command("set")
@click.argument("status", type=click.Choice(["mysql_fatal", "redis_fatal"]))
@click.option("--reason", default="", help="For the others who read the status.")
@_speaks_to_service
def declare(status: str, reason: str, url: str, key: str, as_json: bool) -> None:
    """Declare a store down, before maintenance for instance.

    \b
    Example:
      heliograph failover set mysql_fatal --reason "upgrade at noon"
    """
    _print_failover(url, key, {"action": "set", "status": status, "reason": reason}, as_json)


@failover.command()
@_speaks_to_service
def recover(url: str, key: str, as_json: bool) -> None:
    """Go back to the primary store and replay what was journaled meanwhile. Refused while it is not well."""
    _print_failover(url, key, {"action": "recover"}, as_json)


@failover.command("write-off")
@click.argument("journal")
@_speaks_to_service
def write_off(journal: str, url: str, key: str, as_json: bool) -> None:
    """Wait no longer for the instance of JOURNAL, which `heliograph failover status` lists as owed or deaf.

    An instance that ended before its journal was drained owes what the primary store does not have yet, and until it is
    started again on its folder the others ask both stores. Only when that folder is lost for good is there nothing to
    wait for: what was answered from it and is no longer in Redis is then lost too.

    One that is deaf has been killed, or does not reach Redis. For an hour the others suppose that it serves from MySQL:
    a call of theirs for which MySQL is late then waits until that answers, or is called down.

    \b
    Example:
      heliograph failover write-off 4f0c0b9a3c6e4b7f9a51c2d7e8f60213
    """
    _print_failover(url, key, {"action": "write_off", "journal": journal}, as_json)


def _print_failover(url: str, key: str, order: dict[str, str] | None, as_json: bool) -> None:
    import json

    from core.clock import utc_now
    from service.remote import operate, told

    settings = load()
    view = operate(url or f"http://{settings.api.host}:{settings.api.port}", key, order)
    click.echo(json.dumps(view, indent=2) if as_json else told(view, now=utc_now()))


_WHICH = click.option(
    "--which", default="store", show_default=True, type=click.Choice(["store", "events"]), help="Which journal."
)


@click.group()
def journal() -> None:
    """Look at, check and replay what waits on disk: writes of the store, events for the queue.

    A running service drains both by itself; files it is writing are passed over.
    """


@journal.command()
@_WHICH
def show(which: str) -> None:
    """Print the records, one a line: file, number, whether it was applied, and the record.

    During an outage the service holds its newest file: what is in there is shown once it is closed.
    """
    from service import journals

    settings, is_empty = load(), True
    for row in journals.show(settings, which):
        is_empty = False
        click.echo(f"{row.file} {row.number} {'applied' if row.applied else 'waits'} {row.text}")
    if is_empty:
        used = journals.in_use(settings, which)
        click.echo(_in_use(used) if used else "Nothing waits.", err=True)


@journal.command()
@_WHICH
def verify(which: str) -> None:
    """Read every record and change nothing. Ends with status 1 when one is damaged or cannot be run."""
    from service import journals

    settings = load()
    found = journals.verify(settings, which)
    for file in found.files:
        click.echo(f"{file.file}: {file.records} records, {file.applied} applied: {file.problem or 'sound'}")
    _tell_what_is_left(which)
    if not found.files:
        click.echo("Nothing else waits." if journals.in_use(settings, which) else "Nothing waits.")
    if not found.is_sound:
        click.echo("`heliograph journal replay --skip-damaged` applies what is intact and keeps the rest.", err=True)
        raise SystemExit(1)


@journal.command("replay")
@_WHICH
@click.option(
    "--skip-damaged",
    is_flag=True,
    help="Apply what is intact in a damaged file too, and keep the file as …damaged. Events always do.",
)
def replay_journal(which: str, skip_damaged: bool) -> None:
    """Apply what waits: writes into the primary store, events onto the queue.

    It can be stopped and begun again, and run beside the service: what is applied twice changes nothing. Ends with
    status 1 when something was left alone or set aside.

    \b
    Examples:
      heliograph journal verify && heliograph journal replay
      heliograph journal replay --which events
    """
    import asyncio

    from service import journals

    settings, problems = load(), list[str]()
    with _progress(journals.count(settings, which)) as move:
        if which == "events":
            count = asyncio.run(journals.publish_events(settings, move))
            told = f"{count} records published"
        else:
            done = asyncio.run(journals.replay_store(settings, move, skip_damaged=skip_damaged))
            told = f"{done.records} records of {done.files} files replayed, {done.rejected} set aside"
            problems += done.damaged
            problems += [f"{done.rejected} records can never be applied"] if done.rejected else []
            if waiting := journals.count(settings, "events"):
                told += f"\n{waiting} events wait: the service publishes them, or `heliograph journal replay --which events`"
    click.echo(told)
    _tell_what_is_left(which)
    for problem in problems:
        click.secho(f"not applied: {problem}", fg="red", err=True)
    if problems:
        raise SystemExit(1)


def _in_use(files: int) -> str:
    return f"{files} {'file is' if files == 1 else 'files are'} in use by another process and passed over."


def _tell_what_is_left(which: str) -> None:
    from service import journals

    settings = load()
    if used := journals.in_use(settings, which):
        click.echo(_in_use(used))
    for path in journals.kept_aside(settings, which):
        click.echo(f"Kept for you to look at: {path}")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str, int], None]]:
    """A bar over all records; each file counts its own from 1."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("replaying", total=total)
        seen: dict[str, int] = {}

        def move(file: str, number: int) -> None:
            seen[file] = number
            bars.update(task, completed=sum(seen.values()))

        yield move
