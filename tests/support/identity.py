"""An OpenID Connect provider on loopback that signs in at once whoever the test says is there."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "heliograph"


class IdentityProvider:
    """`person` holds the claims of whoever sits at the browser; `signed_out` counts who came to be signed out."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = {}
        self.signed_out = 0
        self.secret = secrets.token_hex(16)
        self.url = ""
        self._key = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig", "alg": "RS256"})
        self._codes: dict[str, dict[str, Any]] = {}

    def sign_in_file(self, folder: Path) -> Path:
        """The file that makes a dashboard sign people in here."""
        path = folder / "sign-in.toml"
        path.write_text(
            f'[auth]\nredirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"\ncookie_secret = "{secrets.token_hex(32)}"\n'
            f'client_id = "{CLIENT}"\nclient_secret = "{self.secret}"\n'
            f'server_metadata_url = "{self.url}/.well-known/openid-configuration"\n'
        )
        return path

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/.well-known/openid-configuration", self._discovery)
        application.router.add_get("/keys", self._keys)
        application.router.add_get("/authorize", self._authorize)
        application.router.add_post("/token", self._token)
        application.router.add_get("/leave", self._leave)
        return application

    async def _discovery(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "end_session_endpoint": f"{self.url}/leave",
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [self._key.as_dict(private=False)]})

    async def _authorize(self, request: web.Request) -> web.Response:
        code = secrets.token_hex(16)
        self._codes[code] = {"nonce": request.query.get("nonce"), **self.person}
        back = urlencode({"code": code, "state": request.query["state"]})
        raise web.HTTPFound(f"{request.query['redirect_uri']}?{back}")

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        claims = self._codes.pop(str(form["code"]))
        now = int(time())
        claims |= {"iss": self.url, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key)
        return web.json_response({"access_token": "none", "token_type": "Bearer", "id_token": signed})

    async def _leave(self, request: web.Request) -> web.Response:
        self.signed_out += 1
        raise web.HTTPFound(request.query["post_logout_redirect_uri"])


@contextmanager
def running_provider() -> Iterator[IdentityProvider]:
    """A provider in a thread of its own."""
    provider = IdentityProvider()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = web.AppRunner(provider.application())
    try:
        asyncio.run_coroutine_threadsafe(_serve(runner, provider), loop).result(10)
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve(runner: web.AppRunner, provider: IdentityProvider) -> None:
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
