"""What can go wrong with the servers and processes of the sandbox; each error says what to do about it.

SandboxError
├── ServerMissing         the program is not installed on this machine
├── PortTaken             something else listens where a server is to listen
├── FolderInUse           another supervisor runs on the same data folder
├── ProcessFailed         carries the name, the exit status and the last lines of the log
│   ├── ProcessDied           it ended although nobody asked it to
│   └── ProcessNotReady       it runs, but did not answer in time
├── KeyFileUnusable       the key file of the encryption service is damaged or open to others
├── MailMissing           no such mail, or no such part of it
├── ApiRefused            the API says that the call is wrong; a simulated subscriber gives up
└── ApiUnavailable        the API cannot serve the call now, or cannot be reached
"""

from __future__ import annotations

from pathlib import Path

from core.errors import HeliographError


class SandboxError(HeliographError):
    """The root of the sandbox' errors."""


class ServerMissing(SandboxError):
    """The program is not installed on this machine."""


class PortTaken(SandboxError):
    """Something else listens where a server is to listen."""


class FolderInUse(SandboxError):
    """Another supervisor runs on the same data folder."""


class ProcessFailed(SandboxError):
    """A process that is not as it should be. The message ends with the last lines of its log."""

    def __init__(
        self, what: str, *, name: str, log_path: Path, log_tail: str, exit_status: int | None = None, hint: str = ""
    ) -> None:
        lines = log_tail or "(the log is empty)"
        super().__init__(f"{name}: {what}\nlast lines of {log_path}:\n{lines}", hint=hint)
        self.name = name
        self.exit_status = exit_status
        self.log_path = log_path
        self.log_tail = log_tail


class ProcessDied(ProcessFailed):
    """It ended although nobody asked it to. `exit_status` is negative for a signal, as in `subprocess`."""


class ProcessNotReady(ProcessFailed):
    """It runs, but did not answer in time; it has been stopped."""


class KeyFileUnusable(SandboxError):
    """The key file of the encryption service is damaged, or others may read it."""


class MailMissing(SandboxError):
    """No such mail in the folder, or no such part in the mail."""


class ApiRefused(SandboxError):
    """The API says that the call is wrong: the same call will fail again."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"POST {path} was refused with status {status}")
        self.status = status


class ApiUnavailable(SandboxError):
    """The API cannot serve the call now. `status` is 0 when it cannot be reached; without a Retry-After it is not
    worth asking the same again."""

    def __init__(self, path: str, status: int, retry_after_seconds: float | None) -> None:
        super().__init__(f"POST {path} cannot be served now, status {status}")
        self.status = status
        self.retry_after_seconds = retry_after_seconds
