"""Two stores as one that stays up: `store`. `choosing` says which of them serves a call, `reads` and `writes` what is done
there; `state` says how they stand, `watch` finds out and leads back; `journaling` and `replay` keep what the primary store
missed, `mirroring` keeps the backup warm.
"""

from __future__ import annotations

from service.failover.status import Status
from service.failover.store import STORE_FOLDER, Failover

__all__ = ["STORE_FOLDER", "Failover", "Status"]
