"""Where the service's time goes: samples of the thread that holds the interpreter, summed by layer."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

_RATE_HERTZ = 100  # each sample stops the service for some tenths of a millisecond
_LINES_MAX = 12

_LAYERS = (
    ("parsing of numbers", r"/phonenumbers/|core/numbers\.py"),
    ("SQL: SQLAlchemy", r"/sqlalchemy/"),
    ("SQL: driver", r"/pymysql/"),
    ("SQL: the store's own code", r"service/stores/(writer|reader|database|schema|sql|derive|mysql_errors)\.py"),
    ("mirror: client", r"/redis/"),
    ("mirror: own code", r"service/stores/redis|service/failover/mirroring\.py"),
    ("provider: client", r"/(aiohttp|yarl|multidict|aiosignal|frozenlist|propcache|aiohappyeyeballs)/"),
    ("provider: own code", r"service/providers/"),
    (
        "queue and journal of events",
        r"/nats/|core/queue/|core/journal\.py|service/publisher\.py|core/events\.py|sealed\.py",
    ),
    ("HTTP server", r"/uvicorn/|/httptools/"),
    ("framework", r"/litestar/|service/api/"),
    ("logs", r"/structlog/|/logging/|core/log\.py|core/redact\.py"),
    ("telemetry", r"/prometheus_client/|telemetry\.py"),
    ("lanes", r"core/lane\.py"),
    ("failover", r"service/failover/"),
    ("service: rules, codes, idempotency", r"/(service|core)/"),
    ("event loop", r"/asyncio/|uvloop"),
)
"""The innermost frame that belongs to one of these says whose time a sample is; what no row knows is its caller's."""
_PATTERNS = [(name, re.compile(pattern)) for name, pattern in _LAYERS]


class Profiler:
    """Samples one process for a while, beside the load."""

    def __init__(self, pid: int, path: Path, *, seconds: float) -> None:
        program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
        if program is None:
            raise click.ClickException("py-spy is not installed; it comes with the development packages")
        self._path = path
        options = ["--gil", "--full-filenames", "--format", "raw", "--rate", str(_RATE_HERTZ)]
        argv = [
            program,
            "record",
            *options,
            "--duration",
            str(max(1, round(seconds))),
            "--output",
            str(path),
            "--pid",
            str(pid),
        ]
        self._running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def samples(self) -> Counter[tuple[str, ...]]:
        """Stacks, outermost first, and how often each was seen."""
        _, errors = self._running.communicate()
        if self._running.returncode:
            words = errors.decode("utf-8", "replace").strip().splitlines()
            raise click.ClickException(
                f"py-spy could not look into the service: {words[-1] if words else 'no reason given'}\n"
                "On Linux it needs root, or kernel.yama.ptrace_scope=0."
            )
        return Counter(dict(_stacks(self._path.read_text(encoding="utf-8"))))


def print_profile(title: str, samples: Counter[tuple[str, ...]], *, seconds: float, calls: int) -> None:
    """Milliseconds of Python a call, by layer, and the functions that take most themselves."""
    total = sum(samples.values())
    layers: Counter[str] = Counter()
    for stack, count in samples.items():
        layers[_layer_of(stack)] += count
    busy = total / (_RATE_HERTZ * seconds)
    click.echo(
        f"\n{title}: the interpreter is busy {min(busy, 1):.0%} of the time, {calls / seconds:,.0f} calls a second"
    )
    for name, count in layers.most_common():
        click.echo(f"  {count / total:6.1%}  {name}")
    click.echo("  most in themselves:")
    innermost: Counter[str] = Counter()
    for stack, count in samples.items():
        innermost[_short(stack[-1])] += count
    for name, count in innermost.most_common(_LINES_MAX):
        click.echo(f"  {count / total:6.1%}  {name}")


def print_processes(cpu_seconds: Mapping[str, float], *, calls: int) -> None:
    """Milliseconds of processor time a call, by process; the profiler's own are not in it."""
    click.echo("  processor time a call:")
    for name, seconds in cpu_seconds.items():
        click.echo(f"  {seconds * 1000 / max(1, calls):6.3f} ms  {name}")


def _stacks(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        yield tuple(stack.split(";")), int(count)


def _layer_of(stack: tuple[str, ...]) -> str:
    for frame in reversed(stack):
        for name, pattern in _PATTERNS:
            if pattern.search(frame):
                return name
    return "other"


def _short(frame: str) -> str:
    return re.sub(r"\(.*/([^/]+/[^/]+)\)", r"(\1)", frame)
