"""Candidates for bins: the clusters of all partitions, and how well the partitions know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

# Agreement is taken over at most this many partitions, evenly chosen.
_MOST_PARTITIONS = 64
# Contigs of candidates, with repeats, that are compared with a partition in one go.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Candidate:
    """A cluster of one or several partitions.

    Attributes
    ----------
    rows : int64 [size]
        Its contigs.
    agreement : float
        0..1: mean over partitions of the largest Jaccard index (bp) with one of their clusters.
    """

    rows: NDArray[np.int64]
    agreement: float


def clusters_of(
    partition: NDArray[np.int32], lengths: NDArray[np.int64], min_size: int
) -> list[NDArray[np.int64]]:
    """Rows of the contigs of each cluster of at least `min_size` bp.

    Parameters
    ----------
    partition : int32 [n]
        -1 for contigs that it leaves out.
    lengths : int64 [n]
    min_size : int
        bp.
    """
    order = np.argsort(partition, kind="stable")
    cuts = np.flatnonzero(np.diff(partition[order], prepend=-2) != 0)
    parts = np.split(order, cuts[1:]) if len(order) else []
    return [rows for rows in parts if partition[rows[0]] >= 0 and lengths[rows].sum() >= min_size]


def candidates_of(
    labels: NDArray[np.int32], lengths: NDArray[np.int64], min_size: int
) -> list[Candidate]:
    """The different clusters of at least `min_size` bp over all partitions.

    Parameters
    ----------
    labels : int32 [partitions, n]
        -1 for contigs that a partition leaves out.
    lengths : int64 [n]
    min_size : int
        bp.
    """
    found = {
        rows.tobytes(): rows
        for partition in labels
        for rows in clusters_of(partition, lengths, min_size)
    }
    return with_agreement(list(found.values()), labels, lengths)


def with_agreement(
    rows: Sequence[NDArray[np.int64]], labels: NDArray[np.int32], lengths: NDArray[np.int64]
) -> list[Candidate]:
    """Candidates of sets of contigs.

    Parameters
    ----------
    rows : sequence of int64 [size]
    labels : int32 [partitions, n]
    lengths : int64 [n]
    """
    judges = labels[:: max(1, -(-len(labels) // _MOST_PARTITIONS))]
    total = np.zeros(len(rows))
    sizes = np.array([len(r) for r in rows], dtype=np.int64)
    # Blocks of candidates bound the memory of the products.
    blocks = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(np.cumsum(sizes) // _BLOCK)) + 1)
    for block in blocks if len(rows) else ():
        members = np.concatenate([rows[c] for c in block])
        pointers = np.concatenate(([0], np.cumsum(sizes[block])))
        weights = lengths[members].astype(np.float64)
        table = csr_array((weights, members, pointers), shape=(len(block), len(lengths)))
        own = table.sum(axis=1)
        for judge in judges:
            total[block] += _best_jaccard(table, own, judge, lengths)
    agreement = (total / max(len(judges), 1)).tolist()
    return [Candidate(r, a) for r, a in zip(rows, agreement, strict=True)]


def _best_jaccard(
    table: csr_array, own: NDArray[np.float64], judge: NDArray[np.int32], lengths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Largest Jaccard index of each row of a table (candidates x contigs, bp) with a cluster."""
    known = np.flatnonzero(judge >= 0)
    clusters = int(judge.max(initial=-1)) + 1
    best = np.zeros(len(own))
    if not len(known):
        return best
    theirs = np.bincount(judge[known], lengths[known], clusters)
    one = csr_array((np.ones(len(known)), (known, judge[known])), shape=(len(judge), clusters))
    shared = table @ one
    owner = np.repeat(np.arange(len(own)), np.diff(shared.indptr))
    jaccard = shared.data / (own[owner] + theirs[shared.indices] - shared.data)
    filled = np.flatnonzero(np.diff(shared.indptr))
    best[filled] = np.maximum.reduceat(jaccard, shared.indptr[filled])
    return best
