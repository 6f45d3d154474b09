"""What keeps strangers from spending the company's money: quotas on codes by network address, app, number range and
country (`quotas`), and the sign of a pumping attack (`pumping`). `service.limits` guards the one number.

Everything is counted in this process (`windows`), so that a send costs no further round trip; counts that come near a
quota are shared between the instances through Redis (`exchange`). While Redis is away each instance counts for itself.
"""

from __future__ import annotations

from service.guards.guards import Guards

__all__ = ["Guards"]
