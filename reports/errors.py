"""The errors that only reports raise; they continue the tree of `core/errors.py`.

Unavailable
└── LedgerUnavailable         the folder of the reports cannot be read or written
BadInput
└── ReportGone                a report that is asked for again and not kept
ConfigurationError
└── OtherRecipients           programs that have to agree on whom reports go to, and do not
HeliographError
└── NotTold                   incidents whose alerts could not be made
"""

from __future__ import annotations

from core.errors import BadInput, ConfigurationError, HeliographError, Unavailable


class LedgerUnavailable(Unavailable):
    """Without its ledger a report is not sent: it might be the second time."""


class ReportGone(BadInput):
    """There is no mail of it in the folder of the reports."""


class OtherRecipients(ConfigurationError):
    """Somebody confirmed recipients that are not those of this program's settings."""


class NotTold(HeliographError):
    """Some incidents could not be told; the others were."""
