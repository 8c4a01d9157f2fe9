"""Who is in which sample, and the contigs that an assembler would get of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmbin_core.simulate.composition import Codes
from llmbin_core.simulate.genomes import UNKNOWN, Genome, reverse_complement
from llmbin_core.simulate.options import Reads, SimulateOptions

# Median length of what an assembler cuts a genome into, for a depth of 10; it grows with depth.
_MEDIAN_AT_10 = {"short": 6_000, "long": 60_000}
_MEDIAN_RANGE = {"short": (700, 40_000), "long": (5_000, 400_000)}
_DEPTH_EXPONENT = 1.1
_LENGTH_SPREAD = 0.9
# Depth from which on an assembler can close a circle.
_CLOSED_DEPTH = 15.0
# Share of a genome that is lost whatever its depth; of the rest, half is lost at a depth of 3,
# a tenth at 5 and nearly nothing at 10.
_ALWAYS_LOST, _HALF_LOST_DEPTH, _LOSS_EXPONENT = 0.015, 3.0, 4


@dataclass(frozen=True)
class Assembly:
    """Contigs cut from the genomes, in the order of their file.

    Attributes
    ----------
    prefix : str
        Sample and separator in front of the names where all assemblies are joined, or "".
    names : tuple of str
    genome : int64 [n]
        Row of the genome of each contig.
    begin, end : int64 [n]
        The contig in the joined sequences of its genome (bp).
    reverse : bool [n]
        Whether the contig is the reverse complement of that piece.
    circular : bool [n]
        Whether the contig is a whole circular sequence, which its header says.
    """

    prefix: str
    names: tuple[str, ...]
    genome: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    reverse: NDArray[np.bool_]
    circular: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each contig (bp)."""
        return self.end - self.begin

    def codes(self, genomes: Sequence[Genome], row: int) -> Codes:
        """Bases of one contig."""
        piece = genomes[self.genome[row]].codes[self.begin[row] : self.end[row]]
        return reverse_complement(piece) if self.reverse[row] else piece


def draw_depths(
    rng: np.random.Generator, n_genomes: int, options: SimulateOptions
) -> NDArray[np.float64]:
    """Mean depth of each genome in each sample, float64 [n, samples]; 0 where it is absent."""
    shape = (n_genomes, options.samples)
    spread = options.depth_spread
    log_depth = rng.normal(0, spread, (n_genomes, 1)) + rng.normal(0, spread, shape)
    present = rng.random(shape) < options.presence
    # A genome that would be nowhere is where it would be deepest.
    nowhere = ~present.any(axis=1)
    present[nowhere, log_depth[nowhere].argmax(axis=1)] = True
    depths = np.exp(log_depth) * present
    return np.asarray(depths * (options.depth / depths.mean()))


def cut_genomes(
    rng: np.random.Generator,
    genomes: Sequence[Genome],
    depths: NDArray[np.float64],
    prefix: str,
    reads: Reads,
    min_length: int,
    circular: float = 0.0,
) -> Assembly:
    """Cut genomes into contigs, lose some, turn half of them and mix them.

    Parameters
    ----------
    depths : float64 [n]
        Depth of each genome in the reads that are assembled: the deeper, the longer its contigs
        (log-normal around a median that grows with depth) and the fewer are lost.
    circular : float
        Probability that a sequence deep enough is assembled whole, as a circle.
    """
    parts = []
    for row, (genome, depth) in enumerate(zip(genomes, depths.tolist(), strict=True)):
        if depth <= 0:
            continue
        for first, last in zip(genome.bounds[:-1], genome.bounds[1:], strict=True):
            closed = circular > 0 and depth >= _CLOSED_DEPTH and rng.random() < circular
            if closed and last - first >= min_length:
                parts.append((np.array([row]), first[None], last[None], np.array([True])))
                continue
            cuts = _cut(rng, int(first), int(last), _median(depth, reads))
            lost = _ALWAYS_LOST + (1 - _ALWAYS_LOST) / (
                1 + (depth / _HALF_LOST_DEPTH) ** _LOSS_EXPONENT
            )
            keep = (rng.random(len(cuts) - 1) >= lost) & (np.diff(cuts) >= min_length)
            rows = np.full(keep.sum(), row)
            parts.append((rows, cuts[:-1][keep], cuts[1:][keep], np.zeros(len(rows), bool)))
    columns = zip(*parts, strict=True) if parts else ([], [], [], [])
    genome_rows, begin, end, whole = (np.concatenate([*c, np.empty(0, np.int64)]) for c in columns)
    order = rng.permutation(len(begin))
    names = tuple(f"contig_{i}" for i in range(1, len(order) + 1))
    reverse = rng.random(len(order)) < 0.5
    return Assembly(
        prefix,
        names,
        genome_rows[order].astype(np.int64),
        begin[order].astype(np.int64),
        end[order].astype(np.int64),
        reverse,
        whole[order].astype(bool),
    )


def misread(rng: np.random.Generator, codes: Codes, rate: float) -> Codes:
    """A contig with errors of its assembly: as many wrong as lost as doubled bases.

    Its length stays, so that alignments are off by no more than a few bases.
    """
    places = np.unique(rng.integers(0, len(codes), rng.binomial(len(codes), rate)))
    rng.shuffle(places)
    wrong, lost, doubled = places[: len(places) // 3 * 3].reshape(3, -1)
    codes = codes.copy()
    known = wrong[codes[wrong] < UNKNOWN]
    codes[known] = (codes[known] + rng.integers(1, 4, len(known))) % 4
    copies = np.ones(len(codes), dtype=np.int64)
    copies[lost], copies[doubled] = 0, 2
    return np.repeat(codes, copies)


def _median(depth: float, reads: Reads) -> float:
    median = _MEDIAN_AT_10[reads] * (depth / 10) ** _DEPTH_EXPONENT
    return float(np.clip(median, *_MEDIAN_RANGE[reads]))


def _cut(rng: np.random.Generator, first: int, last: int, median: float) -> NDArray[np.int64]:
    """Positions from `first` to `last` at which a sequence breaks, both included."""
    mean = median * np.exp(_LENGTH_SPREAD**2 / 2)
    cuts = np.array([first], dtype=np.int64)
    while cuts[-1] < last:
        n = int((last - cuts[-1]) / mean * 1.2) + 5
        steps = np.maximum(rng.lognormal(np.log(median), _LENGTH_SPREAD, n), 1).astype(np.int64)
        cuts = np.concatenate((cuts, cuts[-1] + np.cumsum(steps)))
    return np.asarray(np.append(cuts[cuts < last], last))
