"""`heliograph dashboard`: run the dashboard on a local port. It reports to nobody and needs no network but the warehouse's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from app import access
from app.palette import THEME


@click.command("dashboard")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; another than loopback needs signing in.",
)
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65_535), help="Port to listen on.")
def dashboard(host: str, port: int) -> None:
    """Show the ten metrics of every channel in the browser.

    The dashboard reads the warehouse that [warehouse] in the settings names, and writes to it only what operators say:
    silences, maintenance windows, comments, deployments. It waits for a warehouse that is down, and goes on when it is back.

    Without [dashboard] sign_in_file it listens on loopback only, and whoever sits there is an operator. With it people
    sign in first, and it may listen on any --host. See docs/dashboard.md.
    """
    from core import settings

    wanted = settings.load().dashboard
    access.check(wanted, host)
    # Streamlit takes this process's place, so that whoever started us signals the server itself.
    os.execv(sys.executable, arguments(host, port, sign_in_file=wanted.sign_in_file))


def arguments(host: str, port: int, *, sign_in_file: str = "") -> list[str]:
    """The command line of the server."""
    options = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": "false",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        **THEME,
    }
    if sign_in_file:
        options["secrets.files"] = str(Path(sign_in_file).absolute())
    entry = Path(__file__).with_name("front.py")
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(entry),
        *(f"--{name}={value}" for name, value in options.items()),
    ]
