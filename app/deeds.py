"""What operators do from the dashboard. The only place in it that writes, and only the words that they say."""

from __future__ import annotations

from dataclasses import replace

from app import cached, gate
from core.clock import utc_now
from core.warehouse import connect
from metrics.detection.words import Word, say


def tell(word: Word) -> Word:
    """Say a word in the name of whoever is signed in.

    Raises `OperatorsOnly`, `BadInput`, `WarehouseUnavailable`, `WarehouseRefused`; then nothing was said.
    """
    person = gate.operator()
    warehouse = connect(cached.settings().warehouse)
    try:
        said = say(warehouse, replace(word, said_by=person.signature), now=utc_now())
    finally:
        warehouse.close()
    cached.forget_words()
    return said
