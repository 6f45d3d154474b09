"""The `heliograph` command. Each program brings its own subcommands, named in `pyproject.toml` under `heliograph.commands`."""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points, version

import click

from core.errors import HeliographError
from core.proxies import spare_loopback

GROUP = "heliograph.commands"

SECTIONS = {
    "Start here": ("demo", "smoke", "init"),
    "Programs": ("service", "encryptor", "ingester", "dashboard", "scheduler"),
    "Chores": ("ingest", "detect", "report", "alerts", "deployment", "upkeep", "keys", "failover", "journal", "docs"),
}
"""How help groups the subcommands; one that is not named here appears under "More"."""


class Commands(click.Group):
    """Subcommands by entry point, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_found())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _found().get(cmd_name)
        command = entry.load() if entry else None
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        named = {name for names in SECTIONS.values() for name in names}
        rest = tuple(name for name in self.list_commands(ctx) if name not in named)
        for title, names in {**SECTIONS, "More": rest}.items():
            rows = [
                (name, command.get_short_help_str(90)) for name in names if (command := self.get_command(ctx, name))
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _found() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version("heliograph"), prog_name="heliograph")
def heliograph() -> None:
    """Send and check SMS verification codes, survive the loss of stores and providers, see how well every channel works.

    Settings come from heliograph.toml in the working folder (or the file that HELIOGRAPH_CONFIG names) and from
    HELIOGRAPH_<SECTION>_<NAME> in the environment; docs/settings.md lists them all. `heliograph init` writes a first
    file with fresh secrets, `heliograph demo` runs everything with simulated traffic.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command; an error of ours ends as one line with what to do, without a traceback."""
    spare_loopback(os.environ)
    try:
        heliograph.main(args=arguments, standalone_mode=True)
    except HeliographError as error:
        click.secho(f"heliograph: {error}", fg="red", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        sys.exit(1)
