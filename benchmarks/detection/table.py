"""Scores as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from benchmarks.detection.cells import Cell
from benchmarks.detection.scoring import RIGHT, Verdict
from sandbox.drills import FAULT_KINDS, TIERS

_HEAD = (
    f"{'':24}{'found':>9}{'median':>8}{'p90':>6}  {'false':>6}{'twice':>7}  {'first':>6}{'final':>6}"
    f"{'name':>6}{'messages':>10}{'people':>8}"
)
_UNITS = f"{'':24}{'':>9}{'min':>8}{'min':>6}  {'a day':>6}{'a day':>7}  {'scope':>6}{'scope':>6}{'':>6}{'±20 %':>10}{'±20 %':>8}"


def report(cells: Sequence[Cell]) -> str:
    """All tables: by volume, by tier, by kind, and what the false alarms stood beside."""
    rivals = list(dict.fromkeys(cell.rival for cell in cells))
    volumes = list(dict.fromkeys(cell.world.volume for cell in cells))
    lines = [_worlds(cells), "", _HEAD, _UNITS]
    for rival in rivals:
        mine = [cell for cell in cells if cell.rival == rival]
        lines.append(rival)
        lines += [_row(f"  {volume}", [cell for cell in mine if cell.world.volume == volume]) for volume in volumes]
        lines.append(_row("  all", mine))
    lines += ["", "By requests a minute in the fault's scope: found, median and p90 minutes", ""]
    lines += _groups(cells, rivals, TIERS, lambda verdict: verdict.label.tier)
    lines += ["", "By kind of fault: found, median and p90 minutes", ""]
    lines += _groups(cells, rivals, FAULT_KINDS, lambda verdict: verdict.label.kind)
    lines += ["", "False alarms beside a benign event (all worlds together)", ""]
    lines += [f"  {rival:22}{_beside(cells, rival)}" for rival in rivals]
    return "\n".join(lines)


def misses(cells: Sequence[Cell], rival: str) -> str:
    """Every fault that this rival missed, and every false alarm."""
    lines = []
    for cell in (cell for cell in cells if cell.rival == rival):
        where = str(cell.world)
        for verdict in cell.score.verdicts:
            label = verdict.label
            told = (
                f"{where:10} {label.id} {label.kind:20} {_scope(label.scope):60} {label.start:%d %H:%M} "
                f"{label.volume_per_minute:6.1f}/min depth {label.depth:.2f} floor {label.floor_minutes:4.1f}"
            )
            if not verdict.detected:
                lines.append(f"missed  {told}")
            elif verdict.kind != label.kind or (verdict.final_scope or 0) < RIGHT:
                lines.append(
                    f"unlike  {told} said {verdict.kind}, scope {verdict.final_scope:.2f}, after {verdict.minutes:.0f} min"
                )
        for alarm, beside in zip(cell.score.false_alarms, cell.score.near_benign, strict=True):
            said = alarm.last
            lines.append(
                f"false   {where:10}     {said.kind:20} {_scope(said.scope):60} {alarm.first.detected_at:%d %H:%M} {beside}"
            )
    return "\n".join(lines)


def _worlds(cells: Sequence[Cell]) -> str:
    worlds = list(dict.fromkeys(cell.world for cell in cells))
    faults = [v.label for cell in cells if cell.rival == cells[0].rival for v in cell.score.verdicts]
    floors = [label.floor_minutes for label in faults]
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(world.seed for world in worlds))
    days = sum(cell.score.days for cell in cells if cell.rival == cells[0].rival)
    return (
        f"{len(worlds)} worlds (seeds {seeds}), {len(faults)} faults in {days:.0f} days; "
        f"about what knowing kind and scope beforehand would take: median {np.median(floors):.1f}, p90 {np.quantile(floors, 0.9):.1f} min"
    )


def _row(name: str, cells: Sequence[Cell]) -> str:
    verdicts = [verdict for cell in cells for verdict in cell.score.verdicts]
    days = sum(cell.score.days for cell in cells)
    false = sum(len(cell.score.false_alarms) for cell in cells) / days
    twice = sum(len(cell.score.duplicates) for cell in cells) / days
    found = [verdict for verdict in verdicts if verdict.detected]
    shares = (
        _share(found, lambda v: (v.first_scope or 0) >= RIGHT),
        _share(found, lambda v: (v.final_scope or 0) >= RIGHT),
        _share(found, lambda v: v.kind == v.label.kind),
    )
    counts = _share(found, lambda v: v.messages_near), _share(found, lambda v: v.people_near)
    return (
        f"{name:24}{_found(verdicts)}  {false:6.2f}{twice:7.2f}  {shares[0]:>6}{shares[1]:>6}{shares[2]:>6}"
        f"{counts[0]:>10}{counts[1]:>8}"
    )


def _found(verdicts: Sequence[Verdict]) -> str:
    minutes = [verdict.minutes for verdict in verdicts if verdict.minutes is not None]
    told = f"{len(minutes)}/{len(verdicts)}"
    if not minutes:
        return f"{told:>9}{'-':>8}{'-':>6}"
    return f"{told:>9}{np.median(minutes):8.1f}{np.quantile(minutes, 0.9):6.1f}"


def _share(found: Sequence[Verdict], right: Callable[[Verdict], bool]) -> str:
    return f"{np.mean([right(verdict) for verdict in found]):.2f}" if found else "-"


def _groups(
    cells: Sequence[Cell], rivals: Sequence[str], groups: Iterable[str], group_of: Callable[[Verdict], str]
) -> list[str]:
    lines = [f"{'':24}" + "".join(f"{rival:>26}" for rival in rivals)]
    for group in groups:
        row = f"  {group:22}"
        for rival in rivals:
            verdicts = [v for c in cells if c.rival == rival for v in c.score.verdicts if group_of(v) == group]
            row += f"   {_found(verdicts)}"
        lines.append(row)
    return lines


def _beside(cells: Sequence[Cell], rival: str) -> str:
    kinds = Counter(kind or "none" for cell in cells if cell.rival == rival for kind in cell.score.near_benign)
    return ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()) or "no false alarm"


def _scope(scope: dict[str, list[str]]) -> str:
    return " ".join(f"{name}={'|'.join(values)}" for name, values in scope.items()) or "everything"
