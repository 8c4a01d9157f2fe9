"""Bins in which two genomes lie apart: told by the gap between them, where markers cannot tell.

Of two genomes of which little was assembled hardly any marker is found twice, so a bin of both
looks like a better bin of one. In the latent they are two clouds: of the nearest neighbours of a
contig almost none lie in the other cloud. A part of a genome has its neighbours in the rest of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import poisson
from sklearn.neighbors import NearestNeighbors

from llmbin_core.bins.markerindex import MarkerIndex
from llmbin_core.bins.quality import estimate

Rows = NDArray[np.int64]

# A part is a cluster of a partition that lies in the bin to this share of its contigs, and the
# part and the rest are each at least this share of the bin: less is no more contamination than a
# medium bin may have.
_INSIDE, _LEAST_PART = 0.9, 0.1
# Nearest neighbours of a contig within its bin: at most so many, and this share of the bin.
_NEIGHBOURS, _NEIGHBOUR_SHARE = 20, 0.25
# Neighbours across a gap, relative to chance. Measured on development sets with 1 to 10 samples:
# parts of a genome .2 and more, two genomes .1 to .4.
_ACROSS = 0.2
# Numbers of markers less probable than this speak against two genomes.
_IMPROBABLE = 0.05
# Nothing is cut from a bin that is near-complete by the MIMAG levels (%).
_COMPLETE, _CONTAMINATED = 90.0, 5.0


class _Cut(NamedTuple):
    """A part of a bin, bool [m], and the neighbours across relative to chance."""

    across: float
    part: NDArray[np.bool_]


def separated(
    bins: list[Rows],
    labels: NDArray[np.int32],
    index: MarkerIndex,
    min_size: int,
    latent: NDArray[np.float32],
) -> list[Rows]:
    """The bins, those with a gap cut in two, and their parts in turn.

    Parameters
    ----------
    bins : list of int64 [size]
        Disjoint.
    labels : int32 [partitions, n]
        Their clusters are the parts that are tried.
    index : MarkerIndex
    min_size : int
        Smaller parts are not cut off (bp).
    latent : float32 [n, d]
        Unit vectors.
    """
    sizes = [np.bincount(p[p >= 0]) if (p >= 0).any() else np.zeros(1, int) for p in labels]
    done, waiting = [], list(reversed(bins))
    while waiting:
        rows = waiting.pop()
        parts = _parts(rows, labels, sizes, index.lengths, min_size)
        part = _widest_gap(rows, parts, index, latent)
        if part is None:
            done.append(rows)
        else:
            waiting += [rows[~part], rows[part]]
    return done


def _parts(
    rows: Rows,
    labels: NDArray[np.int32],
    sizes: list[NDArray[np.int64]],
    lengths: NDArray[np.int64],
    min_size: int,
) -> Iterator[NDArray[np.bool_]]:
    """Which contigs of a bin a cluster holds, for each cluster that may be a genome of its own."""
    bp = lengths[rows]
    least = max(min_size, _LEAST_PART * bp.sum())
    seen = set()
    for partition, size in zip(labels, sizes, strict=True):
        own = partition[rows]
        known = own >= 0
        if not known.any():
            continue
        held = np.bincount(own[known])
        inside = np.bincount(own[known], bp[known])
        large = (inside >= least) & (bp.sum() - inside >= least)
        for label in np.flatnonzero(large & (held >= _INSIDE * size[: len(held)])):
            part = own == label
            # A part and the rest are the same cut.
            key = (part if part[0] else ~part).tobytes()
            if key not in seen:
                seen.add(key)
                yield part


def _widest_gap(
    rows: Rows,
    parts: Iterator[NDArray[np.bool_]],
    index: MarkerIndex,
    latent: NDArray[np.float32],
) -> NDArray[np.bool_] | None:
    """The part with the fewest neighbours across that may be another genome, if there is one."""
    every = list(parts)
    count = min(_NEIGHBOURS, int(_NEIGHBOUR_SHARE * len(rows)))
    if not every or not count:
        return None
    near = NearestNeighbors(n_neighbors=count).fit(latent[rows])
    graph = csr_array(near.kneighbors_graph(mode="connectivity"))
    graph = graph + graph.T
    degree = np.asarray(graph.sum(axis=1)).ravel()
    cuts = [_Cut(_across(graph, degree, part), part) for part in every]
    for cut in sorted(cuts, key=lambda cut: cut.across):
        if cut.across >= _ACROSS:
            break
        if _may_be_two(rows, cut.part, index):
            return cut.part
    return None


def _across(graph: csr_array, degree: NDArray[np.float64], part: NDArray[np.bool_]) -> float:
    """Edges between a part and the rest, over those of a random graph of the same degrees."""
    one, other = part.astype(np.float64), (~part).astype(np.float64)
    by_chance = (degree @ one) * (degree @ other) / degree.sum()
    return float(one @ (graph @ other) / by_chance)


def _may_be_two(rows: Rows, part: NDArray[np.bool_], index: MarkerIndex) -> bool:
    """Whether the markers of a part and of the rest allow that they are two genomes.

    Two genomes, found to shares c and d, have c d of their markers in both; parts of one genome
    have none. And a genome has its share of markers, where a region of one may have none.
    """
    quality = estimate(index, [rows, rows[part], rows[~part]])
    whole, *shares = quality.completeness
    if whole > _COMPLETE and quality.contamination[0] < _CONTAMINATED:
        return False
    n_sets = index.n_sets[quality.domain[0]]
    more_copies = max(0.0, quality.contamination[0] - quality.contamination[1:].sum())
    twice = max(0.0, sum(shares) - whole + more_copies) / 100
    if _improbable(twice * n_sets, shares[0] * shares[1] / 1e4 * n_sets):
        return False
    sizes = [index.lengths[rows[part]].sum(), index.lengths[rows[~part]].sum()]
    small = int(np.argmin(sizes))
    expected = shares[1 - small] * sizes[small] / sizes[1 - small] / 100
    return not _improbable(shares[small] / 100 * n_sets, expected * n_sets)


def _improbable(found: float, expected: float) -> bool:
    """Whether so few marker sets are improbable where so many are expected."""
    return bool(poisson.cdf(round(found), expected) < _IMPROBABLE)
