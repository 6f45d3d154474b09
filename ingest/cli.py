"""`heliograph ingester` reads the queue; `heliograph ingest` reads files."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
def ingester() -> None:
    """Move events from the queue into the warehouse, until stopped.

    Run one or several: they share the work. Stop it with Ctrl-C or SIGTERM; what was not acknowledged comes again.
    """
    from core import log, settings
    from ingest.main import run

    log.configure("ingester")
    run(settings.load())


@click.command()
@click.argument("paths", metavar="FILE...", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--mapping", metavar="NAME|FILE.toml", help="How the columns of an export become events.")
@click.option("--list-mappings", is_flag=True, help="Show the mappings that come with Heliograph.")
@click.option("--retry", is_flag=True, help="Try the dead letters in the warehouse again, instead of loading files.")
def ingest(paths: tuple[Path, ...], mapping: str | None, list_mappings: bool, retry: bool) -> None:
    """Load FILEs into the warehouse: CSV, JSON lines or Parquet, plain or with .gz.

    Without --mapping the rows are events: the fields of docs/events.md, `kind` among them. With it they are the export
    of a provider, one row a message. A row that cannot be read goes to the dead letters with its reason; the others are
    stored. Loading a file again changes nothing.

    With --retry what could not be read before is tried again, after an upgrade for example: what can be read by now is
    stored and its dead letter goes, what cannot stays with its new reason. Rows of exports are loaded again as files.

    \b
      heliograph ingest events.jsonl
      heliograph ingest --mapping twilio messages.jsonl.gz
      heliograph ingest --mapping ours.toml march.csv april.csv
      heliograph ingest --retry
    """
    from ingest import mapping as mappings
    from ingest.main import load_files, retry_letters

    if list_mappings:
        for name, description in mappings.shipped().items():
            click.echo(f"{name:10} {description}")
        return
    if retry:
        if paths or mapping:
            raise click.UsageError("--retry takes no FILE and no --mapping")
        retry_letters()
        return
    if not paths:
        raise click.UsageError("name at least one FILE")
    load_files(paths, mapping)
