"""`heliograph dashboard`: run the dashboard on a local port. It reports to nobody and needs no network but the warehouse's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from app.palette import THEME


@click.command("dashboard")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; loopback unless you say otherwise."
)
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65_535), help="Port to listen on.")
def dashboard(host: str, port: int) -> None:
    """Show the ten metrics of every channel in the browser.

    The dashboard reads the warehouse that [warehouse] in the settings names, and cannot write to it. It waits for a
    warehouse that is down, and goes on when it is back.
    """
    # Streamlit takes this process's place, so that whoever started us signals the server itself.
    os.execv(sys.executable, arguments(host, port))


def arguments(host: str, port: int) -> list[str]:
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
    entry = Path(__file__).with_name("dashboard.py")
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(entry),
        *(f"--{name}={value}" for name, value in options.items()),
    ]
