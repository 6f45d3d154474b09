"""The encryption worker: sealed numbers from the queue, through the encryption service, into the store as ciphertext.

A message is acknowledged once all its numbers are stored; until then it comes again, for as long as the stream keeps
it. Neither a service that is down nor a seal that does not open costs a number.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence

import aiohttp
import msgspec
import structlog

from core.clock import Clock
from core.errors import BadInput, EncryptionUnavailable, EventUnreadable, HeliographError, QueueUnavailable
from core.hooks import Step, no_step
from core.numbers import Seal
from core.queue import ENCRYPTOR_CONSUMER, NUMBERS, Message, Queue
from core.settings.servers import Encryption as EncryptionSettings
from service.facts import EncryptedNumber
from service.sealed import SealedNumber, decode_number
from service.stores import AT_ONCE, Store

_log = structlog.get_logger(__name__)

MESSAGES_MAX = 50
WAIT_SECONDS = 1.0
_PAUSE_SECONDS_MAX = 10.0
_REFUSED_SECONDS = 60.0
"""When a number comes again that was refused: until somebody has put the key or the service right."""


class _Item(msgspec.Struct):
    id: str
    ciphertext: str = ""
    error: str = ""


class _Answer(msgspec.Struct):
    key_id: str
    items: list[_Item]


class EncryptionClient:
    """The encryption service, over HTTP. Raises `EncryptionUnavailable`; an item it refuses is missing in the answer."""

    def __init__(self, session: aiohttp.ClientSession, settings: EncryptionSettings) -> None:
        self._session = session
        self._settings = settings

    async def encrypt(self, plaintexts: Mapping[str, str]) -> tuple[str, dict[str, bytes]]:
        """The id of the key and the ciphertexts, by the ids of `plaintexts`; calls of `batch_max` each."""
        key_id, ciphertexts = "", {}
        rows = list(plaintexts.items())
        for start in range(0, len(rows), self._settings.batch_max):
            answer = await self._call(rows[start : start + self._settings.batch_max])
            key_id = answer.key_id
            found = _ciphertexts(answer)
            if any(plaintexts.get(name, "\0").encode() in ciphertext for name, ciphertext in found.items()):
                raise self._unavailable("an answer with the plain number in it")
            ciphertexts.update(found)
        return key_id, ciphertexts

    async def _call(self, rows: Sequence[tuple[str, str]]) -> _Answer:
        items = [{"id": name, "plaintext": base64.b64encode(text.encode()).decode()} for name, text in rows]
        token = self._settings.token.get_secret_value()
        try:
            async with self._session.post(
                f"{self._settings.url.rstrip('/')}/v1/encrypt",
                data=msgspec.json.encode({"items": items}),
                headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds),
                allow_redirects=False,
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise self._unavailable(type(error).__name__) from None
        if response.status != 200:
            raise self._unavailable(f"status {response.status}")
        try:
            return msgspec.json.decode(body, type=_Answer)
        except msgspec.MsgspecError:
            raise self._unavailable("an answer that is not its format") from None

    def _unavailable(self, reason: str) -> EncryptionUnavailable:
        return EncryptionUnavailable(
            f"the encryption service at {self._settings.url} does not do it: {reason}",
            hint="check [encryption] url and token in the settings, and that the service runs there",
        )


class Encryptor:
    """Works until told to stop. Several may run: the queue gives each message to one."""

    def __init__(
        self,
        *,
        queue: Queue,
        store: Store,
        client: EncryptionClient,
        seal: Seal,
        clock: Clock,
        step: Step = no_step,
    ) -> None:
        self._queue = queue
        self._store = store
        self._client = client
        self._seal = seal
        self._clock = clock
        self._step = step
        self._stopping = asyncio.Event()
        self._failures = 0  # in a row

    def stop(self) -> None:
        """Finish what is in hand and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`; while somebody who is needed does not answer, with growing pauses."""
        while not self._stopping.is_set():
            try:
                await self.turn()
            except QueueUnavailable as error:
                _log.warning("no numbers can be taken from the queue", reason=str(error))
                await self._pause(WAIT_SECONDS)
            if self._failures:  # the backlog stays where it is bounded, instead of being taken and given back
                await self._pause(self._retry_seconds)

    async def turn(self, *, wait_seconds: float = WAIT_SECONDS) -> int:
        """Take what is there, and return how many numbers were stored. Raises `QueueUnavailable`."""
        messages = await self._queue.pull(
            NUMBERS, ENCRYPTOR_CONSUMER, batch_max=MESSAGES_MAX, wait_seconds=wait_seconds
        )
        if not messages:
            return 0
        try:
            stored = await self._work(messages)
        except HeliographError as error:
            self._failures += 1
            _log.warning("numbers wait for their encryption", messages=len(messages), reason=str(error))
            for message in messages:
                await message.nak(delay_seconds=self._retry_seconds)
            return 0
        self._failures = 0
        return stored

    @property
    def _retry_seconds(self) -> float:
        return min(_PAUSE_SECONDS_MAX, 0.5 * 2.0 ** min(self._failures, 10))

    async def _work(self, messages: Sequence[Message]) -> int:
        """Store what can be stored, and acknowledge what is. What nobody can store costs no other message."""
        read = [_sealed_of(message) for message in messages]
        try:
            stored = await self._store_encrypted([number for numbers, _ in read for number in numbers])
        except BadInput as error:
            if len(messages) > 1:
                return sum([await self._work([message]) for message in messages])
            _log.error("the store refuses a number as it was encrypted; it waits", reason=str(error))
            stored = set()
        for message, (numbers, whole) in zip(messages, read, strict=True):
            if whole and all(str(number.request_id) in stored for number in numbers):
                await message.ack()
            else:
                await message.nak(delay_seconds=_REFUSED_SECONDS)
        return len(stored)

    async def _store_encrypted(self, numbers: Sequence[SealedNumber]) -> set[str]:
        opened = self._opened(numbers)
        if not opened:
            return set()
        key_id, ciphertexts = await self._client.encrypt(opened)
        now = self._clock()
        facts = [
            EncryptedNumber(request_id=number.request_id, at=now, key_id=key_id, ciphertext=ciphertext)
            for number in {number.request_id: number for number in numbers}.values()
            if (ciphertext := ciphertexts.get(str(number.request_id))) is not None
        ]
        if len(facts) < len(opened):
            _log.error("the encryption service refuses some numbers", numbers=len(opened) - len(facts))
        self._step("encrypt-store")
        for start in range(0, len(facts), AT_ONCE):
            await self._store.write(facts[start : start + AT_ONCE])
        self._step("encrypt-ack")
        return {str(fact.request_id) for fact in facts}

    def _opened(self, numbers: Sequence[SealedNumber]) -> dict[str, str]:
        opened: dict[str, str] = {}
        for number in numbers:
            name = str(number.request_id)
            try:
                opened[name] = self._seal.open(number.sealed, request_id=name)
            except BadInput as error:
                _log.error("a number cannot be opened and waits", request_id=name, reason=str(error))
        return opened

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _sealed_of(message: Message) -> tuple[list[SealedNumber], bool]:
    """The numbers of a message, and whether all of it could be read."""
    numbers, whole = [], True
    for line in message.body.splitlines():
        try:
            numbers.append(decode_number(line))
        except EventUnreadable as error:
            whole = False
            _log.error("a line on the numbers stream cannot be read", sequence=message.sequence, reason=str(error))
    return numbers, whole


def _ciphertexts(answer: _Answer) -> dict[str, bytes]:
    found = {}
    for item in answer.items:
        try:
            found[item.id] = base64.b64decode(item.ciphertext, validate=True)
        except (binascii.Error, ValueError):
            continue
    return {name: ciphertext for name, ciphertext in found.items() if ciphertext}
