"""The errors that only reports raise; they continue the tree of `core/errors.py`.

Unavailable
└── LedgerUnavailable         the folder of the reports cannot be read or written
"""

from __future__ import annotations

from core.errors import Unavailable


class LedgerUnavailable(Unavailable):
    """Without its ledger a report is not sent: it might be the second time."""
