"""Incidents in the warehouse: written by the job that detects, read by dashboard, report and alerts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from core.warehouse import Warehouse
from metrics.cohorts import text
from metrics.detection.incidents import Incident, LeadingCode, Notification

EVIDENCE_COLUMNS = ("minute", "channel", "expected", "observed", "low", "high", "n")


def open_incidents(warehouse: Warehouse) -> list[Incident]:
    """What is broken now, the newest first."""
    return _incidents(warehouse, "state = 'open'", {})


def incidents_between(warehouse: Warehouse, start: datetime, end: datetime) -> list[Incident]:
    """What was broken at any moment of [start, end), the newest first; open ones reach to the end of time."""
    overlap = """onset < {end:DateTime64(3, 'UTC')}
        AND (resolved_at IS NULL OR resolved_at > {start:DateTime64(3, 'UTC')})"""
    return _incidents(warehouse, overlap, {"start": text(start), "end": text(end)})


def incident(warehouse: Warehouse, incident_id: str) -> Incident | None:
    """The incident of that id as it stands; None when there is none."""
    found = _incidents(warehouse, "id = {id:String}", {"id": incident_id})
    return found[0] if found else None


def evidence(warehouse: Warehouse, incident_id: str) -> pd.DataFrame:
    """Minute by minute what a good day would have brought in the incident's scope, its 95 % band, and what came.

    Columns `minute` (UTC), `channel`, `expected`, `observed`, `low`, `high` (messages), `n`; it begins before the onset.
    """
    sql = f"""
        SELECT {", ".join(EVIDENCE_COLUMNS)} FROM incident_evidence FINAL
        WHERE incident_id = {{id:String}} ORDER BY minute"""
    frame = warehouse.query_df(sql, {"id": incident_id})
    if frame.empty:
        frame = frame.reindex(columns=list(EVIDENCE_COLUMNS))
    frame["minute"] = pd.to_datetime(frame["minute"], utc=True)
    return frame


def notifications_since(warehouse: Warehouse, after: datetime) -> list[Notification]:
    """What was told of incidents after that moment, in order."""
    return _notifications(warehouse, "at > {after:DateTime64(3, 'UTC')}", {"after": text(after)})


def notifications_of(warehouse: Warehouse, incident_id: str, *, since: datetime) -> list[Notification]:
    """What was told of one incident from that moment on, in order; others are neither read out nor unpacked."""
    where = "at >= {since:DateTime64(3, 'UTC')} AND incident_id = {id:String}"
    return _notifications(warehouse, where, {"since": text(since), "id": incident_id})


def _notifications(warehouse: Warehouse, where: str, parameters: Mapping[str, Any]) -> list[Notification]:
    sql = f"SELECT at, event, incident FROM incident_notifications FINAL WHERE {where} ORDER BY at, incident_id, event"
    rows = warehouse.query_rows(sql, parameters)
    return [Notification(event, Incident.from_json(json.loads(told)), _utc(at)) for at, event, told in rows]


def keep(warehouse: Warehouse, incidents: Iterable[Incident], notifications: Iterable[Notification] = ()) -> None:
    """Write incidents as they stand, and what was told of them. Writing the same again changes nothing."""
    told = [
        {
            "at": text(one.at),
            "incident_id": one.incident.id,
            "event": one.event,
            "version": _version(one.at),
            "incident": json.dumps(one.incident.as_json(), ensure_ascii=False),
        }
        for one in notifications
    ]
    if told:  # first: an incident that stands there is taken for one that was told
        warehouse.insert_json("incident_notifications", _lines(told))
    rows = [_row(one) for one in incidents]
    if rows:
        warehouse.insert_json("incidents", _lines(rows))


def keep_evidence(warehouse: Warehouse, incident_id: str, frame: pd.DataFrame, *, at: datetime) -> None:
    """Write the evidence of an incident, in the columns that `evidence` gives; minutes written before are replaced."""
    rows = [
        {**row, "minute": text(minute)[:19], "incident_id": incident_id, "version": _version(at)}
        for minute, row in zip(frame["minute"], frame.loc[:, list(EVIDENCE_COLUMNS)].to_dict("records"), strict=True)
    ]
    if rows:
        warehouse.insert_json("incident_evidence", _lines(rows))


def _incidents(warehouse: Warehouse, where: str, parameters: Mapping[str, Any]) -> list[Incident]:
    # The latest version first, then the condition: one that was open is not found among the open.
    sql = f"SELECT * FROM (SELECT * FROM incidents FINAL) WHERE {where} ORDER BY onset DESC, id"
    return [_incident(row) for row in warehouse.query_df(sql, parameters).to_dict("records")]


def _row(one: Incident) -> dict[str, Any]:
    told = one.as_json()
    for name in ("onset", "detected_at", "updated_at", "resolved_at"):
        moment = getattr(one, name)
        told[name] = text(moment) if moment else None
    told["scope"] = json.dumps(told["scope"], ensure_ascii=False)
    told["codes"] = json.dumps(told["codes"], ensure_ascii=False)
    return told | {"version": _version(one.updated_at)}


def _incident(row: Mapping[Any, Any]) -> Incident:
    return Incident(
        id=row["id"],
        kind=row["kind"],
        channel=row["channel"],
        metric=row["metric"],
        scope={name: tuple(values) for name, values in json.loads(row["scope"]).items()},
        onset=_utc(row["onset"]),
        detected_at=_utc(row["detected_at"]),
        updated_at=_utc(row["updated_at"]),
        state=row["state"],
        resolved_at=_utc(row["resolved_at"]) if pd.notna(row["resolved_at"]) else None,
        affected=int(row["affected"]),
        messages=int(row["messages"]),
        lost=int(row["lost"]),
        share=_number(row["share"]),
        expected=_number(row["expected"]),
        observed=_number(row["observed"]),
        n=int(row["n"]),
        codes=tuple(LeadingCode(**code) for code in json.loads(row["codes"])),
        normal=tuple(str(text) for text in row["normal"]),
        confidence=float(row["confidence"]),
        silenced=bool(row["silenced"]),
    )


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and pd.notna(value) else None


def _lines(rows: Sequence[Mapping[Any, Any]]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def _version(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _utc(moment: datetime) -> datetime:
    if isinstance(moment, pd.Timestamp):
        moment = moment.to_pydatetime()
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
