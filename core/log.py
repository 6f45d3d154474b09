"""Logs: one event a line, JSON for machines or colour for people, every value passed through `redact`."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from core.redact import redact


def redact_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask whatever may be a number or a code in the texts of a log event, also in those that stand in lists and tables."""
    return {key: _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:  # noqa: ANN401  # whatever is logged
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(one) for one in value]
    if isinstance(value, dict):
        return {key: _masked(one) for key, one in value.items()}
    return value


def _json(event: EventDict, **_: Any) -> str:  # noqa: ANN401  # what the standard module would be told
    return msgspec.json.encode(event, enc_hook=repr).decode()  # a seventh of the time of the standard module


def configure(program: str, *, level: str = "info", stream: TextIO = sys.stderr) -> None:
    """Set up logging for the process. A terminal gets colour, anything else JSON lines."""
    render: Processor = (
        structlog.dev.ConsoleRenderer() if stream.isatty() else structlog.processors.JSONRenderer(serializer=_json)
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    number = getattr(logging, level.upper())
    structlog.configure(
        processors=[*shared, redact_values, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    structlog.contextvars.bind_contextvars(program=program)
    # Libraries log through the standard module; their lines take the same way out.
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact_values, render],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
