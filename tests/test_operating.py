"""The operator's page has a section for every kind of alert that the code can tell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from metrics.detection.incidents import KINDS
from reports.watch.incidents import alert_kind as kind_of_incident
from service.failover.notices import NoticeKind
from service.herald import alert_kind as kind_of_notice

ROOT = Path(__file__).parent.parent
WORKED_OUT = {"service/herald.py", "reports/watch/incidents.py"}
"""Where the kind of an alert is worked out from a notice or an incident."""


def alerts_told() -> Iterator[tuple[str, ast.expr]]:
    """Each `kind` with which the code makes an alert, and the file."""
    for package in ("app", "core", "ingest", "metrics", "reports", "service"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Alert":
                    [kind] = [given.value for given in node.keywords if given.arg == "kind"]
                    yield str(path.relative_to(ROOT)), kind


def kinds() -> set[str]:
    named = {kind.value for _, kind in alerts_told() if isinstance(kind, ast.Constant)}
    return named | {kind_of_notice(kind) for kind in get_args(NoticeKind)} | {kind_of_incident(kind) for kind in KINDS}


def test_a_kind_is_either_a_word_or_worked_out_where_this_test_knows():
    assert {file for file, kind in alerts_told() if not isinstance(kind, ast.Constant)} == WORKED_OUT


def test_every_kind_of_alert_has_its_section_and_no_section_is_about_none():
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### `(\w+)`$", page, re.MULTILINE)

    assert sorted(sections) == sorted(kinds())
