"""Events and sealed numbers on their way to the queue: durable in a journal before the caller is answered, published after.

The journal is the only way to the queue, whether the queue is up or not and after a crash too: one path, in order, with
no memory to bound and none to lose. What a dead process left behind is published by the next one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import structlog

from core.clock import Clock
from core.errors import JournalDamaged, JournalNewer, JournalWriteFailed, Overloaded, QueueUnavailable
from core.events import KINDS, Event, encode_lines
from core.hooks import NO_HOOKS, Hooks
from core.journal import Journal, JournalFile, Record, backlog_bytes, closed_files
from core.lane import Lane
from core.queue import EVENTS, NUMBERS_SUBJECT, Queue, events_subject
from core.settings.servers import Journal as JournalSettings
from service.sealed import SealedNumber, encode_numbers
from service.telemetry import Telemetry

_log = structlog.get_logger(__name__)

EVENTS_FOLDER = "events"
"""Below the journal's folder: files of their own, drained by publishers alone."""
GATHER_SECONDS = 0.2
"""Time to let events gather into a batch: what the dashboard lags behind, and five small files a second at most."""
LOOK_SECONDS = 5.0
"""Time between looks for what another process left behind."""
SYNC_SECONDS_MAX = 2.0
"""A disk that takes longer hangs: callers wait for it, and the queue may be well."""
RECORDS_MAX = 1_000
NEARLY_FULL = 0.8
"""Share of the journal's limit at which somebody is told."""
BODY_BYTES_MAX = 512 * 1024  # NATS refuses messages over 1 MiB unless told otherwise

_ROTATE: tuple[bytes, ...] = ()


class Publisher:
    """Takes events in, and publishes them in a task of its own between `start` and `stop`."""

    def __init__(
        self,
        queue: Queue,
        folder: Path,
        *,
        settings: JournalSettings,
        clock: Clock,
        telemetry: Telemetry,
        hooks: Hooks = NO_HOOKS,
        progress: Callable[[str, int], None] = lambda _file, _number: None,
        sync_seconds_max: float = SYNC_SECONDS_MAX,
    ) -> None:
        self._queue = queue
        self.folder = folder
        self._telemetry = telemetry
        self._step, self._read = hooks.step, hooks.read
        self._bytes_max = settings.total_bytes_max
        self._told_nearly_full = False
        self._told_reasons: set[str] = set()
        self._progress = progress
        self._sync_seconds_max = sync_seconds_max
        self._journal = Journal(
            folder,
            file_bytes_max=settings.file_bytes_max,
            total_bytes_max=settings.total_bytes_max,
            clock=clock,
            hooks=hooks.within("events-journal"),
        )
        self._lane = Lane("events", self._append, batch_max=1_000, waiting_max=20_000)
        self._left_alone: set[Path] = set()
        # Files that are still there, though nothing in them waits; with their damage.
        self._published: dict[Path, str] = {}
        self._told = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.is_up = True
        """Whether the queue took what was published last."""

    async def tell(self, events: Sequence[Event], numbers: Sequence[SealedNumber] = ()) -> None:
        """Make them durable. Raises `JournalWriteFailed` or `QueueUnavailable` when neither disk nor queue takes them."""
        payloads = (*encode_lines(events).splitlines(), *encode_numbers(numbers).splitlines())
        if not payloads:
            return
        try:
            # While it hangs for so long already nobody waits for it once more.
            left_seconds = max(0.0, self._sync_seconds_max - self._lane.busy_seconds)
            await self._lane.do(payloads, within_seconds=left_seconds)
        except (JournalWriteFailed, Overloaded, TimeoutError) as error:  # what comes both ways has one key
            reason = str(error) or "the disk does not answer"
            _log.error("events could not be journalled and go to the queue directly", reason=reason)
            await self._publish(payloads)
        for event in events:
            self._telemetry.told.labels(event.kind).inc()
        self._told.set()

    async def tell_if_possible(self, events: Sequence[Event], numbers: Sequence[SealedNumber] = ()) -> None:
        """For what already happened and cannot be refused any more: what nobody takes is counted as lost."""
        try:
            await self.tell(events, numbers)
        except (JournalWriteFailed, QueueUnavailable) as error:
            _log.error("events lost", events=len(events), numbers=len(numbers), reason=str(error))
            for kind in [event.kind for event in events] + ["number"] * len(numbers):
                self._telemetry.lost.labels(kind).inc()

    async def publish_waiting(self) -> int:
        """Publish all that was told so far; returns how many records. Raises `QueueUnavailable`, and keeps the rest."""
        # The closed files first: while the queue is down, every try would else close a file of its own, 86,400 a day.
        count = await self._publish_closed()
        await self._lane.do(_ROTATE)
        return count + await self._publish_closed()

    async def _publish_closed(self) -> int:
        """A file that cannot be opened or put away is told of and left for later; those after it go on."""
        files = await asyncio.to_thread(lambda: list(closed_files(self.folder, read=self._read)))
        count, left = 0, set()
        for file in files:
            try:
                with file.held() as is_ours:
                    if is_ours:
                        count += await self._publish_file(file)
                        await self._put_away(file)
            except (OSError, JournalNewer) as error:
                left.add(file.path)
                self._leave_alone(file, error)
        self._left_alone = left
        self._telemetry.files_left.set(len(left))
        return count

    def backlog_bytes(self) -> int:
        """The size of what the queue does not have yet."""
        return backlog_bytes(self.folder)

    async def start(self) -> None:
        """Begin to publish, whether the queue is there or not."""
        try:
            await self._queue.state(EVENTS, "publisher")
        except QueueUnavailable as error:
            self.is_up = False
            self._told_reasons.add(str(error))
            _log.warning("starting without the queue; events wait in the journal", reason=str(error), hint=error.hint)
        self._task = asyncio.create_task(self._run(), name="publisher")

    async def stop(self) -> None:
        """Publish what waits if the queue takes it, and stop. What it does not take stays in the journal."""
        self._stopping.set()
        self._told.set()
        if self._task is not None:
            await self._task
        await asyncio.to_thread(self._lane.close)
        self._journal.close()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            await _wait(self._told, LOOK_SECONDS)
            await _wait(self._stopping, GATHER_SECONDS if self.is_up else 1.0)
            if not self._stopping.is_set():
                self._told.clear()
                await self._try_to_publish()
        await self._try_to_publish()

    async def _try_to_publish(self) -> None:
        was_up = self.is_up
        try:
            if not await self.publish_waiting() and not was_up:
                await self._queue.state(EVENTS, "publisher")  # nothing was published: ask
            self.is_up = True
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody has to go on publishing
            self.is_up = False
            self._told.set()  # there is something to publish, whether or not more comes
            self._tell_reason(error)
        if self.is_up and not was_up:
            self._told_reasons.clear()
            _log.info("the queue is back, and has all events")
        self._telemetry.queue_up.set(self.is_up)
        with suppress(OSError):  # the journals tell of a disk that fails
            self._watch_backlog(await asyncio.to_thread(self.backlog_bytes))

    def _tell_reason(self, error: Exception) -> None:
        """Each once, until the queue is back: a server that cannot be reached and one that refuses want different help."""
        reason = str(error)
        if reason not in self._told_reasons:
            self._told_reasons.add(reason)
            is_known = isinstance(error, QueueUnavailable | Overloaded | OSError)
            _log.warning("events stay in the journal until the queue is back", reason=reason, exc_info=not is_known)

    def _watch_backlog(self, size_bytes: int) -> None:
        self._telemetry.backlog_bytes.set(size_bytes)
        is_nearly_full = size_bytes > NEARLY_FULL * self._bytes_max
        if is_nearly_full and not self._told_nearly_full:
            _log.error(
                "the journal of events is nearly full",
                bytes=size_bytes,
                bytes_max=self._bytes_max,
                hint="bring the queue back, or raise journal.total_bytes_max: what does not fit goes to the queue alone",
            )
        self._told_nearly_full = is_nearly_full

    def _append(self, items: Sequence[tuple[bytes, ...]]) -> list[BaseException | None]:
        failed: JournalWriteFailed | None = None
        try:
            if payloads := [payload for item in items for payload in item]:
                self._journal.append(payloads)
        except JournalWriteFailed as error:
            failed = error
        if _ROTATE in items:  # a full disk is no reason not to publish: that is what makes room
            self._journal.rotate()
        return [JournalWriteFailed(str(failed), hint=failed.hint) if failed and item else None for item in items]

    async def _publish_file(self, file: JournalFile) -> int:
        if file.path in self._published:
            return 0
        count = 0
        chunks = _chunks(file)
        try:
            while chunk := await asyncio.to_thread(next, chunks, None):
                await self._publish([record.payload for record in chunk])
                self._step("publish-mark")
                # On a full disk: without the mark more is published twice, and dropped by the queue.
                with suppress(OSError):
                    await asyncio.to_thread(file.set_mark, chunk[-1].number)
                count += len(chunk)
                self._progress(file.path.name, chunk[-1].number)
        except JournalNewer:
            raise
        except JournalDamaged as error:  # not even its header can be read
            file.damage = str(error)
        self._published[file.path] = file.damage
        return count

    async def _put_away(self, file: JournalFile) -> None:
        damage = self._published[file.path]
        if damage:
            aside = await asyncio.to_thread(file.set_aside)
            self._telemetry.files_set_aside.inc()
            _log.error("a journal of events is damaged: what is intact is published", kept=aside.name, why=damage)
        else:
            await asyncio.to_thread(file.remove)
        del self._published[file.path]

    def _leave_alone(self, file: JournalFile, error: OSError | JournalNewer) -> None:
        if file.path in self._left_alone:
            return
        if isinstance(error, JournalNewer):
            reason, hint = str(error), error.hint
        else:
            reason = f"{file.path.name}: {error.strerror}"
            hint = "look at the file, who may read it, and the disk it lies on; it is tried again every few seconds"
        _log.error("a journal of events cannot be published", reason=reason, hint=hint)

    async def _publish(self, payloads: Sequence[bytes]) -> None:
        by_kind: dict[str, list[bytes]] = defaultdict(list)
        for payload in payloads:
            kind = kind_of(payload)
            # what no version of ours wrote still has to leave the journal: ingest keeps it as a dead letter
            by_kind[kind if kind in KINDS or kind == "number" else "unreadable"].append(payload)
        for kind, lines in by_kind.items():
            subject = NUMBERS_SUBJECT if kind == "number" else events_subject(kind)
            for body in _bodies(lines):
                # The same lines make the same id: what is published twice after a crash is dropped by the queue.
                message_id = blake2b(body, digest_size=16).hexdigest()
                try:
                    await self._queue.publish(subject, body, message_id=message_id)
                except OSError as error:  # of the network: no fault of the file that is published
                    raise QueueUnavailable(f"the queue was not reached: {error.strerror}") from error
            self._telemetry.published.labels(kind).inc(len(lines))


def _chunks(file: JournalFile) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    for record in file.records(after=file.mark, skip_damaged=True):
        chunk.append(record)
        if len(chunk) == RECORDS_MAX:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _bodies(lines: Sequence[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        if waiting and size + len(line) > BODY_BYTES_MAX:
            yield b"\n".join(waiting) + b"\n"
            waiting, size = [], 0
        waiting.append(line)
        size += len(line) + 1
    yield b"\n".join(waiting) + b"\n"


def kind_of(payload: bytes) -> str:
    """The tag is the first field of what the encoder writes: the rest need not be parsed."""
    return payload[len(b'{"kind":"') :].partition(b'"')[0].decode("ascii", "replace")


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
