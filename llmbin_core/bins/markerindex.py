"""Marker hits laid out for counting copies in bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from llmbin_core.contigs import ContigTable
from llmbin_core.markertable import MarkerHit, MarkerSets

# Two hits overlap when they share more than this part of the profile; alignments of the two
# pieces of a cut gene run a little into each other.
_SPAN_SLACK = 0.1
# Copies that share more than this part of the 5-mers of their common span are redundant.
_KMER, _SHARED_KMERS = 5, 0.5
# ... unless their contigs differ by more than this factor in depth (root mean square over samples
# of the log ratio): then they are genes of two strains. Depths below the floor (x) say nothing.
_SAME_DEPTH, _DEPTH_FLOOR = 2.0, 1.0


@dataclass(frozen=True)
class MarkerIndex:
    """Marker hits of a contig set, laid out for counting.

    Attributes
    ----------
    domains : tuple of str
    set_weights, marker_weights : float64 [domains, m]
        Weight of each marker in the completeness of a domain, over its sets and over its markers
        alone; each row sums to 1.
    n_sets : int64 [domains]
        Number of collocated sets.
    marker, group : int32 [h]
        Marker of each hit, and its group of nearly identical copies. Hits are sorted by contig.
    begin, end : float64 [h]
        Span on the profile as a share of its length, shrunk by the tolerated overlap.
    offsets : int64 [n + 1]
        Hits of contig i are ``offsets[i]:offsets[i + 1]``.
    lengths : int64 [n]
        Of the contigs (bp).
    """

    domains: tuple[str, ...]
    set_weights: NDArray[np.float64]
    marker_weights: NDArray[np.float64]
    n_sets: NDArray[np.int64]
    marker: NDArray[np.int32]
    group: NDArray[np.int32]
    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]


def index_markers(
    hits: Sequence[MarkerHit],
    contigs: ContigTable,
    sets: MarkerSets,
    depths: NDArray[np.float32] | None = None,
) -> MarkerIndex:
    """Lay out the hits of a contig set; hits of contigs and markers outside of it are left out.

    Parameters
    ----------
    hits : sequence of MarkerHit
    contigs : ContigTable
        n contigs.
    sets : mapping
        Domain -> collocated sets of marker names.
    depths : float32 [n, S], optional
        Mean depth of the contigs (x). Copies nearly identical in sequence are the same gene
        assembled twice only where their contigs have about the same depths.
    """
    row_of = {name: row for row, name in enumerate(contigs.names)}
    names = sorted({m for groups in sets.values() for group in groups for m in group})
    column_of = {name: column for column, name in enumerate(names)}
    known = [h for h in hits if h.contig in row_of and h.marker in column_of]
    known.sort(key=lambda h: (row_of[h.contig], column_of[h.marker], h.begin))
    rows = np.array([row_of[h.contig] for h in known], dtype=np.int64)
    marker = np.array([column_of[h.marker] for h in known], dtype=np.int32)
    length = np.array([h.profile_length for h in known], dtype=np.float64)
    begin = np.array([h.profile_from - 1 for h in known], dtype=np.float64) / length
    end = np.array([h.profile_to for h in known], dtype=np.float64) / length
    slack = np.minimum(_SPAN_SLACK / 2, (end - begin) / 4)
    set_weights, marker_weights = _weights(sets, column_of)
    return MarkerIndex(
        tuple(sets),
        set_weights,
        marker_weights,
        np.array([len(groups) for groups in sets.values()], dtype=np.int64),
        marker,
        _redundant_groups(known, marker, None if depths is None else depths[rows]),
        begin + slack,
        end - slack,
        np.searchsorted(rows, np.arange(len(contigs) + 1)),
        contigs.lengths,
    )


def _weights(
    sets: MarkerSets, column_of: Mapping[str, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    by_set = np.zeros((len(sets), len(column_of)))
    for row, groups in enumerate(sets.values()):
        for group in groups:
            by_set[row, [column_of[m] for m in group]] = 1 / (len(group) * len(groups))
    alone = (by_set > 0) / np.maximum((by_set > 0).sum(axis=1, keepdims=True), 1)
    return by_set, alone


def _redundant_groups(
    hits: Sequence[MarkerHit], marker: NDArray[np.int32], depths: NDArray[np.float32] | None
) -> NDArray[np.int32]:
    """Number the groups of nearly identical copies (single linkage within a marker)."""
    kmers = [_kmers(h.protein) for h in hits]
    number: dict[tuple[int, str], int] = {}
    # A k-mer of another marker is another column: only copies of one marker are compared.
    columns = [
        number.setdefault((m, kmer), len(number))
        for m, found in zip(marker.tolist(), kmers, strict=True)
        for kmer in found
    ]
    sizes = np.array([len(found) for found in kmers], dtype=np.int64)
    pointers = np.concatenate(([0], np.cumsum(sizes)))
    n = len(hits)
    ones = np.ones(len(columns), np.int32)
    table = csr_array((ones, columns, pointers), shape=(n, max(len(number), 1)))
    shared = (table @ table.T).tocoo()
    i, j = shared.row, shared.col
    begin = np.array([h.profile_from for h in hits], dtype=np.int64)
    end = np.array([h.profile_to for h in hits], dtype=np.int64)
    common = np.minimum(end[i], end[j]) - np.maximum(begin[i], begin[j]) + 1 - (_KMER - 1)
    comparable = np.clip(common, 1, np.minimum(sizes[i], sizes[j]))
    near = shared.data > _SHARED_KMERS * comparable
    if depths is not None:
        near &= _same_depth(depths, i, j)
    links = csr_array((near[near], (i[near], j[near])), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int32)


def _same_depth(
    depths: NDArray[np.float32], i: NDArray[np.int32], j: NDArray[np.int32]
) -> NDArray[np.bool_]:
    logs = np.log(np.maximum(depths, _DEPTH_FLOOR))
    distance = np.sqrt(np.mean((logs[i] - logs[j]) ** 2, axis=1))
    return np.asarray(distance <= np.log(_SAME_DEPTH))


def _kmers(protein: str) -> list[str]:
    return sorted({protein[i : i + _KMER] for i in range(len(protein) - _KMER + 1)})
