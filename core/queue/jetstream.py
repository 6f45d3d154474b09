"""The queue over NATS JetStream. It connects when first used and again whenever it must; callers see `QueueUnavailable`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import nats
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, Header, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NoStreamResponseError, NotFoundError

from core.errors import QueueUnavailable
from core.queue import DEDUPLICATION_SECONDS, STREAM_SUBJECTS, StreamState
from core.settings.servers import Queue as QueueSettings

_log = structlog.get_logger(__name__)

_FAILURES = (NatsError, OSError, asyncio.TimeoutError, ValueError)
"""ValueError too: the client raises it for an answer that is not JSON, as a wrong server on the port gives."""

_SETTINGS = ("max_age", "max_bytes", "num_replicas")
"""Of a stream, what our settings say."""

_DELETION_SECONDS = 2.0
"""Before a deleted stream is made again. A server that says that there is none may still be removing its files: those of a
stream that is made meanwhile go with them, and it takes nothing any more (nats-server 2.15.1 on a busy disk, 2 times of 40).
"""

ACK_WAIT = timedelta(seconds=30)
ACK_PENDING_MAX = 10_000
"""Two of the largest batches; the server's own limit of 1,000 would cut a large one short."""


class JetStreamMessage:
    """A message in hand, from JetStream."""

    def __init__(self, message: Msg, *, timeout_seconds: float) -> None:
        self._message = message
        self._timeout_seconds = timeout_seconds

    @property
    def subject(self) -> str:
        return self._message.subject

    @property
    def body(self) -> bytes:
        return self._message.data

    @property
    def sequence(self) -> int:
        return self._message.metadata.sequence.stream

    @property
    def deliveries(self) -> int:
        return self._message.metadata.num_delivered or 1

    async def ack(self) -> None:
        try:
            await self._message.ack_sync(timeout=self._timeout_seconds)
        except _FAILURES as error:
            raise QueueUnavailable(f"the acknowledgement was not confirmed: {type(error).__name__}") from None

    async def nak(self, *, delay_seconds: float = 0.0) -> None:
        try:
            await self._message.nak(delay=delay_seconds or None)
        except _FAILURES as error:
            raise QueueUnavailable(f"the message could not be given back: {type(error).__name__}") from None


class JetStreamQueue:
    """One connection. Streams and durable consumers are created when they are missing, also after someone deleted them."""

    def __init__(self, settings: QueueSettings, *, name: str) -> None:
        self._settings = settings
        self._name = name
        self._connection: Client | None = None
        self._context: JetStreamContext | None = None
        self._connecting = asyncio.Lock()
        self._is_closed = False
        self._subscriptions: dict[tuple[str, str], JetStreamContext.PullSubscription] = {}
        self._let_go_to: dict[str, int] = {}  # by streams of an earlier version, which keep what was taken

    async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
        context = await self._connected()
        timeout = self._settings.timeout_seconds
        headers: dict[str, str] = {Header.MSG_ID.value: message_id}
        try:
            await context.publish(subject, body, timeout=timeout, headers=headers)
        except NoStreamResponseError:
            await self._make_again(context)
            await self._again(context, subject, body, headers)
        except _FAILURES as error:
            raise self._unavailable(error) from None

    async def pull(
        self, stream: str, consumer: str, *, batch_max: int, wait_seconds: float
    ) -> Sequence[JetStreamMessage]:
        subscription = await self._subscription(stream, consumer)
        if stream in self._let_go_to:
            await self._let_go(stream, consumer)
        try:
            messages = await subscription.fetch(batch_max, timeout=wait_seconds)
        except TimeoutError:
            messages = []
        except _FAILURES as error:
            await self._forget(stream, consumer)
            raise self._unavailable(error) from None
        if not messages:
            await self._require_consumer(stream, consumer)
        return [JetStreamMessage(message, timeout_seconds=self._settings.timeout_seconds) for message in messages]

    async def state(self, stream: str, consumer: str) -> StreamState:
        context = await self._connected()
        try:
            info = await context.stream_info(stream)
            try:
                reader = await context.consumer_info(stream, consumer)
                pending = (reader.num_pending or 0) + (reader.num_ack_pending or 0)
            except NotFoundError:
                pending = info.state.messages
        except _FAILURES as error:
            raise self._unavailable(error) from None
        return StreamState(info.state.messages, info.state.bytes, pending)

    async def close(self) -> None:
        self._is_closed = True
        if self._connection is not None:
            await self._connection.close()

    async def _let_go(self, stream: str, consumer: str) -> None:
        """Do what a work queue does by itself: up to here everything was acknowledged, and nobody else reads it. The server
        makes no work queue of a stream that is none, and to delete it could lose what is published meanwhile.
        """
        context = await self._connected()
        try:
            floor = (await context.consumer_info(stream, consumer)).ack_floor
            if floor is not None and floor.stream_seq > self._let_go_to[stream]:
                # Only then: what was given back comes again after a purge no sooner than if it had not been given back.
                await context.purge_stream(stream, seq=floor.stream_seq + 1)
                self._let_go_to[stream] = floor.stream_seq
        except NotFoundError:
            self._let_go_to[stream] = 0  # it is made again by whoever finds nothing to pull
        except _FAILURES as error:
            raise self._unavailable(error) from None

    async def _again(self, context: JetStreamContext, subject: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            await context.publish(subject, body, timeout=self._settings.timeout_seconds, headers=headers)
        except _FAILURES as error:
            raise self._unavailable(error) from None

    async def _require_consumer(self, stream: str, consumer: str) -> None:
        """Nothing came: because there is nothing, or because nobody is there to say so. The client does not tell these
        apart, and would wait for ever at a stream that was deleted or a server that hangs."""
        context = await self._connected()
        try:
            await context.consumer_info(stream, consumer)
        except NotFoundError:
            await self._forget(stream, consumer)
            _log.warning("a consumer is gone and is made again", stream=stream, consumer=consumer)
            await self._make_again(context)
        except _FAILURES as error:
            raise self._unavailable(error) from None

    async def _forget(self, stream: str, consumer: str) -> None:
        subscription = self._subscriptions.pop((stream, consumer), None)
        if subscription is not None:
            with suppress(*_FAILURES):
                await subscription.unsubscribe()

    async def _subscription(self, stream: str, consumer: str) -> JetStreamContext.PullSubscription:
        key = (stream, consumer)
        if key not in self._subscriptions:
            context = await self._connected()
            config = ConsumerConfig(
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT.total_seconds(),
                max_deliver=-1,
                max_ack_pending=ACK_PENDING_MAX,
            )
            try:
                self._subscriptions[key] = await context.pull_subscribe(
                    STREAM_SUBJECTS[stream], durable=consumer, stream=stream, config=config
                )
            except NotFoundError:
                await self._make_again(context)
                raise QueueUnavailable(f"stream {stream} was missing and has been created; try again") from None
            except _FAILURES as error:
                raise self._unavailable(error) from None
        return self._subscriptions[key]

    async def _connected(self) -> JetStreamContext:
        async with self._connecting:
            if self._connection is None or (self._connection.is_closed and not self._is_closed):
                # The client tries again after a lost connection, but lets go for good of a server that refused it once.
                self._subscriptions.clear()
                await self._connect()
        if self._context is None or self._connection is None or not self._connection.is_connected:
            raise self._unavailable(None)  # at once: what is buffered for a dead connection is acknowledged to nobody
        return self._context

    async def _connect(self) -> None:
        try:
            # The client would try for ever, and with it everybody who wants to publish.
            async with asyncio.timeout(self._settings.timeout_seconds):
                connection = await nats.connect(
                    self._settings.url.get_secret_value().split(","),
                    name=self._name,
                    connect_timeout=max(1, round(self._settings.timeout_seconds)),
                    reconnect_time_wait=1,
                    max_reconnect_attempts=-1,
                    ping_interval=5,
                    error_cb=_note,
                    allow_reconnect=True,
                )
        except _FAILURES as error:
            raise self._unavailable(error) from None
        self._connection, self._context = connection, connection.jetstream(timeout=self._settings.timeout_seconds)
        await self._ensure_streams(self._context)

    async def _make_again(self, context: JetStreamContext) -> None:
        """Make what somebody deleted, once the server has surely done with it."""
        await asyncio.sleep(_DELETION_SECONDS)
        await self._ensure_streams(context)

    async def _ensure_streams(self, context: JetStreamContext) -> None:
        for name, subject in STREAM_SUBJECTS.items():
            config = StreamConfig(
                name=name,
                subjects=[subject],
                storage=StorageType.FILE,
                num_replicas=self._settings.replicas,
                # What was taken leaves: were it kept, 14 logins a second would fill 4 GiB in three days with what nobody needs.
                retention=RetentionPolicy.WORK_QUEUE,
                max_age=self._settings.retention_hours * 3600,
                max_bytes=self._settings.bytes_max,
                discard=DiscardPolicy.NEW,  # a full stream says no, and the publisher spools; OLD would drop silently
                duplicate_window=DEDUPLICATION_SECONDS,
            )
            try:
                await context.add_stream(config)
                self._let_go_to.pop(name, None)
            except _FAILURES as error:
                await self._accept_existing(context, name, config, error)

    async def _accept_existing(
        self, context: JetStreamContext, name: str, wanted: StreamConfig, error: BaseException
    ) -> None:
        try:
            found = (await context.stream_info(name)).config
        except _FAILURES:
            raise self._unavailable(error) from None
        if found.retention == RetentionPolicy.LIMITS:  # the client leaves it a text
            self._let_go_to.setdefault(name, 0)
        others = [setting for setting in _SETTINGS if getattr(found, setting) != getattr(wanted, setting)]
        if others:
            _log.warning("stream exists with other settings and is used as it is", stream=name, settings=others)

    def _unavailable(self, error: BaseException | None) -> QueueUnavailable:
        reason = f": {type(error).__name__}" if error else ""
        return QueueUnavailable(
            f"NATS JetStream does not confirm{reason}",
            hint="check [queue] url in the settings, and that NATS runs there with JetStream",
        )


async def _note(error: Exception) -> None:
    _log.warning("queue connection", error=type(error).__name__)
