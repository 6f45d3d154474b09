"""The HTTP session that all providers of a process share, with connections of its own for each."""

from __future__ import annotations

import aiohttp


def open_session(*, connections_max: int = 200) -> aiohttp.ClientSession:
    """A pooled session for all providers of a process; call it on the event loop and close it at the end.

    `connections_max` holds for each address: a provider that is slow takes no connection that another one needs.
    Idle connections are dropped after 4 s: many servers close theirs after 5, and a POST written to a connection
    that is just being closed ends as `unknown`.
    """
    connector = aiohttp.TCPConnector(limit=0, limit_per_host=connections_max, keepalive_timeout=4.0, ttl_dns_cache=60)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
