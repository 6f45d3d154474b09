"""What older versions left on disks and queues, kept as it was: a fact and an event of every kind, with hashes of nobody."""

from __future__ import annotations

from pathlib import Path

VERSION_1 = Path(__file__).with_name("version_1")
