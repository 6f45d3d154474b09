"""Chores of nobody in particular: a first settings file, and the documents that are made from code."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from core.errors import ConfigurationError
from core.settings import ENV_PREFIX, Settings
from core.settings.section import Section

SECRETS = (("code", "secret"), ("numbers", "hash_key"), ("numbers", "seal_key"), ("api", "key_secret"))


def fresh_secrets() -> str:
    """The tables of a settings file that hold the secrets, newly drawn: 256 bits each."""
    lines, section = [], ""
    for table, name in SECRETS:
        if table != section:
            lines.append(f"\n[{table}]")
            section = table
        lines.append(f'{name} = "{secrets.token_urlsafe(32)}"')
    return "\n".join(lines).lstrip() + "\n"


@click.command()
@click.option("--path", type=click.Path(path_type=Path), default=Path("heliograph.toml"), show_default=True)
def init(path: Path) -> None:
    """Write a first settings file with fresh secrets, readable by you alone.

    All instances of the service share one such file. Keep it: losing `code.secret` voids living codes, losing
    `numbers.hash_key` forgets who opted out.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(
            f"{path} exists and is left alone", hint="give another --path, or remove it first"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", hint="give another --path") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("# Settings of Heliograph; docs/settings.md explains every one.\n\n" + fresh_secrets())
    click.echo(f"{path} written. Next: name your stores and providers in it, then `heliograph service`.")


def settings_document() -> str:
    """docs/settings.md, from the declarations in core/settings."""
    parts = [
        "# Settings",
        "",
        "Made from `core/settings/` by `make docs`; change it there.",
        "",
        "A setting comes from the environment (`HELIOGRAPH_STORE_URL` sets `url` in `[store]`), else from the TOML file that",
        "`HELIOGRAPH_CONFIG` names (`heliograph.toml` in the working folder by default), else it has its default.",
        "Lists are written in the environment with commas. `heliograph init` writes a file with fresh secrets.",
    ]
    for name, field in Settings.model_fields.items():
        section = _section_of(field)
        title = f"[[{name}]]" if "list" in str(field.annotation) else f"[{name}]"
        parts += ["", f"## `{title}`", "", (section.__doc__ or "").strip(), ""]
        parts += ["| name | environment | default | meaning |", "|---|---|---|---|"]
        parts += [_row(name, key, value, listed=title.startswith("[[")) for key, value in section.model_fields.items()]
    return "\n".join(parts) + "\n"


def _section_of(field: FieldInfo) -> type[BaseModel]:
    for candidate in (field.annotation, *getattr(field.annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    raise ValueError("a field of Settings is a section or a list of sections")


def _row(section: str, name: str, field: FieldInfo, *, listed: bool) -> str:
    variable = "in the file only" if listed else f"`{ENV_PREFIX}{section.upper()}_{name.upper()}`"
    return f"| `{name}` | {variable} | {_default(field)} | {field.description} |"


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return "empty" if value in ("", []) else f"`{value}`"
