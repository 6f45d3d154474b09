"""The simulated world that providers, subscribers and history share: places, channels, people, faults."""

from __future__ import annotations

from sandbox.world.channels import PROVIDER_WEIGHTS, PROVIDERS, Channel
from sandbox.world.fates import Fate, PlannedReceipt
from sandbox.world.faults import NAMED_FAULTS, Fault, NamedFault, named_fault
from sandbox.world.people import Person
from sandbox.world.places import COUNTRIES, Area, Carrier, Country, areas, make_number
from sandbox.world.traffic import APPS, PURPOSES, TEXTS, Text, template_of
from sandbox.world.world import Wish, World

__all__ = [
    "APPS",
    "COUNTRIES",
    "NAMED_FAULTS",
    "PROVIDERS",
    "PROVIDER_WEIGHTS",
    "PURPOSES",
    "TEXTS",
    "Area",
    "Carrier",
    "Channel",
    "Country",
    "Fate",
    "Fault",
    "NamedFault",
    "Person",
    "PlannedReceipt",
    "Text",
    "Wish",
    "World",
    "areas",
    "make_number",
    "named_fault",
    "template_of",
]
