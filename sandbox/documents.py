"""The documents that are made from code, so that they cannot rot: `heliograph docs` writes them, a test compares them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click
import msgspec

from core.chores import settings_document
from core.cli import heliograph
from core.events import KINDS, Event
from metrics.detection.handbook import NAMES, STEPS
from metrics.docs import render as metrics_document
from reports.watch.incidents import alert_kind, severity_of
from service.failover import Status
from service.failover.notices import Notice, NoticeKind
from service.herald import alert_of

FOLDER = Path("docs")


def events_document() -> str:
    """docs/events.md, from core/events.py."""
    parts = [
        "# Events",
        "",
        "Made from `core/events.py` by `make docs`; change it there.",
        "",
        "What the service tells and what `heliograph ingest` reads: JSON, one event a line, or the same names as columns.",
        "Times are ISO 8601 with a zone. No field holds a number or a code, and no text takes a run of seven digits.",
        "`event_id` may be left out; it is made from the fact's key.",
    ]
    for kind, struct in KINDS.items():
        parts += ["", f"## `{kind}`", "", _first_paragraph(struct), "", "| field | type | default |", "|---|---|---|"]
        parts += [f"| `kind` | `{kind}` | required |", *_fields(struct)]
    return "\n".join(parts) + "\n"


def _fields(struct: type[Event]) -> Iterator[str]:
    schema = msgspec.json.schema(struct)
    properties = schema["$defs"][struct.__name__]["properties"]
    for field in msgspec.structs.fields(struct):
        default = (
            "required" if field.required else (f"`{field.default}`" if field.default not in ("", None) else "empty")
        )
        yield f"| `{field.name}` | {_type(properties[field.name])} | {default} |"


def _type(shape: Mapping[str, object]) -> str:
    if "enum" in shape:
        values = shape["enum"]
        assert isinstance(values, list)
        return "one of " + ", ".join(f"`{value}`" for value in values if value != "")
    options = shape.get("anyOf")
    if isinstance(options, list):
        return ", or ".join(_type(option) for option in options)
    limits = [
        f"{name} {shape[key]}"
        for key, name in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"))
        if key in shape
    ]
    return " ".join([str(shape.get("format") or shape.get("type")), *limits])


def _first_paragraph(struct: type[Event]) -> str:
    return " ".join((struct.__doc__ or "").split())


def commands_document() -> str:
    """docs/commands.md: the help of every command, as the terminal shows it."""
    parts = ["# Commands", "", "Made from the commands' own help by `make docs`; change it there."]
    for path, command in _commands(heliograph, ("heliograph",)):
        context = click.Context(
            command,
            info_name=" ".join(path),
            max_content_width=100,
            terminal_width=100,
            help_option_names=["-h", "--help"],
        )
        parts += ["", f"## `{' '.join(path)}`", "", "```text", command.get_help(context).rstrip(), "```"]
    return "\n".join(parts) + "\n"


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _commands(child, (*path, name))


_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def alert_kinds_document() -> str:
    """docs/alert-kinds.md: every kind of alert in the words in which it is told."""
    rows = sorted({*_store_alerts(), *_incident_alerts()})
    parts = [
        "# Alert kinds",
        "",
        "Made from the code that tells them by `make docs`; change it there. What to do about each, at length: [operating](operating.md).",
        "",
        "| kind | severity | title | first steps |",
        "|---|---|---|---|",
        *(
            f"| [`{kind}`](operating.md#{kind}) | {severity} | {title} | {steps} |"
            for kind, severity, title, steps in rows
        ),
    ]
    return "\n".join(parts) + "\n"


def _store_alerts() -> Iterator[tuple[str, str, str, str]]:
    for kind in get_args(NoticeKind):
        for new in Status if kind == "status" else (Status.MYSQL_FATAL,):
            component = {"status": "store", "journal": "journal"}.get(kind, "mysql")
            notice = Notice(
                kind=kind,
                at=_NOW,
                component=component,
                old=Status.HEALTHY,
                new=new,
                reason="",
                instance="",
                since=_NOW,
                word=_NOW,
            )
            alert = alert_of(notice)
            yield alert.kind, alert.severity, alert.title, " ".join(_as_command(step) for step in alert.steps)


def _as_command(step: str) -> str:
    return f"`{step}`" if step.startswith("heliograph ") else step


def _incident_alerts() -> Iterator[tuple[str, str, str, str]]:
    for kind, name in NAMES.items():
        yield alert_kind(kind), severity_of(kind), name, " ".join(STEPS[kind])


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "settings.md": settings_document,
    "metrics.md": metrics_document,
    "events.md": events_document,
    "commands.md": commands_document,
    "alert-kinds.md": alert_kinds_document,
}


def renew(*, check: bool, folder: Path = FOLDER) -> int:
    """Write every document, or with `check` only compare; returns the exit status."""
    stale = 0
    for name, render in DOCUMENTS.items():
        path, text = folder / name, render()
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before == text:
            continue
        stale += 1
        if check:
            diff = difflib.unified_diff(
                before.splitlines(), text.splitlines(), str(path), "made from code", lineterm="", n=0
            )
            click.echo("\n".join([f"{path} is stale; run `make docs`", *diff]))
        else:
            path.write_text(text, encoding="utf-8")
            click.echo(f"{path} written")
    return 1 if check and stale else 0
