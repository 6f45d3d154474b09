"""What an alert is. Whatever may be a number or a code is masked before it is kept; a title is one line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Literal

import msgspec

from core.redact import redact

Event = Literal["opened", "updated", "resolved", "reopened"]
Severity = Literal["critical", "warning", "info"]

TITLE_MAX, TEXT_MAX = 200, 20_000


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A PNG, and what it shows in words."""

    name: str
    alt: str
    png: bytes


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One thing told about `key`: that it began, that it changed, that it is over, that it is not over after all.

    `kind` is what routes go by, such as `store_status`; `labels` too (component, provider, carrier, country). `text` says
    what happened, `steps` what to do next, one command or sentence each. The same (key, event, version) is told once;
    `version` is the time when it is empty. An update whose `material` (the title, when empty) is that of the one before
    stays quiet for a while, unless it is more severe or twice as many people are `affected`. `since` is when it began, where
    that is not when it was told. An opening begins a thread, what follows under its key belongs to it, a reopening too.
    """

    key: str
    event: Event
    kind: str
    severity: Severity
    title: str
    text: str
    at: datetime
    steps: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] = {}
    pictures: tuple[Picture, ...] = ()
    link: str = ""
    since: datetime | None = None
    version: str = ""
    material: str = ""
    affected: int = 0

    @property
    def name(self) -> str:
        """The same for everybody who tells the same."""
        return _digest(self.key, self.event, self.version or self.at.isoformat())


def cleaned(alert: Alert) -> Alert:
    """`alert` as it may be kept and sent."""
    return msgspec.structs.replace(
        alert,
        key=clean_key(alert.key),
        title=" ".join(redact(alert.title).split())[:TITLE_MAX],
        text=redact(alert.text).strip()[:TEXT_MAX],
        steps=tuple(map(redact, alert.steps)),
        facts=tuple((redact(name), redact(value)) for name, value in alert.facts),
        labels={name: redact(value) for name, value in alert.labels.items()},
        link=alert.link if alert.link.startswith(("http://", "https://")) else "",
        material=_digest(alert.material or alert.title),
    )


def clean_key(key: str) -> str:
    """`key` as it is kept: masked ones stay apart by a digest."""
    masked = redact(key)
    return key if masked == key else f"{masked}#{_digest(key)[:8]}"


def _digest(*parts: str) -> str:
    return blake2b("\x1f".join(parts).encode(), digest_size=12).hexdigest()
