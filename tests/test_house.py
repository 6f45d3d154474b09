"""Rules of the house that no other tool enforces."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import settings

from core.errors import HeliographError

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "service", "ingest", "metrics", "app", "reports", "sandbox")
FUNCTION_LINES_MAX = 60


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=False, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def modules():
    return [path for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in PACKAGES]


def test_no_function_is_longer_than_sixty_lines():
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
    ]

    assert long == []


def test_every_module_says_what_it_promises():
    silent = [
        str(path.relative_to(ROOT))
        for path in modules()
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert silent == []


def test_no_file_of_tests_is_longer_than_four_hundred_lines():
    long = [
        str(path.relative_to(ROOT))
        for path in tracked("tests/*.py")
        if path.read_text(encoding="utf-8").count("\n") > 400
    ]

    assert long == []


def test_the_top_level_is_the_one_of_the_design():
    allowed = {
        "pyproject.toml",
        "requirements.lock",
        "README.md",
        "Makefile",
        "CHANGELOG.md",
        "LICENSE",
        ".gitignore",
        ".ci",
    }
    allowed |= {*PACKAGES, "tests", "docs", "benchmarks"}

    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= allowed


def test_the_lock_file_names_versions_and_hashes_and_no_address():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links", lock)
    assert len(re.findall(r"^\S+==", lock, re.M)) > 50
    assert lock.count("--hash=sha256:") >= len(re.findall(r"^\S+==", lock, re.M))


def test_every_dependency_is_locked():
    lock = {_normal(name) for name in re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.M)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    wanted = {_normal(re.match(r"[\w.-]+", line)[0]) for group in groups for line in group}

    assert wanted - lock == set()


def _normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def test_no_line_of_a_log_is_written_with_print():
    printing = [
        str(path.relative_to(ROOT))
        for path in modules()
        if path.name not in ("cli.py", "__main__.py")
        and re.search(r"^\s*print\(", path.read_text(encoding="utf-8"), re.M)
    ]

    assert printing == []


def every_error():
    waiting, found = [HeliographError], []
    while waiting:
        error = waiting.pop()
        found.append(error)
        waiting += error.__subclasses__()
    return found


def test_every_error_stands_in_the_tree_where_it_is_defined():
    import core.errors  # noqa: PLC0415
    import sandbox.errors  # noqa: PLC0415
    import service.errors  # noqa: PLC0415

    trees = {module.__name__: module.__doc__ for module in (core.errors, service.errors, sandbox.errors)}
    missing = [
        error.__name__
        for error in every_error()
        if error.__module__ in trees and error.__name__ not in trees[error.__module__]
    ]

    assert missing == []


def test_documents_made_from_code_are_what_the_code_says():
    # in a process of its own: click keeps the help of a command as it was first asked for
    told = subprocess.run(
        [sys.executable, "-m", "core", "docs", "--check"], cwd=ROOT, capture_output=True, check=False, text=True
    )

    assert told.returncode == 0, told.stdout + told.stderr


def test_no_property_is_judged_by_the_clock():
    assert settings().deadline is None
