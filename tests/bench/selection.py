"""How long the choice of bins takes, and how much memory: many contigs, many partitions.

    python tests/bench/selection.py [--contigs 100000] [--partitions 200]

Genomes of 100 contigs and 60 markers; each partition splits some of them in two and joins some
pairs, so that most clusters are candidates of their own. Latents and depths are those of the
genomes with noise, so that splits, unions and gaps are looked for as well. Prints CPU seconds, peak
memory of the process (GB), the candidates, and how many genomes are bins.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmbin_core.bins.candidates import candidates_of
from llmbin_core.bins.markerindex import MarkerIndex, index_markers
from llmbin_core.bins.proposals import Vectors
from llmbin_core.bins.selection import choose_bins
from llmbin_core.contigs import ContigTable
from llmbin_core.markertable import MarkerHit

PER_GENOME, MARKERS, WIDTH, SAMPLES = 100, 60, 64, 4
SPLIT, JOINED = 0.2, 0.2
MIN_SIZE = 200_000


def marked(
    contigs: ContigTable, genome: NDArray[np.int64], rng: np.random.Generator
) -> MarkerIndex:
    """Every marker once per genome, on one of its contigs; each genome has proteins of its own."""
    hits = []
    for number in range(int(genome.max()) + 1):
        rows = rng.choice(np.flatnonzero(genome == number), MARKERS)
        protein = "".join("ACDEFGHIKLMNPQRSTVWY"[k] for k in rng.integers(0, 20, 120))
        for marker, row in enumerate(rows.tolist()):
            name = contigs.names[row]
            hits.append(
                MarkerHit(name, f"m{marker}", 99.0, 1e-9, 1, 120, 120, 1, 360, 1, "", protein)
            )
    sets = {"bacteria": tuple((f"m{marker}",) for marker in range(MARKERS))}
    return index_markers(hits, contigs, sets)


def partitions(
    genome: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Labels: some genomes in two random parts, some pairs of genomes as one."""
    genomes = int(genome.max()) + 1
    labels = np.empty((count, len(genome)), np.int32)
    for row in labels:
        joined = np.where(
            rng.random(genomes) < JOINED, rng.permutation(genomes), np.arange(genomes)
        )
        split = (rng.random(genomes) < SPLIT)[genome] & (rng.random(len(genome)) < 0.5)
        row[:] = joined[genome] + genomes * split
    return labels


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures as TSV; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--contigs", type=int, default=100_000)
    parser.add_argument("--partitions", type=int, default=200)
    o = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    genome = np.repeat(np.arange(o.contigs // PER_GENOME), PER_GENOME)
    lengths = rng.integers(2_000, 60_000, len(genome))
    contigs = ContigTable(tuple(f"c{i}" for i in range(len(genome))), lengths)
    index, labels = marked(contigs, genome, rng), partitions(genome, o.partitions, rng)
    centres = rng.normal(size=(len(genome) // PER_GENOME, WIDTH))
    latent = centres[genome] + rng.normal(scale=0.5, size=(len(genome), WIDTH))
    latent /= np.linalg.norm(latent, axis=1, keepdims=True)
    depths = np.exp(rng.normal(size=(len(centres), SAMPLES)))[genome] * 10
    vectors = Vectors(latent.astype(np.float32), depths.astype(np.float32))
    candidates = len(candidates_of(labels, lengths, MIN_SIZE))
    begin = time.process_time()
    bins = choose_bins(labels, index, MIN_SIZE, vectors=vectors)
    took = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    whole = sum(len(rows) == PER_GENOME and len(set(genome[rows])) == 1 for rows in bins)
    print("contigs\tpartitions\tcandidates\tcpu_s\tpeak_GB\tgenomes\tgenomes_that_are_bins")
    print(
        len(genome),
        o.partitions,
        candidates,
        f"{took:.1f}",
        f"{peak:.2f}",
        len(centres),
        whole,
        sep="\t",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
