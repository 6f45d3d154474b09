"""What hangs does not keep a process from its end."""

from __future__ import annotations

import subprocess
import sys

HANGS = """
import threading
from core.ending import end_within

threading.Thread(target=threading.Event().wait).start()
end_within(0.1)
"""


def test_a_process_ends_though_a_thread_of_it_hangs():
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, timeout=60, check=False, text=True)

    assert done.returncode == 1
    assert "ended before all was done" in done.stdout
