"""Reads of a sample and where they align; no aligner is needed, since their origin is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmbin_core.simulate.community import Assembly
from llmbin_core.simulate.genomes import Genome

Ints = NDArray[np.int64]

UNIQUE, AMBIGUOUS = 60, 2
_INSERT_SPREAD = 50
# Depth along a genome: more near the origin of replication, and uneven from window to window.
_WINDOW, _WINDOW_SPREAD, _ORIGIN_GAIN = 1000, 0.08, 0.12
_LONG_MEDIAN, _LONG_SPREAD, _LONG_MIN = 7000, 0.55, 800


@dataclass(frozen=True)
class Fragments:
    """Sequenced pieces of one genome: ``begin..end`` in its joined sequences (bp)."""

    begin: Ints
    end: Ints


@dataclass(frozen=True)
class Targets:
    """The contigs of one genome in one assembly, by position, with their number in the BAM."""

    begin: Ints
    end: Ints
    number: Ints
    reverse: NDArray[np.bool_]

    def at(self, position: Ints) -> Ints:
        """Row of the contig that holds each position, -1 where there is none."""
        row = np.searchsorted(self.begin, position, side="right") - 1
        if not len(self.begin):
            return row
        return np.where((row >= 0) & (position < self.end[row]), row, -1)


def targets_of(assemblies: Sequence[Assembly], genome: int) -> list[Targets]:
    """Contigs of a genome in each assembly; contigs are numbered through all of them."""
    found = []
    first = 0
    for assembly in assemblies:
        rows = np.flatnonzero(assembly.genome == genome)
        rows = rows[np.argsort(assembly.begin[rows], kind="stable")]
        found.append(
            Targets(assembly.begin[rows], assembly.end[rows], rows + first, assembly.reverse[rows])
        )
        first += len(assembly)
    return found


def window_ends(rng: np.random.Generator, length: int) -> NDArray[np.float64]:
    """Share of reads that begin up to the end of each window of 1 kb of a genome."""
    n = -(-length // _WINDOW)
    around = np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)
    weights = np.exp(rng.normal(0, _WINDOW_SPREAD, n)) * (1 + _ORIGIN_GAIN * around)
    weights[-1] *= (length - (n - 1) * _WINDOW) / _WINDOW
    return np.asarray(np.cumsum(weights) / weights.sum())


def draw_pairs(
    rng: np.random.Generator,
    genome: Genome,
    ends: NDArray[np.float64],
    depth: float,
    read_length: int,
    insert_size: int,
) -> Fragments:
    """Fragments whose two ends are read; Poisson in number around the depth."""
    n = int(rng.poisson(depth * len(genome) / (2 * read_length)))
    drawn = rng.normal(insert_size, _INSERT_SPREAD, n)
    insert = np.clip(drawn, read_length, 2 * insert_size).astype(np.int64)
    return _inside(genome, _begins(rng, ends, n), insert)


def draw_long(
    rng: np.random.Generator, genome: Genome, ends: NDArray[np.float64], depth: float
) -> Fragments:
    """Long reads of log-normal length; Poisson in number around the depth."""
    mean = _LONG_MEDIAN * np.exp(_LONG_SPREAD**2 / 2)
    n = int(rng.poisson(depth * len(genome) / mean))
    length = np.maximum(rng.lognormal(np.log(_LONG_MEDIAN), _LONG_SPREAD, n), _LONG_MIN)
    return _inside(genome, _begins(rng, ends, n), length.astype(np.int64))


def _begins(rng: np.random.Generator, ends: NDArray[np.float64], n: int) -> Ints:
    window = np.searchsorted(ends[:-1], rng.random(n), side="right")
    return np.asarray(window * _WINDOW + rng.integers(0, _WINDOW, n))


def _inside(genome: Genome, begin: Ints, length: Ints) -> Fragments:
    """Only fragments that lie in one sequence."""
    end = begin + length
    last = genome.bounds[np.searchsorted(genome.bounds[1:-1], begin, side="right") + 1]
    keep = end <= last
    return Fragments(begin[keep], end[keep])


def choose_assembly(
    rng: np.random.Generator, candidates: NDArray[np.bool_]
) -> tuple[Ints, NDArray[np.uint8]]:
    """Where each fragment aligns when several assemblies hold its place: anywhere, equally likely.

    Parameters
    ----------
    candidates : bool [n, assemblies]

    Returns
    -------
    chosen : int64 [n]
        -1 where there is no candidate.
    quality : uint8 [n]
        Mapping quality: high for a single candidate, low for several, as aligners give it.
    """
    number = candidates.sum(axis=1)
    rank = (rng.random(len(candidates)) * number).astype(np.int64)
    chosen = (np.cumsum(candidates, axis=1) > rank[:, None]).argmax(axis=1)
    quality = np.where(number > 1, AMBIGUOUS, UNIQUE).astype(np.uint8)
    return np.where(number > 0, chosen, -1), quality
