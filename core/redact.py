"""What people may read: text with what may be a phone number or a code masked, and errors without the values in them.

The mask is a last net: such text should not arrive here.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from core.errors import HeliographError

_DIGITS = re.compile(
    r"\+\d[\d ().-]{5,}\d"  # an international number, however it is spaced
    r"|(?<![\w.-])\d{6,15}(?![\w-])",  # six digits or more that are not part of a word, an id or a date
)
MASK = "[masked]"

_ROOT = Path(__file__).resolve().parents[1]
_OURS = ("core", "service", "ingest", "metrics", "app", "reports", "sandbox")


def redact(text: str) -> str:
    """`text` with every run of digits that may be a number or a code replaced by `[masked]`."""
    return _DIGITS.sub(MASK, text)


def described(error: BaseException) -> str:
    """What broke, in words. Of an error that is none of ours its kind and the line of ours that met it: its message may hold
    an address, a password, or a number."""
    if isinstance(error, HeliographError):
        return redact(str(error))
    kind = type(error).__name__
    said = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
    met = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_ours(frame.filename)]
    where = f" in {Path(met[-1].filename).relative_to(_ROOT)}, line {met[-1].lineno}" if met else ""
    return f"{kind}{said}{where}"


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in _OURS
