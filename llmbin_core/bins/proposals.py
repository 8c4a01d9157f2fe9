"""Candidates that no partition holds: parts of mixed bins, and unions of partial ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from llmbin_core.bins.candidates import Candidate, with_agreement
from llmbin_core.bins.markerindex import MarkerIndex
from llmbin_core.bins.quality import estimate

Rows = NDArray[np.int64]

# Bins above this contamination (%), which is too much for a medium bin, are taken apart.
_MIXED = 10.0
# A seed shows more than this part of its marker: the two pieces of a cut gene are not two seeds.
_LEAST_COVERED = 0.5
# Of two genomes, found to shares c and d, as many markers as c d are found twice; of two parts of
# one genome hardly any. To tell, at least so many must be expected (%), ...
_EXPECTED_TWICE = 4.0
# ... and at most this share of those be found.
_FOUND_TWICE = 0.25
# Parts of a genome differ less than by this factor in depth (root mean square over samples of the
# log ratio), and each is among this many nearest latents of the other.
_SAME_DEPTH, _NEAREST = 1.3, 3
_DEPTH_FLOOR = 0.1


class Vectors(NamedTuple):
    """Of n contigs: unit latents, float32 [n, d], and mean depths (x), float32 [n, S]."""

    latent: NDArray[np.float32]
    depths: NDArray[np.float32]


def proposals(
    bins: Sequence[Candidate],
    labels: NDArray[np.int32],
    index: MarkerIndex,
    min_size: int,
    vectors: Vectors,
) -> list[Candidate]:
    """Parts of the mixed ones of some bins, and unions of those that look like parts.

    Parameters
    ----------
    bins : sequence of Candidate
        Disjoint; their rows are sorted.
    labels : int32 [partitions, n]
        Judges of the parts. A union is known as well as the parts it is made of.
    index : MarkerIndex
    min_size : int
        Smaller candidates are left out (bp).
    vectors : Vectors
    """
    quality = estimate(index, [b.rows for b in bins])
    logs = np.log(vectors.depths + _DEPTH_FLOOR)
    parts = [
        part
        for b, contamination in zip(bins, quality.contamination, strict=True)
        if contamination > _MIXED and len(seeds := _seeds(b.rows, index)) > 1
        for space in (vectors.latent, logs)
        for part in _split(b.rows, seeds, space, index.lengths)
        if index.lengths[part].sum() >= min_size
    ]
    pairs = list(_pairs(bins, index.lengths, vectors.latent, logs))
    unions = [_union(bins[i], bins[j], index.lengths) for i, j in pairs]
    joined = estimate(index, [u.rows for u in unions])
    complementary = [
        union
        for union, (i, j), contamination in zip(unions, pairs, joined.contamination, strict=True)
        if (twice := quality.completeness[i] * quality.completeness[j] / 100) >= _EXPECTED_TWICE
        and contamination - quality.contamination[[i, j]].sum() <= _FOUND_TWICE * twice
    ]
    return with_agreement(parts, labels, index.lengths) + complementary


def _union(one: Candidate, other: Candidate, lengths: NDArray[np.int64]) -> Candidate:
    sizes = [lengths[c.rows].sum() for c in (one, other)]
    agreement = np.average([one.agreement, other.agreement], weights=sizes)
    return Candidate(np.sort(np.concatenate((one.rows, other.rows))), float(agreement))


def _seeds(rows: Rows, index: MarkerIndex) -> Rows:
    """Contigs of a bin with the marker whose number of contigs is the median of repeated ones."""
    spans = index.end - index.begin
    found: dict[int, set[int]] = {}
    for row in rows.tolist():
        for hit in range(index.offsets[row], index.offsets[row + 1]):
            if spans[hit] > _LEAST_COVERED:
                found.setdefault(int(index.marker[hit]), set()).add(row)
    repeated = sorted((len(contigs), marker) for marker, contigs in found.items())
    repeated = [pair for pair in repeated if pair[0] > 1]
    if not repeated:
        return rows[:0]
    return np.array(sorted(found[repeated[(len(repeated) - 1) // 2][1]]), dtype=np.int64)


def _split(
    rows: Rows, seeds: Rows, vectors: NDArray[np.float32], lengths: NDArray[np.int64]
) -> Iterator[Rows]:
    """Length-weighted k-means of the contigs of a bin around its seeds."""
    own = vectors[rows]
    model = KMeans(len(seeds), init=vectors[seeds], n_init=1, random_state=0)
    with warnings.catch_warnings():
        # Seeds with the same vector leave an empty cluster: nothing to act on.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = model.fit(own, sample_weight=lengths[rows]).labels_
    for label in range(len(seeds)):
        if (labels == label).any():
            yield rows[labels == label]


def _pairs(
    bins: Sequence[Candidate],
    lengths: NDArray[np.int64],
    latent: NDArray[np.float32],
    logs: NDArray[np.float32],
) -> Iterator[tuple[int, int]]:
    """Numbers of bins that are near in latent and alike in depth."""
    if len(bins) < 2:
        return
    centres, depths = (
        np.stack([np.average(values[b.rows], axis=0, weights=lengths[b.rows]) for b in bins])
        for values in (latent, logs)
    )
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
    similarity = centres @ centres.T
    np.fill_diagonal(similarity, -np.inf)
    rank = (-similarity).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    near = (rank < _NEAREST) & (rank.T < _NEAREST)
    for i, j in np.argwhere(np.triu(near, 1)).tolist():
        if np.sqrt(np.mean((depths[i] - depths[j]) ** 2)) <= np.log(_SAME_DEPTH):
            yield i, j
