"""Every setting of every program: a name with its unit, a default, a sentence. `docs/settings.md` is made from this folder.

Values come from the environment (`HELIOGRAPH_STORE_URL` sets `url` in `[store]`), then from the TOML file that
`HELIOGRAPH_CONFIG` names (`heliograph.toml` in the working folder by default), then from the defaults of the sections.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from core.errors import ConfigurationError
from core.settings.section import Section
from core.settings.sending import Api, Code, Limits, Numbers, Price, Provider, Routing, Template
from core.settings.servers import Encryption, Failover, Journal, Mail, Mirror, Queue, Store, Warehouse
from core.settings.watching import AlertChannel, AlertRoute, Alerts, Dashboard, Detection, Ingest, Metrics, Reports

CONFIG_VARIABLE = "HELIOGRAPH_CONFIG"
DEFAULT_CONFIG = Path("heliograph.toml")
ENV_PREFIX = "HELIOGRAPH_"


class Settings(Section):
    """All sections. A program takes the sections it needs and passes them on as arguments."""

    store: Store = Store()
    mirror: Mirror = Mirror()
    failover: Failover = Failover()
    queue: Queue = Queue()
    warehouse: Warehouse = Warehouse()
    journal: Journal = Journal()
    code: Code = Code()
    limits: Limits = Limits()
    numbers: Numbers = Numbers()
    encryption: Encryption = Encryption()
    api: Api = Api()
    routing: Routing = Routing()
    ingest: Ingest = Ingest()
    metrics: Metrics = Metrics()
    detection: Detection = Detection()
    mail: Mail = Mail()
    alerts: Alerts = Alerts()
    reports: Reports = Reports()
    dashboard: Dashboard = Dashboard()
    providers: list[Provider] = Field([])
    templates: list[Template] = Field([])
    prices: list[Price] = Field([])
    alert_channels: list[AlertChannel] = Field([])
    alert_routes: list[AlertRoute] = Field([])


def load(environ: Mapping[str, str] | None = None, config: Path | None = None) -> Settings:
    """Settings from `config` (or the file that the environment names) with the environment laid over it.

    Raises `ConfigurationError` that names each wrong setting, and never repeats a value.
    """
    environ = os.environ if environ is None else environ
    tables = _read_file(config or _config_of(environ))
    for variable in sorted(environ):
        if variable.startswith(ENV_PREFIX) and variable != CONFIG_VARIABLE:
            _lay_over(tables, variable, environ[variable])
    try:
        return Settings.model_validate(tables)
    except ValidationError as error:
        raise ConfigurationError(
            _describe(error), hint="docs/settings.md lists every setting with its meaning"
        ) from None


def _config_of(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def _read_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings file {path} is not TOML: {error}") from error


def _lay_over(tables: dict[str, Any], variable: str, text: str) -> None:
    section, _, name = variable.removeprefix(ENV_PREFIX).lower().partition("_")
    field = Settings.model_fields.get(section)
    model = field.annotation if field else None
    if not (isinstance(model, type) and issubclass(model, Section)):
        return  # a variable of another program that shares the prefix
    if name not in model.model_fields:
        near = difflib.get_close_matches(name, model.model_fields, n=1)
        hint = f"did you mean {ENV_PREFIX}{section.upper()}_{near[0].upper()}?" if near else ""
        raise ConfigurationError(f"{variable}: [{section}] has no setting called {name!r}", hint=hint)
    is_list = str(model.model_fields[name].annotation).startswith("list")
    tables.setdefault(section, {})[name] = _split(text) if is_list else text


def _split(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            return list(json.loads(text))
        except json.JSONDecodeError:
            return [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def _describe(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, row['loc']))}: {row['msg']}"
        for row in error.errors(include_input=False, include_url=False)
    )
