"""The ways out: mail, and whatever Apprise knows. A channel takes an alert whole or raises; its address stays a secret."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import unquote, urlencode, urlsplit

import apprise
from apprise.attachment.memory import AttachMemory

from core.alerts.outbox import Told
from core.alerts.rendering import Rendering
from core.errors import ChannelUnavailable, ConfigurationError
from core.mail import Mailer
from core.redact import redact

_TIMEOUT_SECONDS = 20.0
_SECRET_LENGTH_MIN = 6


class Channel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """Its name in routes and commands."""
        ...

    def send(self, told: Told, *, only: Sequence[str] = ()) -> None:
        """Returns once the alert was taken. Raises `ChannelUnavailable` or `MailUnavailable`; `MailPartlyTaken` when it has to be
        tried again with those `only` whom that names."""
        ...


class MailChannel:
    """A mail an alert, in one thread an incident."""

    def __init__(
        self, name: str, mailer: Mailer, rendering: Rendering, *, sender: str, recipients: Sequence[str]
    ) -> None:
        self.name = name
        self._mailer = mailer
        self._rendering = rendering
        self._sender = sender
        self._recipients = tuple(recipients)

    def send(self, told: Told, *, only: Sequence[str] = ()) -> None:
        self._mailer.send(self._rendering.mail(told, sender=self._sender, recipients=self._recipients), only=only)


class AppriseChannel:
    """A chat, a pager or a webhook, by its address in the form of Apprise. Raises `ConfigurationError` for one it does not
    know."""

    def __init__(self, name: str, url: str, rendering: Rendering) -> None:
        self.name = name
        self._url = url
        self._rendering = rendering
        # Its own log names hosts and bodies; what failed comes back in the result.
        logging.getLogger("apprise").propagate = False
        if self._service() is None:
            raise ConfigurationError(
                f"alert_channels: the url of {name!r} is none that Apprise knows",
                hint="https://appriseit.com/services/ shows the form of each service; the url begins with it, as slack:// does",
            )

    def send(self, told: Told, *, only: Sequence[str] = ()) -> None:
        service = self._service(told)
        assert service is not None
        sender = apprise.Apprise(asset=_asset())
        sender.add(service)
        result = sender.notify(
            title=self._rendering.title(told),
            body=self._rendering.text(told, short=True),
            notify_type=_type(told),
            body_format=apprise.NotifyFormat.TEXT,
            attach=self._attached(told) if service.attachment_support else None,
            timeout=_TIMEOUT_SECONDS,
        )
        if not result:
            raise ChannelUnavailable(
                f"the channel {self.name} did not take it: {self._reason(result)}",
                hint=f"check its url in [[alert_channels]]; `heliograph alerts test {self.name}` tries it",
            )

    def _service(self, told: Told | None = None) -> apprise.NotifyBase | None:
        return apprise.Apprise.instantiate(self._url + (_details(self._url, told) if told else ""), asset=_asset())

    def _attached(self, told: Told) -> apprise.AppriseAttachment | None:
        if not told.alert.pictures:
            return None
        attached = apprise.AppriseAttachment()
        for picture in told.alert.pictures:
            attached.add(AttachMemory(picture.png, name=f"{picture.name}.png", mimetype="image/png"))  # type: ignore[no-untyped-call]
        return attached

    def _reason(self, result: apprise.AppriseResult) -> str:
        said = [entry.message for one in result.results for attempt in one.attempts for entry in attempt.logs]
        return without_secrets(redact(said[-1]), self._url) if said else result.status.name.lower()


def without_secrets(text: str, url: str) -> str:
    """`text` without anything that stands in `url` behind its scheme."""
    parts = urlsplit(url)
    words = {unquote(word) for word in re.split(r"[/:@?&=#]+", f"{parts.netloc}{parts.path}?{parts.query}")}
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _SECRET_LENGTH_MIN:
            text = text.replace(word, "[secret]")
    return text


def _details(url: str, told: Told) -> str:
    """What a machine at the other end sorts by: fields of a webhook, the incident of a pager."""
    alert, scheme = told.alert, url.partition(":")[0].lower()
    if scheme == "pagerduty":
        fields = {"dedup": told.thread, "action": "map", "class": alert.kind}
    elif scheme in ("json", "jsons", "form", "forms", "xml", "xmls"):
        labels = {f":label_{name}": value for name, value in alert.labels.items()}
        fields = {
            ":key": alert.key,
            ":event": alert.event,
            ":kind": alert.kind,
            ":severity": alert.severity,
            ":thread": told.thread,
            ":at": alert.at.isoformat(),
            ":link": alert.link,
            **labels,
        }
    else:
        return ""
    return ("&" if "?" in url else "?") + urlencode(fields)


def _type(told: Told) -> apprise.NotifyType:
    if told.alert.event == "resolved":
        return apprise.NotifyType.SUCCESS
    kinds = {"critical": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING}
    return kinds.get(told.alert.severity, apprise.NotifyType.INFO)


def _asset() -> apprise.AppriseAsset:
    return apprise.AppriseAsset(
        app_id="Heliograph", app_desc="Heliograph", app_url="", async_mode=False, storage_mode="memory"
    )


class KeptChannel:
    """The twin: keeps what it was given in `taken`, refuses while `available` is false."""

    def __init__(self, name: str = "kept") -> None:
        self.name = name
        self.taken: list[Told] = []
        self.available = True

    def send(self, told: Told, *, only: Sequence[str] = ()) -> None:
        if not self.available:
            raise ChannelUnavailable("the kept channel was told to be down")
        self.taken.append(told)
