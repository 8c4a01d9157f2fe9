"""Bins of two genomes that lie apart: cut where markers allow it, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from llmbin_core.bins.markerindex import MarkerIndex, index_markers
from llmbin_core.bins.separation import separated
from llmbin_core.contigs import ContigTable
from llmbin_core.markertable import MarkerHit

N, BP = 300, 10_000
CONTIGS = ContigTable(tuple(f"c{i}" for i in range(N)), np.full(N, BP))
MARKERS = tuple(f"m{i}" for i in range(60))
SETS = {"bacteria": tuple((m,) for m in MARKERS)}
ONE, TWO, THREE = (list(range(begin, begin + 100)) for begin in (0, 100, 200))


def index_of(*genomes: tuple[list[int], list[int]]) -> MarkerIndex:
    """Genomes as contigs and numbers of the markers on them, the contigs taken in turn."""
    letters = "ACDEFGHIKLMNPQRSTVWY"
    hits = []
    for seed, (rows, markers) in enumerate(genomes):
        for at, marker in enumerate(markers):
            rng = np.random.default_rng([seed, marker])
            protein = "".join(letters[i] for i in rng.integers(0, 20, 100))
            hits.append(MarkerHit(f"c{rows[at % len(rows)]}", MARKERS[marker], 99.0, 1e-9, 1, 100,
                                  100, 1, 300, 1, "", protein))  # fmt: skip
    return index_markers(hits, CONTIGS, SETS)


def clouds(*groups: list[int], apart: float = 1.0) -> np.ndarray:
    """Unit vectors of contigs, normally distributed around one centre per group."""
    rng = np.random.default_rng(1)
    latent = rng.normal(0, 0.1, (N, 16))
    latent[:, -1] += 1
    for number, rows in enumerate(groups):
        latent[rows, number] += apart
    return (latent / np.linalg.norm(latent, axis=1, keepdims=True)).astype(np.float32)


def partition(*groups: list[int]) -> np.ndarray:
    labels = np.full((1, N), -1, np.int32)
    for label, rows in enumerate(groups):
        labels[0, rows] = label
    return labels


def cut(index: MarkerIndex, latent: np.ndarray, labels: np.ndarray, rows: list[int],
        least: int = 200_000) -> list[list[int]]:  # fmt: skip
    found = separated([np.array(rows)], labels, index, least, latent)
    assert sorted(np.concatenate(found).tolist()) == sorted(rows)
    return sorted(sorted(b.tolist()) for b in found)


# Of each genome a fifth of the markers: as many in both as chance has it, 60 / 25.
FEW, OTHERS = list(range(12)), [0, 1, *range(20, 30)]


def test_two_clouds_of_few_markers_are_two_genomes() -> None:
    index = index_of((ONE, FEW), (TWO, OTHERS))
    labels, every = partition(ONE, TWO), ONE + TWO
    assert cut(index, clouds(ONE, TWO), labels, every) == [ONE, TWO]
    # The same labels on one cloud: neighbours across the cut are as many as within.
    assert cut(index, clouds(every), labels, every) == [every]
    assert cut(index, clouds(ONE, TWO), labels, every, 1_000_001) == [every]
    # No partition tells them apart.
    assert cut(index, clouds(ONE, TWO), partition(every), every) == [every]


def test_three_genomes_are_cut_twice() -> None:
    index = index_of((ONE, FEW), (TWO, OTHERS), (THREE, [0, 2, *range(30, 40)]))
    labels = np.concatenate((partition(ONE, TWO + THREE), partition(ONE, TWO, THREE)))
    every = ONE + TWO + THREE
    assert cut(index, clouds(ONE, TWO, THREE), labels, every) == [ONE, TWO, THREE]


def test_parts_with_complementary_markers_are_one_genome() -> None:
    """Half of the markers each: 15 of 60 would be found twice, but none is."""
    index = index_of((ONE, list(range(30))), (TWO, list(range(30, 55))))
    assert cut(index, clouds(ONE, TWO), partition(ONE, TWO), ONE + TWO) == [ONE + TWO]
    index = index_of((ONE, list(range(30))), (TWO, list(range(15, 45))))
    assert cut(index, clouds(ONE, TWO), partition(ONE, TWO), ONE + TWO) == [ONE, TWO]


@pytest.mark.parametrize("found", [0, 12])
def test_a_region_without_markers_is_no_genome(found: int) -> None:
    two = TWO[:90]
    index = index_of((ONE, FEW), (two, OTHERS[:found]))
    parts = [ONE, two] if found else [ONE + two]
    assert cut(index, clouds(ONE, two), partition(ONE, two), ONE + two) == parts


def test_nothing_is_cut_from_a_near_complete_bin() -> None:
    index = index_of((ONE, list(range(59))), (TWO[:21], [3, 4]))
    rows = ONE + TWO[:21]
    assert cut(index, clouds(ONE, TWO), partition(ONE, TWO), rows) == [rows]


def test_less_than_a_tenth_is_not_cut_off() -> None:
    index = index_of((ONE + TWO, FEW), (THREE, OTHERS))
    latent, labels = clouds(ONE + TWO, THREE), partition(ONE + TWO, THREE[:21])
    assert cut(index, latent, labels, ONE + TWO + THREE[:21]) == [ONE + TWO + THREE[:21]]
    labels = partition(ONE + TWO, THREE[:25])
    assert cut(index, latent, labels, ONE + TWO + THREE[:25]) == [ONE + TWO, THREE[:25]]
