"""The rival: the same two endpoints as most would write them at first, without a fault put in to make them slow.

FastAPI with plain `def` endpoints on uvicorn with uvloop and httptools; SQLAlchemy with a pool as large as the thread pool;
one transaction a request; `requests` with a kept connection a thread. Numbers, codes and tables are those of the service.
It has no idempotency, no limits, no mirror, no events: what it leaves out makes it quicker.
"""

from __future__ import annotations

import hmac
import os
import sys
import threading
import time
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import requests
import uvicorn
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine, create_engine, func, insert, select

from core.clock import utc_now
from core.errors import InvalidNumber
from core.ids import RequestIds
from core.numbers import Number, NumberHash, read
from core.settings import Settings, load
from service.codes import Codes
from service.facts import Approval, Attempt, AttemptOutcome, Check, Request
from service.keys import hash_key
from service.providers.base.references import reference_of
from service.stores import schema
from service.templates import Template, Templates

THREADS = 40
"""What the framework gives `def` endpoints."""
KEY_VARIABLE = "HELIOGRAPH_BENCHMARK_KEY_HASH"

Word = Annotated[str, Field(pattern=r"^(?!.*\d{7})[a-z][a-z0-9_-]{0,31}$")]


class NewVerification(BaseModel):
    """As the service takes it."""

    model_config = ConfigDict(extra="forbid", regex_engine="python-re")

    to: Annotated[str, Field(min_length=1, max_length=32)]
    purpose: Word
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,4}){0,4}$")] = "en"


class NewCheck(BaseModel):
    """As the service takes it."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, Field(min_length=1, max_length=32)]


class VerificationSent(BaseModel):
    """As the service answers."""

    id: UUID
    status: str
    purpose: str
    created_at: datetime
    expires_at: datetime
    attempt: int
    sent: str
    resend_after_seconds: int


class CheckAnswer(BaseModel):
    """As the service answers."""

    status: str
    checks_left: int


class Aurora:
    """The provider, called as its manual says."""

    def __init__(self, settings: Settings) -> None:
        row = settings.providers[0]
        self._url = f"{row.url}/accounts/{row.account}/messages.json"
        self._auth = (row.account, row.secret.get_secret_value())
        self._timeout_seconds = row.timeout_seconds
        self._local = threading.local()

    def send(self, number: str, text: str, reference: str) -> tuple[str, int]:
        """The provider's id of the message, and the milliseconds it took."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.auth = self._auth
        begun = time.perf_counter()
        message = {"To": number, "Body": text, "ClientReference": reference}
        answer = session.post(self._url, json=message, timeout=self._timeout_seconds)
        answer.raise_for_status()
        return answer.json()["sid"], round((time.perf_counter() - begun) * 1000)


class Desk:
    """What the endpoints work with."""

    def __init__(self, settings: Settings, engine: Engine, key_hash: str) -> None:
        self.engine = engine
        self.settings = settings
        self.ids = RequestIds(utc_now)
        self.number_hash = NumberHash(settings.numbers.hash_key.get_secret_value())
        self.codes = Codes(settings.code.secret.get_secret_value(), length=settings.code.length)
        self.templates = Templates(settings.templates)
        self.aurora = Aurora(settings)
        self._key_secret = settings.api.key_secret.get_secret_value().encode()
        self._key_hash = key_hash

    def require_key(self, authorization: str) -> None:
        """Raises 401. The one key there is lies in memory."""
        key_hash = hash_key(self._key_secret, authorization.removeprefix("Bearer "))
        if not hmac.compare_digest(key_hash, self._key_hash):
            raise HTTPException(401, "an API key is needed")

    def text(self, request: Request, template: Template) -> str:
        """The message with its code."""
        code = self.codes.code(request.id, 1, app=request.app)
        return template.render({"code": code, "minutes": str(self.settings.code.lifetime_seconds // 60)})


def create_app(desk: Desk) -> FastAPI:
    """The application."""
    app = FastAPI(title="The plain way")

    @app.post("/v1/verifications", status_code=201)
    def send(data: NewVerification, authorization: Annotated[str, Header()] = "") -> VerificationSent:
        desk.require_key(authorization)
        return _send(desk, data)

    @app.post("/v1/verifications/{verification_id}/check")
    def check(verification_id: UUID, data: NewCheck, authorization: Annotated[str, Header()] = "") -> CheckAnswer:
        desk.require_key(authorization)
        return _check(desk, verification_id, data.code)

    return app


def _send(desk: Desk, data: NewVerification) -> VerificationSent:
    try:
        number = read(data.to)
    except InvalidNumber as error:
        raise HTTPException(422, str(error)) from None
    template = desk.templates.for_verification("", data.purpose, data.locale)
    request = _request(desk, data, number, template)
    attempt = Attempt(
        request_id=request.id, attempt=1, at=utc_now(), provider="aurora", cause="first", phone_hash=request.phone_hash
    )
    with desk.engine.begin() as connection:
        connection.execute(insert(schema.requests), schema.row_of(request))
        connection.execute(insert(schema.attempts), schema.row_of(attempt))
        sid, latency_ms = desk.aurora.send(number.e164, desk.text(request, template), reference_of(request.id, 1))
        outcome = AttemptOutcome(
            request_id=request.id,
            attempt=1,
            at=utc_now(),
            outcome="accepted",
            provider_reference=sid,
            latency_ms=latency_ms,
        )
        connection.execute(insert(schema.TABLES[AttemptOutcome]), schema.row_of(outcome))
    return VerificationSent(
        id=request.id,
        status="pending",
        purpose=request.purpose,
        created_at=request.at,
        expires_at=request.expires_at or request.at,
        attempt=1,
        sent="accepted",
        resend_after_seconds=desk.settings.code.cooldown_seconds[0],
    )


def _request(desk: Desk, data: NewVerification, number: Number, template: Template) -> Request:
    now = utc_now()
    return Request(
        id=desk.ids(),
        at=now,
        kind="verification",
        category="code",
        app="benchmark",
        purpose=data.purpose,
        template=template.name,
        locale=template.locale,
        phone_hash=desk.number_hash(number.e164),
        country=number.country,
        region=number.region,
        carrier=number.carrier,
        expires_at=now + timedelta(seconds=desk.settings.code.lifetime_seconds),
    )


def _check(desk: Desk, request_id: UUID, code: str) -> CheckAnswer:
    requests_, attempts, checks, approvals = schema.requests, schema.attempts, schema.checks, schema.approvals
    checks_max = desk.settings.code.checks_max
    with desk.engine.begin() as connection:
        row = connection.execute(select(requests_).where(requests_.c.id == request_id).with_for_update()).one_or_none()
        if row is None or row.expires_at is None or row.expires_at <= utc_now():
            return CheckAnswer(status="expired", checks_left=0)
        counted = connection.scalar(select(func.count()).where(checks.c.request_id == request_id)) or 0
        if counted >= checks_max:
            return CheckAnswer(status="too_many", checks_left=0)
        made = connection.scalars(select(attempts.c.attempt).where(attempts.c.request_id == request_id)).all()
        found = desk.codes.matched(code, request_id, made, app=row.app)
        now, result = utc_now(), "approved" if found else "wrong"
        check = Check(request_id=request_id, check=counted + 1, at=now, attempt=found, result=result)  # type: ignore[arg-type]
        connection.execute(insert(checks), schema.row_of(check))
        if found:
            approval = Approval(request_id=request_id, at=now, check=check.check, attempt=found)
            connection.execute(insert(approvals), schema.row_of(approval))
    return CheckAnswer(status=result, checks_left=0 if found else checks_max - counted - 1)


def main() -> None:
    """Serve on the port that is named, with the settings of the service."""
    settings = load()
    engine = create_engine(
        settings.store.url.get_secret_value(), pool_size=THREADS, isolation_level="READ COMMITTED", hide_parameters=True
    )
    app = create_app(Desk(settings, engine, os.environ[KEY_VARIABLE]))
    port = int(sys.argv[1])
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning", backlog=2048)


if __name__ == "__main__":
    main()
