"""What documents and messages name exists: files, headings, commands with their options, targets of make, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from core.cli import heliograph
from core.settings import Settings
from tests.test_house import ROOT, modules, tracked

LINK = re.compile(
    r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)|<(?:img|source)[^>]+?src(?:set)?=\"(?!https?:)([^\"]+)\""
)
CODE = re.compile(r"```\w*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
COMMAND = re.compile(r"^ *(?:\$ |[A-Z_]+=\S+ +)*heliograph((?:[ ]+[^\s`|;&()#\\]+|[ ]*\\\n)+)", re.M)
WRITTEN_BY_HAND = [path for path in tracked("*.md") if path.name != "commands.md"]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line) for line in re.findall(r"^#+ +(.+)$", outside, re.M))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def dead_links(path: Path) -> Iterator[str]:
    for file, anchor, picture in LINK.findall(path.read_text(encoding="utf-8")):
        target = path.parent / (file or picture) if file or picture else path
        if not target.exists():
            yield f"{name_of(path)}: {file or picture}"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{name_of(path)}: {file}#{anchor}"


@pytest.mark.parametrize("path", tracked("*.md"), ids=name_of)
def test_links_lead_to_a_file_and_a_heading_of_it(path: Path):
    assert list(dead_links(path)) == []


def code_of(text: str) -> str:
    return "\n".join(block or span for block, span in CODE.findall(text))


def faults_of(words: list[str]) -> Iterator[str]:
    """What does not exist of a command line, given without its first word."""
    command: click.Command = heliograph
    for place, word in enumerate(words):
        if word.startswith("-"):
            name = word.partition("=")[0].rstrip(".,:")
            known = {option for row in command.params for option in (*row.opts, *row.secondary_opts)}
            if name not in known | {"-h", "--help"}:
                yield f"{' '.join(words[:place])} has no {name}"
        elif isinstance(command, click.Group):
            child = command.get_command(click.Context(command), word.rstrip(".,:"))
            if child is None:
                if re.fullmatch(r"[a-z][a-z-]*", word):  # else it stands for one: COMMAND, …
                    yield f"{' '.join(words[:place])} has no command {word}"
                return
            command = child


def strange_commands(text: str) -> list[str]:
    return [
        fault
        for rest in COMMAND.findall(text)
        for fault in faults_of([word.strip("\"'[]") for word in rest.replace("\\\n", " ").split()])
    ]


@pytest.mark.parametrize("path", WRITTEN_BY_HAND, ids=name_of)
def test_commands_and_options_that_a_document_names_exist(path: Path):
    assert strange_commands(code_of(path.read_text(encoding="utf-8"))) == []


def test_commands_that_the_program_tells_people_to_use_exist():
    told = {name_of(path): strange_commands(code_of(path.read_text(encoding="utf-8"))) for path in modules()}

    assert {name: faults for name, faults in told.items() if faults} == {}


def test_what_finds_a_strange_command_finds_one():
    text = "`heliograph keys create --app shop --colour red`, `heliograph journal mend`, ```sh\nheliograph demo --fault x\n```"

    assert strange_commands(code_of(text)) == ["keys create --app shop has no --colour", "journal has no command mend"]


@pytest.mark.parametrize("path", tracked("*.md"), ids=name_of)
def test_targets_of_make_and_modules_that_a_document_names_exist(path: Path):
    code = code_of(path.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    modules_named = re.findall(r"python -m ([a-z_.]+)", code)

    assert set(re.findall(r"(?:^|\s)make ([a-z-]+)", code)) - targets == set()
    assert [name for name in modules_named if find_spec(name) is None] == []


def settings_named(text: str) -> Iterator[tuple[str, str]]:
    sections = "|".join(Settings.model_fields)
    for span in re.findall(r"`([^`\n]+)`", text):
        yield from re.findall(rf"^({sections})\.(?!py$)([a-z_]+)$", span)
        yield from re.findall(rf"^\[({sections})\] ([a-z_]+)$", span)


@pytest.mark.parametrize("path", [path for path in WRITTEN_BY_HAND if path.name != "CHANGELOG.md"], ids=name_of)
def test_settings_that_a_document_names_exist(path: Path):
    strange = [
        f"{section}.{name}"
        for section, name in settings_named(path.read_text(encoding="utf-8"))
        if name not in getattr(Settings.model_fields[section].annotation, "model_fields", {name})
    ]

    assert strange == []
