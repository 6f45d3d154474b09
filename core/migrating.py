"""Numbered files of SQL, `migrations/NNNN_what.sql` in a package: read in order, and split into statements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files


def migrations(package: str) -> Sequence[tuple[int, str, str]]:
    """The migrations of a package as (number, name, text), in order."""
    folder = files(package).joinpath("migrations")
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), name, folder.joinpath(name).read_text(encoding="utf-8")) for name in found]


def split_statements(text: str) -> list[str]:
    """The statements of a migration: each ends with a semicolon at the end of a line; comment lines fall away."""
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in re.split(r";\s*(?:\n|$)", body) if statement.strip()]
