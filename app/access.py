"""Who looks at the dashboard, and what they may do: nobody without signing in, unless nothing is configured and they are local.

Signing in is Streamlit's own OpenID Connect, out of the file that `[dashboard] sign_in_file` names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.errors import ConfigurationError, HeliographError
from core.settings.watching import Dashboard

CALLBACK = "/oauth2callback"
LOCAL = "local operator"
_SHARED = ("redirect_uri", "cookie_secret")
_PROVIDER = ("client_id", "client_secret", "server_metadata_url")
_COOKIE_SECRET_MIN = 32
_YES = (True, 1, "true", "True", "1")


class OperatorsOnly(HeliographError):
    """Somebody who is no operator wanted to do what only operators may."""


@dataclass(frozen=True)
class Person:
    """Somebody who may look. `address` is empty for the local person of a dashboard without signing in."""

    name: str
    address: str
    is_operator: bool

    @property
    def signature(self) -> str:
        """What stands under their words."""
        return self.address or self.name


@dataclass(frozen=True)
class Refused:
    """Why somebody may not look, in a sentence."""

    reason: str
    address: str = ""


def admit(settings: Dashboard, user: Mapping[str, Any], *, is_local: bool) -> Person | Refused | None:
    """Who somebody is, by the claims of their identity provider; None when they have not signed in yet."""
    if not settings.sign_in_file:
        if is_local:
            return Person(LOCAL, "", is_operator=True)
        return Refused(
            "This dashboard has no way to sign in, so it is shown on the machine it runs on and nowhere else"
        )
    if user.get("is_logged_in") is not True:
        return None
    address = str(user.get("email") or "").strip()
    if not address:
        return Refused("Your identity provider did not tell an e-mail address")
    if user.get(settings.verified_claim) not in _YES:
        return Refused(f"Your identity provider does not say that {address} was verified", address)
    is_operator = _is_on(settings.operators, address)
    if settings.viewers and not is_operator and not _is_on(settings.viewers, address):
        return Refused(f"{address} is not on the list of those who may look", address)
    return Person(str(user.get("name") or address), address, is_operator)


def _is_on(entries: Iterable[str], address: str) -> bool:
    """Whether an address stands on a list, by itself or with all of its domain (`@example.org`)."""
    folded = address.casefold()
    return any(
        folded == entry.casefold() or (entry.startswith("@") and folded.rpartition("@")[2] == entry[1:].casefold())
        for entry in entries
    )


def check(settings: Dashboard, host: str) -> None:
    """Raise `ConfigurationError` when a dashboard with these settings must not listen on `host`, or cannot sign people in."""
    if settings.sign_in_file:
        _check_file(Path(settings.sign_in_file))
    elif not _is_loopback(host):
        raise ConfigurationError(
            f"on {host} everybody who reaches this machine would see the dashboard",
            hint="set [dashboard] sign_in_file so that people sign in (docs/dashboard.md shows how), or leave --host at "
            "127.0.0.1",
        )


def providers(auth: Mapping[str, Any]) -> list[str]:
    """The names of the providers in `[auth]`, each a table of its own; none when the table itself is the only one."""
    return [name for name, table in auth.items() if isinstance(table, Mapping) and name != "client_kwargs"]


def is_asked_for_here(host: str) -> bool:
    """Whether a browser that sends this `Host` has the loopback address itself in its address bar.

    Another name that leads here is that of a proxy, or of a page elsewhere that had its name point to this machine and
    would see the dashboard through its reader's browser.
    """
    try:
        return _is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_file(path: Path) -> None:
    auth = _auth_of(path)
    names = providers(auth)
    missing = [f"auth.{key}" for key in _SHARED if not auth.get(key)]
    if names:
        missing += [f"auth.{name}.{key}" for name in names for key in _PROVIDER if not auth[name].get(key)]
    else:
        missing += [f"auth.{key}" for key in _PROVIDER if not auth.get(key)]
    if missing:
        raise ConfigurationError(f"{path} lacks {', '.join(missing)}", hint="docs/dashboard.md shows an example")
    if len(str(auth["cookie_secret"])) < _COOKIE_SECRET_MIN:
        raise ConfigurationError(
            f"{path}: auth.cookie_secret has fewer than {_COOKIE_SECRET_MIN} characters",
            hint="python -c 'import secrets; print(secrets.token_hex(32))' makes one",
        )
    if not str(auth["redirect_uri"]).endswith(CALLBACK):
        raise ConfigurationError(
            f"{path}: auth.redirect_uri has to be the dashboard's own address with {CALLBACK} behind it"
        )
    if wrong := [name for name in names if "_" in name]:
        raise ConfigurationError(
            f"{path}: a provider's name has no underscore: {', '.join(wrong)}", hint="Streamlit cannot use it"
        )


def _auth_of(path: Path) -> Mapping[str, Any]:
    try:
        auth = tomllib.loads(path.read_text(encoding="utf-8")).get("auth")
    except OSError as error:
        raise ConfigurationError(
            f"[dashboard] sign_in_file: {path} cannot be read: {error.strerror}", hint="docs/dashboard.md shows one"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # The parser's words may repeat a line with a secret.
        raise ConfigurationError(f"[dashboard] sign_in_file: {path} is not TOML") from None
    if not isinstance(auth, dict):
        raise ConfigurationError(f"{path} has no table [auth]", hint="docs/dashboard.md shows an example")
    return auth
