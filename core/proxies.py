"""The proxy that an environment names leads out of this machine; what listens on the machine itself is asked without one.

Neither urllib nor the warehouse's client knows the difference by itself: both ask `no_proxy`.
"""

from __future__ import annotations

from collections.abc import MutableMapping

_HERE = ("127.0.0.1", "localhost", "::1")
_NAMES = ("no_proxy", "NO_PROXY")


def spare_loopback(environ: MutableMapping[str, str]) -> None:
    """Add this machine to those that `environ` excepts from its proxy; without a proxy nothing changes."""
    if not any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") and environ[name] for name in environ):
        return
    kept = next((environ[name] for name in _NAMES if environ.get(name)), "")
    if kept.strip() == "*":
        return
    excepted = [one.strip() for one in kept.split(",") if one.strip()]
    wanted = ",".join([*excepted, *(one for one in _HERE if one not in excepted)])
    environ.update(dict.fromkeys(_NAMES, wanted))
