"""Journals of the primary store, shown, verified and replayed.

A replay may run twice, in any order, beside live traffic and beside another replay: every write is a fact that can be
written again. What can never be written is set aside beside its journal, with the reason; nothing is dropped silently.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import UUID

import msgspec

from core.errors import BadInput, JournalDamaged
from core.hooks import Step, no_step
from core.journal import SUFFIX, JournalFile, Record, closed_files
from service.facts import AnyFact, Approval, Check, DeliveryReceipt, InboundMessage, OptOut
from service.failover.journaling import RecordUnreadable, decode
from service.failover.stateless import CHECKS_FROM
from service.stores import Keeping, Primary

REJECTED_SUFFIX = SUFFIX + ".rejected"
_BATCH_MAX = 500
_FIRST_COUNTS = (DeliveryReceipt, InboundMessage, OptOut, Approval)
"""Two instances that could ask no store may each have taken one of these for the first."""

Progress = Callable[[str, int], None]
"""Told the name of a file and how many of its records were replayed so far."""


Renumber = Callable[[Check, int], Awaitable[None]]
OnRenumbered = Callable[[UUID], None]
"""Told the request of a check that got another number than the one it was told of under."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One record for a person to read; `applied` when a replay has already marked it."""

    file: str
    number: int
    applied: bool
    text: str


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is in one file. `problem` is empty when every record can be read and run."""

    file: str
    records: int
    applied: int
    problem: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a folder."""

    files: tuple[FileReport, ...]

    @property
    def is_sound(self) -> bool:
        return not any(file.problem for file in self.files)


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A record that can never be replayed, as it stands in the file of the rejected."""

    number: int
    reason: str
    record: str


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did. `damaged` names the files that it left for a person to look at, with the reason."""

    files: int = 0
    records: int = 0
    rejected: int = 0
    damaged: tuple[str, ...] = ()


def show(folder: Path) -> Iterator[Shown]:
    """Every record of the files that nobody writes, oldest file first. Raises `JournalDamaged` at the damage."""
    for file in closed_files(folder):
        mark = file.mark
        for record in file.records():
            text = record.payload.decode("utf-8", "replace")
            yield Shown(file=file.path.name, number=record.number, applied=record.number <= mark, text=text)


def verify(folder: Path) -> Verified:
    """Read everything and change nothing."""
    return Verified(files=tuple(_verify_file(file) for file in closed_files(folder)))


async def replay(
    folder: Path,
    store: Primary,
    progress: Progress = lambda _name, _done: None,
    *,
    skip_damaged: bool = False,
    step: Step = no_step,
    on_renumbered: OnRenumbered = lambda _request_id: None,
) -> Replayed:
    """Write into `store` what the closed files hold, and remove each file that is done. A damaged one is left alone, or
    with `skip_damaged` replayed as far as it is intact and set aside; one that cannot be opened or put away is left alone,
    too. A file that somebody else replays is passed over.

    Raises `Unavailable` when the store stops answering; the next replay goes on from the mark.
    """
    total = Replayed()
    for file in await asyncio.to_thread(lambda: list(closed_files(folder))):
        try:
            with file.held() as is_ours:
                if not is_ours:
                    continue
                writing = _Writing(store, on_renumbered)
                done = await _replay_file(file, writing, progress, skip_damaged=skip_damaged, step=step)
        except OSError as error:
            done = Replayed(damaged=(f"{file.path.name}: {error.strerror}",))
        total = Replayed(
            files=total.files + done.files,
            records=total.records + done.records,
            rejected=total.rejected + done.rejected,
            damaged=total.damaged + done.damaged,
        )
    return total


async def _replay_file(
    file: JournalFile, writing: _Writing, progress: Progress, *, skip_damaged: bool, step: Step
) -> Replayed:
    """The disk is asked in threads: calls are answered meanwhile, and it may be slow."""
    records, rejected = 0, 0
    reading = await asyncio.to_thread(lambda: file.records(after=file.mark, skip_damaged=skip_damaged))
    try:
        while batch := await asyncio.to_thread(lambda: list(islice(reading, _BATCH_MAX))):
            step("replay-write")
            rejected += await _replay_batch(file, writing, batch)
            records += len(batch)
            step("replay-mark")
            # On a full disk: without the mark more is written twice, which changes nothing; removing the file makes room.
            with suppress(OSError):
                await asyncio.to_thread(file.set_mark, batch[-1].number)
            progress(file.path.name, batch[-1].number)
    except JournalDamaged as damage:
        return Replayed(records=records, rejected=rejected, damaged=(str(damage),))
    if file.damage:
        kept = await asyncio.to_thread(file.set_aside)
        return Replayed(files=1, records=records, rejected=rejected, damaged=(f"{file.damage}; kept as {kept.name}",))
    await asyncio.to_thread(file.remove)
    return Replayed(files=1, records=records, rejected=rejected)


async def _replay_batch(file: JournalFile, writing: _Writing, records: list[Record]) -> int:
    """Returns how many records were set aside."""
    facts: list[AnyFact] = []
    bad: list[tuple[Record, str]] = []
    readable: list[Record] = []
    for record in records:
        try:
            facts.append(decode(record.payload))
            readable.append(record)
        except RecordUnreadable as error:
            bad.append((record, str(error)))
    try:
        await writing.write(facts)
    except BadInput:
        for record, fact in zip(readable, facts, strict=True):
            try:
                await writing.write([fact])
            except BadInput as error:
                bad.append((record, str(error)))
    if bad:
        await asyncio.to_thread(_set_aside, file, bad)
    return len(bad)


@dataclass(frozen=True)
class _Writing:
    """How the records of a journal go into the primary store."""

    store: Primary
    on_renumbered: OnRenumbered

    async def write(self, facts: Sequence[AnyFact]) -> None:
        known = await write_facts(self.store, facts, on_renumbered=self.on_renumbered, renumber=self.store.renumber)
        await self.store.keep_first([fact for fact in known if isinstance(fact, _FIRST_COUNTS)])
        for fact in known:
            if isinstance(fact, DeliveryReceipt):
                self.on_renumbered(fact.request_id)  # whoever journaled it told of it with another time


async def write_facts(
    store: Keeping,
    facts: Sequence[AnyFact],
    *,
    on_renumbered: OnRenumbered = lambda _request_id: None,
    renumber: Renumber | None = None,
) -> list[AnyFact]:
    """Write facts that another store numbered: a check whose number another check has gets the next free one.

    One that was counted without a store is in this one already where an answer of it was lost: under a number that nobody was
    told of, and `renumber` gives it the other. Returns facts of other kinds whose key was taken.
    """
    guesses = [fact for fact in facts if isinstance(fact, Check) and fact.check >= CHECKS_FROM]
    counted = await _counted(store, guesses)
    for check, row in counted.items():
        if renumber is not None and row.check != check.check:
            await renumber(row, check.check)
    facts = [fact for fact in facts if fact not in counted]
    if not facts:
        return []
    told = await store.write(facts)
    taken = [fact for fact, is_new in zip(facts, told, strict=True) if not is_new]
    checks = [fact for fact in taken if isinstance(fact, Check)]
    settled = await _counted(store, checks)
    for check in checks:
        if check not in settled:
            await _settle_check(store, check)
        if check not in settled or settled[check].check != check.check:
            on_renumbered(check.request_id)
    return [fact for fact in taken if not isinstance(fact, Check)]


async def _counted(store: Keeping, checks: list[Check]) -> dict[Check, Check]:
    """Those of `checks` that the store has counted, each with what it has, under whatever number.

    All are asked for at once, in one question of the reading lane: one by one, 5,000 checks took a minute of round trips.
    """
    ids = list({check.request_id for check in checks})
    known = dict(zip(ids, await asyncio.gather(*map(store.checks, ids)), strict=True))
    found = ((check, _as_kept(known[check.request_id], check)) for check in checks)
    return {check: row for check, row in found if row is not None}


def _as_kept(known: Sequence[Check], check: Check) -> Check | None:
    return next((row for row in known if msgspec.structs.replace(row, check=check.check) == check), None)


async def _settle_check(store: Keeping, check: Check) -> None:
    """Give a check the next free number when its own went to another check.

    The backup numbers checks by what it knows; where the mirror had not heard of the last one, a number is given
    twice. A check made at the same moment with the same result is the same check, so a second replay changes nothing.
    """
    number = check.check
    while True:
        known = await store.checks(check.request_id)  # its request may come later, from another journal
        if _as_kept(known, check) is not None:
            return
        number = max([number, *(row.check for row in known)]) + 1
        [is_new] = await store.write([msgspec.structs.replace(check, check=number)])
        if is_new:
            return


def _set_aside(file: JournalFile, bad: list[tuple[Record, str]]) -> None:
    path = file.path.with_suffix(REJECTED_SUFFIX)
    with path.open("ab") as aside:
        for record, reason in bad:
            row = Rejected(number=record.number, reason=reason, record=record.payload.decode("utf-8", "replace"))
            aside.write(msgspec.json.encode(row) + b"\n")
        aside.flush()
        os.fsync(aside.fileno())


def _verify_file(file: JournalFile) -> FileReport:
    records = 0
    problem = ""
    try:
        for record in file.records():
            records += 1
            try:
                decode(record.payload)
            except RecordUnreadable as error:
                problem = problem or f"record {record.number}: {error}"
    except JournalDamaged as damage:
        problem = str(damage)
    return FileReport(file=file.path.name, records=records, applied=min(file.mark, records), problem=problem)
