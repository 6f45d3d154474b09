"""The encryption service as a real process: what it gives back, what it refuses, and what it never writes down."""

from __future__ import annotations

import base64
import json
import secrets
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.children import Child, Process, http_answers, launch, wait_until_ready
from sandbox.encryption import ITEMS_MAX, PLAINTEXT_BYTES_MAX, TOKEN_VARIABLE, Vault, load_key
from sandbox.errors import KeyFileUnusable, ProcessDied
from sandbox.ports import free_port


@dataclass
class Service:
    child: Child
    client: httpx.Client
    key_file: Path

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(path, json=body)


def process(folder: Path, *, port: int, token: str) -> Process:
    key_file = str(folder / "keys" / "key.json")
    return Process(
        name="encryption",
        argv=[sys.executable, "-m", "sandbox.encryption", "--port", str(port), "--key-file", key_file],
        env={TOKEN_VARIABLE: token},
        is_ready=http_answers(f"http://127.0.0.1:{port}/healthz"),
        ports=[port],
    )


def run(folder: Path) -> Iterator[Service]:
    port, token = free_port(), secrets.token_urlsafe()
    child = launch(process(folder, port=port, token=token), folder)
    try:
        wait_until_ready(child)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
            yield Service(child, client, folder / "keys" / "key.json")
    finally:
        child.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from run(tmp_path_factory.mktemp("encryption"))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_what_was_encrypted_comes_back_in_order(service: Service):
    plaintexts = {f"row-{i}": secrets.token_bytes(i) for i in range(20)}
    sealed = service.post(
        "/v1/encrypt", items=[{"id": i, "plaintext": b64(text)} for i, text in plaintexts.items()]
    ).json()
    opened = service.post("/v1/decrypt", **sealed).json()

    assert opened["key_id"] == sealed["key_id"]
    assert opened["items"] == [{"id": i, "plaintext": b64(text)} for i, text in plaintexts.items()]


def test_the_same_plaintext_never_looks_the_same_twice(service: Service):
    item = {"id": "row", "plaintext": b64(b"same")}
    sealed = service.post("/v1/encrypt", items=[item, item]).json()["items"]

    assert sealed[0]["ciphertext"] != sealed[1]["ciphertext"]


def test_a_ciphertext_moved_to_another_row_or_changed_is_refused_beside_a_good_one(service: Service):
    sealed = service.post("/v1/encrypt", items=[{"id": "mine", "plaintext": b64(b"secret")}]).json()["items"][0]
    changed = bytearray(base64.b64decode(sealed["ciphertext"]))
    changed[-1] ^= 1
    answer = service.post(
        "/v1/decrypt",
        items=[
            {"id": "yours", "ciphertext": sealed["ciphertext"]},
            {"id": "mine", "ciphertext": b64(bytes(changed))},
            {"id": "mine", "ciphertext": b64(b"short")},
            sealed,
        ],
    ).json()["items"]

    assert ["error" in item for item in answer] == [True, True, True, False]
    assert answer[3] == {"id": "mine", "plaintext": b64(b"secret")}


def test_a_bad_item_does_not_lose_the_rest(service: Service):
    bad: list[Any] = [
        {"id": "not base64", "plaintext": "***"},
        {"id": "no plaintext"},
        {"plaintext": b64(b"no id")},
        {"id": "", "plaintext": b64(b"empty id")},
        {"id": "long", "plaintext": b64(bytes(PLAINTEXT_BYTES_MAX + 1))},
        None,
    ]
    answer = service.post("/v1/encrypt", items=[*bad, {"id": "good", "plaintext": b64(b"good")}])
    items = answer.json()["items"]

    assert answer.status_code == 200
    assert [item["id"] for item in items] == ["not base64", "no plaintext", None, "", "long", None, "good"]
    assert ["error" in item for item in items] == [True] * 6 + [False]


def test_an_item_that_is_not_even_text_does_not_lose_the_rest(service: Service):
    body = b'{"items": [{"id": "\xff", "plaintext": ""}, {"id": "good", "plaintext": ""}]}'
    answer = service.client.post("/v1/encrypt", content=body)

    assert ["error" in item for item in answer.json()["items"]] == [True, False]


def test_a_batch_of_the_largest_size_is_taken_and_one_more_is_not(service: Service):
    items = [{"id": str(i), "plaintext": b64(secrets.token_bytes(16))} for i in range(ITEMS_MAX + 1)]

    assert service.post("/v1/encrypt", items=items[:-1]).status_code == 200
    assert service.post("/v1/encrypt", items=items).status_code == 422


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"items": 3}', 400),
        (b"\xff\xfe", 400),
        (rb'{"items": [{"id": "\ud800", "plaintext": ""}]}', 400),
        (b'{"items": ' + b"[" * 100_000, 400),
        (b"x" * 9 * 1024 * 1024, 413),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem_that_does_not_repeat_it(service: Service, content: bytes, status: int):
    answer = service.client.post("/v1/encrypt", content=content)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["title"]


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Bearer naïve"])
def test_without_the_token_nothing_is_done(service: Service, header: str):
    answer = service.client.post("/v1/encrypt", json={"items": []}, headers={"Authorization": header.encode()})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["title"] == "Unauthorized"


def test_an_unknown_path_and_a_wrong_method_are_problems_too(service: Service):
    answers = [service.client.get("/v1/nothing"), service.client.get("/v1/encrypt")]

    assert [answer.json()["status"] for answer in answers] == [404, 405]


def test_another_key_is_refused_by_its_name(service: Service):
    answer = service.post("/v1/decrypt", key_id="another", items=[])

    assert answer.status_code == 409
    assert answer.json()["detail"].endswith("only")


def test_the_log_holds_no_plaintext(service: Service):
    word = secrets.token_hex(16)
    service.post("/v1/encrypt", items=[{"id": word, "plaintext": b64(word.encode())}, {"id": 1, "plaintext": word}])
    service.client.post("/v1/encrypt", content=f'{{"items": "{word}"'.encode())
    log = service.child.log_path.read_text()

    assert "Uvicorn running" in log
    assert word not in log
    assert b64(word.encode()) not in log


def test_only_the_owner_can_read_the_key_and_a_restart_keeps_it(tmp_path: Path):
    sealed: dict[str, Any] = {}
    for service in run(tmp_path):
        sealed = service.post("/v1/encrypt", items=[{"id": "row", "plaintext": b64(b"kept")}]).json()
        assert stat.S_IMODE(service.key_file.stat().st_mode) == 0o600
        assert [path.name for path in service.key_file.parent.iterdir()] == ["key.json"]
    for service in run(tmp_path):
        assert service.post("/v1/decrypt", **sealed).json()["items"][0]["plaintext"] == b64(b"kept")


def test_a_key_file_that_is_damaged_or_open_to_others_is_refused(tmp_path: Path):
    path = tmp_path / "key.json"
    load_key(path)
    path.chmod(0o644)
    with pytest.raises(KeyFileUnusable, match="others may read"):
        load_key(path)
    path.chmod(0o600)
    for text in ("", "{}", "[]", '{"key": "c2hvcnQ="}', '{"key": 7}'):
        path.write_text(text)
        with pytest.raises(KeyFileUnusable, match="damaged"):
            load_key(path)


def test_it_does_not_start_without_a_good_token(tmp_path: Path):
    child = launch(process(tmp_path, port=free_port(), token="short"), tmp_path)
    with pytest.raises(ProcessDied, match=TOKEN_VARIABLE):
        wait_until_ready(child)


@settings(deadline=None)  # the machine is shared
@given(plaintext=st.binary(max_size=200), row=st.text(min_size=1, max_size=40))
def test_any_bytes_under_any_id_come_back(plaintext: bytes, row: str):
    vault = Vault(bytes(32))
    sealed = vault.encrypt(msgspec.Raw(json.dumps({"id": row, "plaintext": b64(plaintext)}).encode()))

    assert vault.decrypt(msgspec.Raw(json.dumps(sealed).encode())) == {"id": row, "plaintext": b64(plaintext)}
