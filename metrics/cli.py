"""`heliograph upkeep` does at once what the scheduler does each minute and each night, and shows how far it is."""

from __future__ import annotations

import click


@click.command()
@click.option("--show", is_flag=True, help="Say what there is to do, and do nothing.")
@click.option("--rollup/--no-rollup", default=True, help="Roll up hours, or leave them. On by default.")
@click.option("--settle/--no-settle", default=True, help="Merge old days, or leave them. On by default.")
def upkeep(show: bool, rollup: bool, settle: bool) -> None:
    """Keep the warehouse fast: roll up hours, merge old days.

    Questions about long windows are answered out of hours that were counted ahead; days that ended more than four days ago
    are merged into one part each, and then read faster. The scheduler does both by itself, hours each minute and days each night.
    Run this after a large `heliograph ingest`, after an upgrade that says so, or where no scheduler runs. No answer changes by it; it may
    run beside the scheduler, and be stopped and run again.

    \b
      heliograph upkeep --show           what there is to do
      heliograph upkeep                  do it
      heliograph upkeep --no-settle      only the hours
    """
    from core import log, settings
    from metrics.upkeep import run_upkeep, told

    log.configure("upkeep", level="warning")
    loaded = settings.load()
    if show:
        click.echo(told(loaded))
    else:
        run_upkeep(loaded, rollup=rollup, settling=settle)
