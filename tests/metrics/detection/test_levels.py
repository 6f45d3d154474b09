"""When it rings: what is tolerated is spent once, strong slices ring sooner, and only what may be a stall waits."""

import numpy as np
import pandas as pd
import pytest

from metrics.detection.cases import Case
from metrics.detection.channels import DEL, LOSSES, REC, WATCHED, WIDTH, columns
from metrics.detection.evidence import Minute
from metrics.detection.leaves import DIMENSIONS, Leaves, Slices
from metrics.detection.scan import one_feed
from metrics.detection.sequential import ALIKE, Sequential

TOTAL = len(LOSSES)
"""The alternative under which most is lost."""


@pytest.fixture
def leaves() -> Leaves:
    """Two providers, two countries."""
    made = Leaves()
    keys = [(provider, country) for provider in ("alpha", "beta") for country in ("CN", "DE")]
    made.number(pd.DataFrame(keys, columns=["provider", "country"]).reindex(columns=list(DIMENSIONS)))
    return made


def evidence(leaves: Leaves, told: dict[tuple[str, str], float]) -> np.ndarray:
    table = np.zeros((len(leaves), WIDTH))
    for row, key in enumerate(leaves.keys):
        table[row, columns(REC).start + TOTAL] = told[key[:2]]
    return table


def provider_ill(leaves: Leaves, told: dict[tuple[str, str], float], **scope: str) -> str | None:
    """The provider whose feed it may be."""
    held = leaves.inside({name: (value,) for name, value in scope.items()})
    feed = one_feed(leaves, evidence(leaves, told), REC, held, TOTAL)
    return None if feed is None else {key[0] for key, one in zip(leaves.keys, feed, strict=True) if one}.pop()


def test_what_is_tolerated_is_spent_once_over_all_slices_and_series(leaves: Leaves):
    slices = Slices(leaves)
    moved = slices.grow()
    assert moved is not None
    sequential = Sequential(slices)
    sequential.grow(moved)

    for traffic in (np.ones(len(slices)), np.arange(len(slices), dtype=float)):
        sequential.tolerate(0.5, traffic)
        spent = 1440 * len(WATCHED) * np.exp(-sequential.level).sum()
        held = np.unique(np.clip(slices.depths, 1, 3))

        assert spent == pytest.approx(ALIKE * 0.5 * sum({1: 0.3, 2: 0.5, 3: 0.2}[depth] for depth in held))
        assert (np.diff(sequential.level[slices.depths == 2]) <= 1e-9).all()  # more traffic, sooner


def test_a_provider_that_is_silent_everywhere_may_be_a_stall(leaves: Leaves):
    told = {("alpha", "CN"): 20.0, ("alpha", "DE"): 3.0, ("beta", "CN"): -20.0, ("beta", "DE"): -5.0}

    assert provider_ill(leaves, told, provider="alpha") == "alpha"
    assert provider_ill(leaves, told, provider="alpha", country="CN") == "alpha"
    assert provider_ill(leaves, told, country="CN") == "alpha"


def test_a_provider_that_is_well_elsewhere_has_no_stall(leaves: Leaves):
    told = {("alpha", "CN"): 20.0, ("alpha", "DE"): -3.0, ("beta", "CN"): -20.0, ("beta", "DE"): -5.0}

    assert provider_ill(leaves, told, provider="alpha", country="CN") is None


def test_two_providers_that_are_ill_in_one_place_are_no_stall(leaves: Leaves):
    told = {("alpha", "CN"): 20.0, ("alpha", "DE"): 0.0, ("beta", "CN"): 9.0, ("beta", "DE"): 0.0}

    assert provider_ill(leaves, told, country="CN") is None


def ended_after(young: list[float]) -> int | None:
    """The minute in which a case ends whose evidence so far is for the mildest alternative; `young` under each one."""
    mask = np.ones(1, dtype=bool)
    case = Case(id="one", watched=DEL, scope={}, mask=mask, quiet=mask, onset=0, detected=0)
    case.start_count(1, WIDTH)
    case.ratio[0, columns(DEL)] = [20.0, 5.0, -40.0]
    told = np.zeros((1, WIDTH))
    told[0, columns(DEL)] = young
    for minute in range(60):
        now = Minute(minute, np.zeros(1, dtype=np.int64), told, told, np.zeros((1, 12)), np.ones((1, 3)))
        if case.watch(now):
            return minute
    return None


def test_a_weak_fault_lasts_while_it_is_weak_and_ends_when_all_is_well():
    assert ended_after([0.4, -0.5, -9.0]) is None
    assert ended_after([-0.5, -2.0, -9.0]) == 11
