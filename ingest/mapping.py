"""Mappings: how the rows of somebody's export become events. One TOML file each, in `ingest/mappings/` or your own.

A row of an export is an attempt with its last state: it becomes a `Send`, and a `Receipt` where the state is final.
The number, where there is one, is read for its country and carrier, hashed, and forgotten.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from core.errors import BadInput, ConfigurationError, InvalidNumber
from core.events import DIMENSIONS, AnyEvent, Category, ErrorClass, Outcome, ReceiptStatus, from_row
from core.ids import uuid7_from
from core.numbers import Number, NumberHash, read
from core.settings.section import TimeZone

Row = Mapping[str, Any]


def _known_dimension(name: str) -> str:
    if name not in DIMENSIONS:
        raise ValueError(f"no dimension is called {name!r}; they are {', '.join(DIMENSIONS)}")
    return name


Dimension = Annotated[str, AfterValidator(_known_dimension)]


class Part(BaseModel):
    """A table of the mapping file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Moment(Part):
    """A time: its column, how it is written (`iso`, `epoch`, `epoch_ms` or a strptime pattern), the zone where it names none."""

    column: str
    format: str = "iso"
    zone: TimeZone = "UTC"

    def read(self, row: Row) -> datetime | None:
        """The time in UTC, or None where the column is empty. Raises `BadInput`."""
        text = str(row.get(self.column) or "").strip()
        if not text:
            return None
        try:
            return self._parse(text)
        except (ValueError, OverflowError, OSError):  # the last for seconds beyond the years there are
            raise BadInput(f"column {self.column!r} is not a time of the form {self.format!r}") from None

    def _parse(self, text: str) -> datetime:
        if self.format in ("epoch", "epoch_ms"):
            return datetime.fromtimestamp(float(text) / (1000 if self.format == "epoch_ms" else 1), UTC)
        at = datetime.fromisoformat(text) if self.format == "iso" else datetime.strptime(text, self.format)  # noqa: DTZ007  # zone follows
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(self.zone))).astimezone(UTC)


class State(Part):
    """What one word of the status column means."""

    outcome: Outcome
    receipt: ReceiptStatus | None = None
    error_class: ErrorClass = ""


class ExportMapping(Part):
    """A mapping file."""

    description: str
    source: str = Field("", description="where the format is documented")
    provider: str
    id: str = Field(
        description="column with the provider's id of the message; our request id is made from it and the time"
    )
    submitted: Moment
    finished: Moment | None = None
    number: str = ""
    status: str
    error_code: str = ""
    segments: str = ""
    category: Category = "code"
    columns: dict[Dimension, str] = Field({}, description="dimension = column, for those the file knows")
    constants: dict[Dimension, str] = Field({}, description="dimension = value, the same for every row")
    only: dict[str, list[str]] = Field({}, description="column = values: other rows are not ours and passed over")
    states: dict[str, State] = Field(description="status in lower case = what it means")
    errors: dict[str, ErrorClass] = {}


@dataclass(frozen=True)
class _Facts:
    """What a row says of its message, in our words."""

    request_id: UUID
    submitted: datetime
    state: State
    error_class: ErrorClass
    error_code: str


@dataclass(frozen=True)
class Mapper:
    """A mapping with what it needs to make events."""

    mapping: ExportMapping
    hash_number: NumberHash | None

    def events(self, row: Row) -> Iterator[AnyEvent]:
        """The events of one row, none when it is not ours. Raises `BadInput` with the reason, without the row's values."""
        mapping = self.mapping
        if any(str(row.get(column, "")) not in values for column, values in mapping.only.items()):
            return
        submitted = mapping.submitted.read(row)
        if submitted is None:
            raise BadInput(f"column {mapping.submitted.column!r} is empty")
        key = str(row.get(mapping.id) or "")
        if not key:
            raise BadInput(f"column {mapping.id!r} is empty")
        state = self._state(row)
        error_code = str(row.get(mapping.error_code) or "") if mapping.error_code else ""
        facts = _Facts(
            request_id=uuid7_from(submitted, f"{mapping.provider}\0{key}"),
            submitted=submitted,
            state=state,
            error_class=mapping.errors.get(error_code, state.error_class),
            error_code=error_code,
        )
        yield self._send(row, facts)
        if state.receipt:
            yield self._receipt(row, facts)

    def _state(self, row: Row) -> State:
        word = str(row.get(self.mapping.status) or "").lower()
        state = self.mapping.states.get(word)
        if state is None:
            raise BadInput(f"column {self.mapping.status!r} has a status that the mapping does not know")
        return state

    def _send(self, row: Row, facts: _Facts) -> AnyEvent:
        number = self._number(row)
        told: dict[str, Any] = {"provider": self.mapping.provider, **self.mapping.constants}
        if number:
            told |= {"carrier": number.carrier, "country": number.country, "region": number.region}
        told |= {name: str(row[column]) for name, column in self.mapping.columns.items() if row.get(column)}
        refused = facts.state.outcome != "accepted"
        return from_row(
            told
            | {
                "kind": "send",
                "at": facts.submitted,
                "request_id": facts.request_id,
                "attempt": 1,
                "category": self.mapping.category,
                "cause": "first",
                "outcome": facts.state.outcome,
                "error_class": facts.error_class if refused else "",
                "error_code": facts.error_code if refused else "",
                "segments": _count(row, self.mapping.segments),
                "phone_hash": self.hash_number(number.e164) if number and self.hash_number else "",
            }
        )

    def _receipt(self, row: Row, facts: _Facts) -> AnyEvent:
        finished = self.mapping.finished.read(row) if self.mapping.finished else None
        failed = facts.state.receipt == "failed"
        return from_row(
            {
                "kind": "receipt",
                # an export tells the provider's clock, which may run behind ours
                "at": max(finished or facts.submitted, facts.submitted),
                "provider_at": finished,
                "request_id": facts.request_id,
                "attempt": 1,
                "status": facts.state.receipt,
                "error_class": facts.error_class if failed else "",
                "raw_status": str(row.get(self.mapping.status) or ""),
                "raw_code": facts.error_code if failed else "",
            }
        )

    def _number(self, row: Row) -> Number | None:
        if not self.mapping.number:
            return None
        text = str(row.get(self.mapping.number) or "")
        for candidate in (text, "+" + text.lstrip("+")):  # exports often leave the plus sign out
            try:
                return read(candidate)
            except InvalidNumber:
                continue
        return None


def _count(row: Row, column: str) -> int:
    text = str(row.get(column) or "1") if column else "1"
    return min(max(int(text), 1), 20) if text.isdigit() else 1


def shipped() -> dict[str, str]:
    """The mappings that come with Heliograph, as name → description."""
    folder = files("ingest").joinpath("mappings")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return {
        name.removesuffix(".toml"): _parse(folder.joinpath(name).read_text("utf-8"), name).description for name in names
    }


def load(name_or_path: str) -> ExportMapping:
    """A shipped mapping by name, or a file of your own by path. Raises `ConfigurationError` that says what is wrong."""
    path = Path(name_or_path)
    if path.suffix == ".toml" and path.exists():
        return _parse(path.read_text(encoding="utf-8"), name_or_path)
    entry = files("ingest").joinpath("mappings", f"{name_or_path}.toml")
    if not entry.is_file():
        known = ", ".join(shipped())
        raise ConfigurationError(
            f"no mapping is called {name_or_path!r}", hint=f"shipped: {known}; or give a .toml file"
        )
    return _parse(entry.read_text("utf-8"), name_or_path)


def _parse(text: str, name: str) -> ExportMapping:
    try:
        return ExportMapping.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"the mapping {name} is not TOML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in error.errors(include_input=False)
        )
        raise ConfigurationError(f"the mapping {name}: {faults}") from None
