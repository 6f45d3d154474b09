"""The HTTP API: JSON in and out, a problem document for every error, and a page about it that needs no other network."""

from __future__ import annotations

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException

from core.errors import HeliographError
from service.api import messages, operate, page, problems, pushes, verifications
from service.api.auth import Admission
from service.api.express import Express
from service.api.parts import Parts
from service.api.pressure import Pressure

HANDLERS = (
    verifications.send_verification,
    verifications.check_number,
    verifications.check_code,
    verifications.read_verification,
    messages.send_message,
    messages.read_message,
    messages.convert,
    pushes.take_receipts,
    pushes.take_inbound,
    operate.failover_status,
    operate.failover_order,
    operate.healthz,
    operate.readyz,
    operate.telemetry,
    page.problem_page,
)


def create_app(parts: Parts) -> Express:
    """The application over these parts. Nothing is connected here."""
    pressure = Pressure(parts.telemetry, parts.minutes, waiting_max=parts.settings.requests_waiting_max)
    admission = Admission(parts.keys)

    def provide_parts() -> Parts:
        return parts

    framework = Litestar(
        list(HANDLERS),
        dependencies={"parts": Provide(provide_parts, sync_to_thread=False)},
        middleware=[pressure, admission],
        exception_handlers={
            HeliographError: problems.on_own_error,
            HTTPException: problems.on_http_error,
            Exception: problems.on_failure,
        },
        request_max_body_size=parts.settings.body_bytes_max,
        openapi_config=page.openapi(),
        logging_config=None,
    )
    return Express(framework, parts, pressure=pressure, admission=admission)
