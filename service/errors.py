"""Errors that only the service raises; they continue the tree drawn in `core/errors.py`.

BadInput
├── ForgedReceipt             a receipt or an inbound message whose signature is not its provider's
└── ReceiptUnreadable         a body of which not one row can be told from another
"""

from __future__ import annotations

from core.errors import BadInput


class ForgedReceipt(BadInput):
    """The signature is missing, wrong or too old; nothing of the body was believed."""


class ReceiptUnreadable(BadInput):
    """The whole body is not in the provider's format: too large, not UTF-8, or not its shape."""
