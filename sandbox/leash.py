"""Runs a program that the kernel kills when the process that started it ends, however it ends (Linux).

    python -I -S leash.py PARENT_PID PROGRAM [ARGUMENT ...]

The request to the kernel survives `exec`, so the program keeps this process' id and nothing stays in between. It is a
program of its own, and not a `preexec_fn`, because running Python between fork and exec of a process with threads can
hang, and Python 3.12 warns of it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Put on the leash, then become the program."""
    parent_pid, program, *arguments = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"cannot tie {program} to its supervisor: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent_pid):  # it died before we asked; the signal would never come
        sys.exit("the supervisor is gone")
    try:
        os.execv(program, [program, *arguments])
    except OSError as error:
        sys.exit(f"cannot run {program}: {error.strerror}")


if __name__ == "__main__":
    main()
