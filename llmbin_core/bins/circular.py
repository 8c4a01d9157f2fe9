"""Circular contigs that are whole genomes: bins that no clustering has to find.

An assembler that closes a chromosome has solved the genome. Clustering can only add to it what is
not its own, so such a contig is a bin before any other is chosen. Genomes of several replicons are
kept together: other circular contigs join the chromosome that most partitions put them with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmbin_core.bins.markerindex import MarkerIndex
from llmbin_core.bins.quality import estimate

# Near-complete by the MIMAG levels (%), and long enough for a bin (bp).
_LEAST_COMPLETE, _MOST_CONTAMINATED, _SHORTEST = 90.0, 5.0, 200_000
# Replicons belong together when more than this share of the partitions says so.
_MAJORITY = 0.5


def circular_bins(
    circular: NDArray[np.bool_],
    labels: NDArray[np.int32],
    index: MarkerIndex,
    min_size: int,
) -> list[NDArray[np.int64]]:
    """Bins of circular contigs with a full set of markers, the longest first.

    Parameters
    ----------
    circular : bool [n]
        Contigs that are circular.
    labels : int32 [partitions, n]
        -1 for contigs that a partition leaves out.
    index : MarkerIndex
    min_size : int
        Shorter contigs are no bins (bp); nor are those below 200 kb.

    Returns
    -------
    list of int64 [size]
        Rows of the contigs of each bin.
    """
    lengths = index.lengths
    long = np.flatnonzero(circular & (lengths >= max(_SHORTEST, min_size)))
    quality = estimate(index, [np.array([row]) for row in long])
    full = (quality.completeness > _LEAST_COMPLETE) & (quality.contamination < _MOST_CONTAMINATED)
    genomes = long[full]
    genomes = genomes[np.argsort(-lengths[genomes], kind="stable")]
    if not len(genomes):
        return []
    others = np.setdiff1d(np.flatnonzero(circular), genomes)
    owner = _owners(others, genomes, labels)
    return [np.sort(np.append(others[owner == k], row)) for k, row in enumerate(genomes)]


def _owners(
    others: NDArray[np.int64], genomes: NDArray[np.int64], labels: NDArray[np.int32]
) -> NDArray[np.int64]:
    """For each of the other contigs the genome that most partitions put it with, or -1."""
    theirs, own = labels[:, others], labels[:, genomes]
    together = np.stack([((theirs == of[:, None]) & (theirs >= 0)).mean(axis=0) for of in own.T])
    best = together.argmax(axis=0)
    return np.where(together.max(axis=0) > _MAJORITY, best, -1)


def without(labels: NDArray[np.int32], bins: list[NDArray[np.int64]]) -> NDArray[np.int32]:
    """The partitions without the contigs of bins."""
    if not bins:
        return labels
    left = labels.copy()
    left[:, np.concatenate(bins)] = -1
    return left
