"""The command that starts the dashboard."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path
from sys import stdlib_module_names

import pytest
from click.testing import CliRunner

import app
from app import cli

FOLDER = Path(app.__file__).parent
MODULES = sorted(FOLDER.rglob("*.py"))


def test_the_server_listens_where_it_is_told_and_reports_to_nobody() -> None:
    line = cli.arguments("127.0.0.1", 8600)

    assert "--server.address=127.0.0.1" in line
    assert "--server.port=8600" in line
    assert "--browser.gatherUsageStats=false" in line
    assert Path(line[4]).is_file()


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    told = CliRunner().invoke(cli.dashboard, ["--help"]).output

    assert "127.0.0.1" in told
    assert "8501" in told


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_does_not_exist_is_refused(port: str) -> None:
    assert CliRunner().invoke(cli.dashboard, ["--port", port]).exit_code == 2


def test_no_module_is_called_like_another_that_is_imported_by_name() -> None:
    """Streamlit puts `app/` first on the import path, where such a name would hide the other."""
    siblings = {entry.name for entry in FOLDER.parent.iterdir() if (entry / "__init__.py").is_file()}
    names = {path.stem for path in FOLDER.glob("*.py")} | {"views"} - {"__init__"}

    assert not names & (set(stdlib_module_names) | siblings)
    assert [name for name in names - {"__init__"} if find_spec(name)] == []


@pytest.mark.parametrize("name", ["access", "charts", "data", "filters", "palette", "tiles", "timeframe", "words"])
def test_what_is_not_a_page_does_not_know_the_page_framework(name: str) -> None:
    files = [path for path in MODULES if path.relative_to(FOLDER).with_suffix("").parts[0] == name]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}

    assert files
    assert not {name for name in imported if name.partition(".")[0] == "streamlit"}
