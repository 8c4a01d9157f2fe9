"""Choosing bins among the candidates of all partitions.

The best candidate is taken, its contigs leave all others, what changed is estimated again, and so
on. The score of a candidate, in percent, is

    completeness - 2 contamination + 2 per Mb + agreement

Agreement is how well the partitions as a whole know the candidate: the mean over partitions of the
largest Jaccard index (bp) with one of their clusters. Markers alone do not tell a bin with all of
them and half of its genome from the whole genome; a half is found by few partitions, the whole by
many. The size decides between candidates whose markers and agreement are the same. Without these
two terms the result depends on the weight of contamination and loses genomes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmbin_core import defaults
from llmbin_core.bins.candidates import Candidate, candidates_of, clusters_of, with_agreement
from llmbin_core.bins.circular import circular_bins, without
from llmbin_core.bins.markerindex import MarkerIndex
from llmbin_core.bins.proposals import Vectors, proposals
from llmbin_core.bins.quality import Quality, estimate
from llmbin_core.bins.separation import separated

CONTAMINATION_WEIGHT = 2.0
SIZE_WEIGHT = 2.0  # per Mb
# Worth differs by less when only what the estimates do not see differs, such as contigs without
# markers: then score, gaps and agreement know better.
_MARGIN = 0.01
# How many changed candidates are estimated in one go.
_BATCH = 4096


def choose_bins(
    labels: NDArray[np.int32],
    index: MarkerIndex,
    min_size: int,
    choose: str = "bins",
    vectors: Vectors | None = None,
    circular: NDArray[np.bool_] | None = None,
) -> list[NDArray[np.int64]]:
    """Bins from partitions.

    Parameters
    ----------
    labels : int32 [partitions, n]
    index : MarkerIndex
    min_size : int
        bp.
    choose : str
        ``bins``: bin by bin over all partitions, unless by its own estimate the best partition
        is worth clearly more; ``partition``: the best partition as a whole.
    vectors : Vectors, optional
        With them, mixed bins are split and partial ones joined where that scores better, and
        genomes that lie apart become bins of their own.
    circular : bool [n], optional
        Circular contigs; those that are whole genomes are the first bins.

    Returns
    -------
    list of int64 [size]
        Rows of the contigs of each bin; `best_first` orders them.
    """
    circles = []
    if circular is not None:
        circles = circular_bins(circular, labels, index, min_size)
        labels = without(labels, circles)
    chosen = _best_partition(labels, index, min_size)
    if choose == "bins":
        chosen = _bin_by_bin(labels, index, min_size, chosen)
        if vectors is not None:
            chosen = _refined(chosen, labels, index, min_size, vectors)
    return [*circles, *chosen]


def best_first(bins: Sequence[NDArray[np.int64]], index: MarkerIndex) -> list[int]:
    """Numbers of the bins by their worth in percent, to two digits; of the same the largest first.

    The order in which they were chosen hangs on digits of the agreement that differ between
    processors.
    """
    found = estimate(index, bins)
    worth = np.round(found.completeness - CONTAMINATION_WEIGHT * found.contamination, 2)
    bp = [int(index.lengths[rows].sum()) for rows in bins]
    return sorted(range(len(bins)), key=lambda b: (-worth[b], -bp[b], bins[b].min()))


def _bin_by_bin(
    labels: NDArray[np.int32],
    index: MarkerIndex,
    min_size: int,
    whole: list[NDArray[np.int64]],
) -> list[NDArray[np.int64]]:
    """The best bins of all partitions, or `whole`, those of the best partition."""
    apart = select_bins(candidates_of(labels, index.lengths, min_size), index, min_size)
    clearly = worth_of(whole, index) > (1 + _MARGIN) * worth_of(apart, index)
    return whole if clearly else apart


def _refined(
    chosen: list[NDArray[np.int64]],
    labels: NDArray[np.int32],
    index: MarkerIndex,
    min_size: int,
    vectors: Vectors,
) -> list[NDArray[np.int64]]:
    """The bins with mixed ones split, parts joined, and what lies apart cut."""
    known = with_agreement(chosen, labels, index.lengths)
    found = proposals(known, labels, index, min_size, vectors)
    refined = select_bins([*known, *found], index, min_size) if found else chosen
    refined = max(chosen, refined, key=lambda bins: worth_of(bins, index))
    # What lies apart is not in the estimate: two genomes in one bin are worth more to it.
    return separated(refined, labels, index, min_size, vectors.latent)


def worth_of(bins: Sequence[NDArray[np.int64]], index: MarkerIndex) -> float:
    """Worth of disjoint bins: sum of the squares of completeness - 2 contamination above 0.

    The square makes one whole genome worth more than its pieces. Unlike the published count of bins
    over thresholds it does not turn on single bins close to one.
    """
    found = estimate(index, bins)
    worth = found.completeness - CONTAMINATION_WEIGHT * found.contamination
    # Exact, so that the same bins in another order are worth the same.
    return math.fsum(np.maximum(worth, 0) ** 2)


def partition_worth(
    partition: NDArray[np.int32], index: MarkerIndex, min_size: int = defaults.MIN_BIN_SIZE
) -> float:
    """Worth of the clusters of a partition of at least `min_size` bp."""
    return worth_of(clusters_of(partition, index.lengths, min_size), index)


def _best_partition(
    labels: NDArray[np.int32], index: MarkerIndex, min_size: int
) -> list[NDArray[np.int64]]:
    """The bins of the partition of the largest worth, the first one on ties."""
    worth = [partition_worth(partition, index, min_size) for partition in labels]
    return clusters_of(labels[worth.index(max(worth))], index.lengths, min_size) if worth else []


def scores(
    quality: Quality, agreement: NDArray[np.float64], sizes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Score of bins in percent: see the module; agreement 0..1, sizes in bp."""
    worth = quality.completeness - CONTAMINATION_WEIGHT * quality.contamination
    return np.asarray(worth + SIZE_WEIGHT * sizes / 1e6 + 100 * agreement, dtype=np.float64)


def select_bins(
    candidates: Sequence[Candidate], index: MarkerIndex, min_size: int
) -> list[NDArray[np.int64]]:
    """Choose disjoint bins, best first.

    Parameters
    ----------
    candidates : sequence of Candidate
    index : MarkerIndex
    min_size : int
        Candidates that shrink below it are dropped (bp).

    Returns
    -------
    list of int64 [size]
        Rows of the contigs of each bin.
    """
    lengths = index.lengths
    rows = [c.rows for c in candidates]
    owners = _owners(rows, len(lengths))
    heap: list[tuple[float, int, int]] = []
    version = [0] * len(rows)

    def push(changed: Sequence[int]) -> None:
        for begin in range(0, len(changed), _BATCH):
            part = changed[begin : begin + _BATCH]
            agreement = np.array([candidates[c].agreement for c in part])
            sizes = np.array([lengths[rows[c]].sum() for c in part])
            found = scores(estimate(index, [rows[c] for c in part]), agreement, sizes)
            for c, s in zip(part, found, strict=True):
                heapq.heappush(heap, (-round(float(s), 6), c, version[c]))

    push(range(len(rows)))
    chosen: list[NDArray[np.int64]] = []
    taken = np.zeros(len(lengths), dtype=bool)
    while heap:
        _, best, of_version = heapq.heappop(heap)
        if of_version != version[best]:
            continue
        bin_rows = rows[best]
        chosen.append(bin_rows)
        taken[bin_rows] = True
        touched = np.unique(np.concatenate([owners[r] for r in bin_rows]))
        changed = []
        for c in touched.tolist():
            version[c] += 1
            rows[c] = rows[c][~taken[rows[c]]]
            if lengths[rows[c]].sum() >= min_size:
                changed.append(c)
        push(changed)
    return chosen


def _owners(rows: Sequence[NDArray[np.int64]], n: int) -> list[NDArray[np.int64]]:
    """For each contig the candidates that hold it."""
    if not rows:
        return [np.empty(0, np.int64)] * n
    contig = np.concatenate(rows)
    candidate = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    order = np.argsort(contig, kind="stable")
    cuts = np.searchsorted(contig[order], np.arange(1, n))
    return np.split(candidate[order], cuts)
