"""The encryption service: base64 plaintexts in, AES-256-GCM ciphertexts out, and back, over HTTP.

One bad item never costs its neighbours. Refuses calls without the bearer token and key files others can read; never logs a body.

    POST /v1/encrypt  {"items": [{"id", "plaintext"}]}  -> {"key_id", "items": [{"id", "ciphertext"} or {"id", "error"}]}
    POST /v1/decrypt  {"items": [{"id", "ciphertext"}]} -> {"key_id", "items": [{"id", "plaintext"} or {"id", "error"}]}
    GET  /healthz

Answers keep the order of the question. A ciphertext is base64 of nonce, encrypted bytes and tag; the id is authenticated
with it, so that one person's ciphertext cannot be put in another's row. `key_id` may be sent with `decrypt`: another key
than ours is then refused as such.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import stat
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import uvicorn
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import HTTPException, NotAuthorizedException

from sandbox.errors import KeyFileUnusable, SandboxError

TOKEN_VARIABLE = "HELIOGRAPH_ENCRYPTION_TOKEN"
ITEMS_MAX = 1_000
PLAINTEXT_BYTES_MAX = 4_096
ID_BYTES_MAX = 256
_KEY_BYTES = 32
_NONCE_BYTES = 12  # random: good for 2**32 encryptions under one key (NIST SP 800-38D)
_TOKEN_CHARACTERS_MIN = 16
_BODY_BYTES_MAX = 8 * 1024 * 1024  # 1,000 of the longest items, with room

_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)

JsonRequest = Request[Any, Any, Any]


class ItemRefused(SandboxError):
    """This one item cannot be encrypted or decrypted; the message is safe to send to the caller."""


class Batch(msgspec.Struct):
    """The body of a call. Items are read one by one, so that one of a wrong shape does not spoil the call."""

    items: list[msgspec.Raw]
    key_id: str | None = None


class EncryptItem(msgspec.Struct):
    id: str
    plaintext: str


class DecryptItem(msgspec.Struct):
    id: str
    ciphertext: str


class _OnlyId(msgspec.Struct):
    id: str


_Item = TypeVar("_Item", EncryptItem, DecryptItem)


class Vault:
    """One AES-256-GCM key. `key_id` names it without telling anything of it."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.key_id = hashlib.sha256(b"heliograph key id\0" + key).hexdigest()[:16]

    def encrypt(self, raw: msgspec.Raw) -> dict[str, str]:
        """`{"id", "ciphertext"}`. Raises `ItemRefused`."""
        item = _item(raw, EncryptItem)
        plaintext = _unbase64(item.plaintext, "plaintext")
        if len(plaintext) > PLAINTEXT_BYTES_MAX:
            raise ItemRefused(f"plaintext is longer than {PLAINTEXT_BYTES_MAX} bytes")
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, plaintext, _associated(item.id))
        return {"id": item.id, "ciphertext": base64.b64encode(sealed).decode("ascii")}

    def decrypt(self, raw: msgspec.Raw) -> dict[str, str]:
        """`{"id", "plaintext"}`. Raises `ItemRefused`."""
        item = _item(raw, DecryptItem)
        sealed = _unbase64(item.ciphertext, "ciphertext")
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            plaintext = self._cipher.decrypt(nonce, body, _associated(item.id))
        except (InvalidTag, ValueError):
            raise ItemRefused("ciphertext was not made by this key for this id, or has been changed") from None
        return {"id": item.id, "plaintext": base64.b64encode(plaintext).decode("ascii")}


def load_key(path: Path) -> bytes:
    """The key of a file, made with a new key if there is none. Raises `KeyFileUnusable`."""
    if not path.exists():
        _create_key(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyFileUnusable(f"others may read the key file {path}", hint=f"chmod 600 {path}")
    try:
        key = base64.b64decode(json.loads(path.read_text(encoding="utf-8"))["key"], validate=True)
    except (ValueError, KeyError, TypeError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise KeyFileUnusable(
            f"the key file {path} is damaged",
            hint="bring it back from a backup; without it nothing that was encrypted can be read",
        )
    return key


def create_app(vault: Vault, token: str) -> Litestar:
    """The service. `token` is what callers send as `Authorization: Bearer …`."""

    @get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "key_id": vault.key_id}

    @post("/v1/encrypt", status_code=200)
    async def encrypt(request: JsonRequest) -> Response[bytes]:
        batch = await _batch(request)
        return _answer(vault, batch, vault.encrypt)

    @post("/v1/decrypt", status_code=200)
    async def decrypt(request: JsonRequest) -> Response[bytes]:
        batch = await _batch(request)
        if batch.key_id not in (None, vault.key_id):
            raise HTTPException(status_code=409, detail=f"this service holds the key {vault.key_id} only")
        return _answer(vault, batch, vault.decrypt)

    return Litestar(
        [healthz, encrypt, decrypt],
        before_request=_guard(token),
        exception_handlers={Exception: _problem},
        request_max_body_size=_BODY_BYTES_MAX,
        openapi_config=None,
        logging_config=None,
    )


def _guard(token: str) -> Callable[[JsonRequest], None]:
    expected = f"Bearer {token}".encode()

    def guard(request: JsonRequest) -> None:
        given = request.headers.get("authorization", "").encode()
        if request.url.path != "/healthz" and not hmac.compare_digest(given, expected):
            raise NotAuthorizedException("the bearer token is missing or wrong", headers={"WWW-Authenticate": "Bearer"})

    return guard


async def _batch(request: JsonRequest) -> Batch:
    try:
        batch = msgspec.json.decode(await request.body(), type=Batch)
    except _UNREADABLE:
        # The decoder's own words may quote the body.
        raise HTTPException(status_code=400, detail='the body is not JSON of the form {"items": [...]}') from None
    if len(batch.items) > ITEMS_MAX:
        raise HTTPException(status_code=422, detail=f"{len(batch.items)} items; one call takes at most {ITEMS_MAX}")
    return batch


def _answer(vault: Vault, batch: Batch, work: Callable[[msgspec.Raw], dict[str, str]]) -> Response[bytes]:
    items = [_attempt(work, raw) for raw in batch.items]
    body = msgspec.json.encode({"key_id": vault.key_id, "items": items})
    return Response(body, media_type="application/json")


def _attempt(work: Callable[[msgspec.Raw], dict[str, str]], raw: msgspec.Raw) -> dict[str, str | None]:
    try:
        return dict(work(raw))
    except ItemRefused as refused:
        return {"id": _readable_id(raw), "error": str(refused)}


def _item(raw: msgspec.Raw, shape: type[_Item]) -> _Item:
    try:
        return msgspec.json.decode(raw, type=shape)
    except _UNREADABLE:
        names = " and ".join(shape.__struct_fields__)
        raise ItemRefused(f"an item is an object with the texts {names}") from None


def _readable_id(raw: msgspec.Raw) -> str | None:
    try:
        return msgspec.json.decode(raw, type=_OnlyId).id
    except _UNREADABLE:
        return None


def _associated(item_id: str) -> bytes:
    data = item_id.encode()
    if not 0 < len(data) <= ID_BYTES_MAX:
        raise ItemRefused(f"id is to have 1 to {ID_BYTES_MAX} bytes")
    return data


def _unbase64(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ItemRefused(f"{name} is not base64") from None


def _create_key(path: Path) -> None:
    """Written beside, synced, then linked into place: never half a key, and of two services that start at once one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps({"key": base64.b64encode(os.urandom(_KEY_BYTES)).decode("ascii")}) + "\n"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)
    except FileExistsError:  # the other one won; its key is read next
        return
    finally:
        fresh.unlink()


def _problem(_request: JsonRequest, error: Exception) -> Response[bytes]:
    """RFC 9457. What is not an HTTP error is a fault of ours, told without its words: they may quote a body."""
    status, detail, headers = 500, "the service failed; its log names the error", {}
    if isinstance(error, HTTPException):
        status, detail, headers = error.status_code, error.detail, error.headers or {}
    else:
        click.echo(f"unexpected {type(error).__name__}", err=True)
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(
        msgspec.json.encode(body), status_code=status, media_type="application/problem+json", headers=headers
    )


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), required=True, help="Port to listen on.")
@click.option("--key-file", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Made if missing.")
def main(host: str, port: int, key_file: Path) -> None:
    """Serve encryption over HTTP. The bearer token is taken from HELIOGRAPH_ENCRYPTION_TOKEN."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    if len(token) < _TOKEN_CHARACTERS_MIN:
        raise click.ClickException(f"set {TOKEN_VARIABLE} to a token of at least {_TOKEN_CHARACTERS_MIN} characters")
    try:
        vault = Vault(load_key(key_file))
    except KeyFileUnusable as error:
        raise click.ClickException(f"{error}; {error.hint}") from error
    except OSError as error:
        raise click.ClickException(f"cannot use the key file {key_file}: {error.strerror}") from error
    uvicorn.run(create_app(vault, token), host=host, port=port, log_level="info", access_log=False)


if __name__ == "__main__":
    main()
