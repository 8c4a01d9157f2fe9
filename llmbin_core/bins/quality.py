"""Completeness and contamination of bins by single-copy marker genes.

After CheckM (Parks et al. 2015): over collocated marker sets, completeness is the mean share of
each set that is present and contamination the mean number of extra copies per marker. What is
counted as a copy is made for fragmented assemblies:

* hits on disjoint spans of a profile are pieces of one copy;
* copies that share most amino-acid 5-mers of the part they have in common are the same gene
  assembled twice (redundancy), not contamination. That holds for the two sides of a gene cut by a
  contig end as well: assemblers leave an overlap of one k-mer there.
"""

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
# A copy shows at least this part of the profile (less the slack); shorter pieces are often
# paralogues that share one motif with the family.
_SECOND_COPY = 0.35
# Copies that share more than this part of the 5-mers of their common span are redundant.
_KMER, _SHARED_KMERS = 5, 0.5
# A genome is reduced when the markers that reduced genomes lack are found less than this often,
# relative to those they keep.
_LOST_MARKERS = 0.5


@dataclass(frozen=True)
class Quality:
    """Estimates for k bins, all arrays [k].

    Attributes
    ----------
    completeness, contamination, redundancy : float64
        Percent. Redundancy counts copies nearly identical to another one of the bin.
    domain : int64
        Index into `MarkerIndex.domains` of the marker sets that were used.
    markers : int64
        Number of different markers found.
    """

    completeness: NDArray[np.float64]
    contamination: NDArray[np.float64]
    redundancy: NDArray[np.float64]
    domain: NDArray[np.int64]
    markers: NDArray[np.int64]


@dataclass(frozen=True)
class MarkerIndex:
    """Marker hits of a contig set, laid out for counting.

    Attributes
    ----------
    domains : tuple of str
    set_weights, marker_weights : float64 [domains, m]
        Weight of each marker in the completeness of a domain, over its sets and over its markers
        alone; each row sums to 1.
    marker, group : int32 [h]
        Marker of each hit, and its group of nearly identical copies. Hits are sorted by contig.
    begin, end : float64 [h]
        Span on the profile as a share of its length, shrunk by the tolerated overlap.
    offsets : int64 [n + 1]
        Hits of contig i are ``offsets[i]:offsets[i + 1]``.
    """

    domains: tuple[str, ...]
    set_weights: NDArray[np.float64]
    marker_weights: NDArray[np.float64]
    marker: NDArray[np.int32]
    group: NDArray[np.int32]
    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    offsets: NDArray[np.int64]


def index_markers(hits: Sequence[MarkerHit], contigs: ContigTable, sets: MarkerSets) -> MarkerIndex:
    """Lay out the hits of a contig set; hits of contigs and markers outside of it are left out.

    Parameters
    ----------
    hits : sequence of MarkerHit
    contigs : ContigTable
        n contigs.
    sets : mapping
        Domain -> collocated sets of marker names.
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
        marker,
        _redundant_groups(known, marker),
        begin + slack,
        end - slack,
        np.searchsorted(rows, np.arange(len(contigs) + 1)),
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


def _redundant_groups(hits: Sequence[MarkerHit], marker: NDArray[np.int32]) -> NDArray[np.int32]:
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
    links = csr_array((near[near], (i[near], j[near])), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int32)


def _kmers(protein: str) -> list[str]:
    return sorted({protein[i : i + _KMER] for i in range(len(protein) - _KMER + 1)})


def estimate(index: MarkerIndex, bins: Sequence[NDArray[np.integer]]) -> Quality:
    """Quality of bins.

    Parameters
    ----------
    index : MarkerIndex
    bins : sequence of int [size]
        Rows of the contigs of each bin; bins may share contigs.
    """
    k, m = len(bins), index.set_weights.shape[1]
    sizes = np.array([len(b) for b in bins], dtype=np.int64)
    rows = np.concatenate(bins) if k else np.empty(0, np.int64)
    hits, of_bin = _hits_of(index, rows, np.repeat(np.arange(k), sizes))
    key = of_bin * m + index.marker[hits]
    keys, copies, redundant = _count_copies(index, hits, key)
    bin_of, marker_of = keys // m, keys % m

    def total(weights: NDArray[np.float64], values: NDArray[np.int64]) -> NDArray[np.float64]:
        per_domain = [np.bincount(bin_of, w[marker_of] * values, minlength=k) for w in weights]
        return np.stack(per_domain)

    domain = _domain(index, total(index.marker_weights, copies))
    pick = (domain, np.arange(k))
    present = np.ones_like(copies)
    return Quality(
        100 * total(index.set_weights, present)[pick],
        100 * total(index.set_weights, copies - 1)[pick],
        100 * total(index.set_weights, redundant)[pick],
        domain,
        np.bincount(bin_of, minlength=k),
    )


def _domain(index: MarkerIndex, explained: NDArray[np.float64]) -> NDArray[np.int64]:
    """Per bin the domain whose markers were found most often: [domains, k] -> [k].

    Reduced genomes keep a part of the bacterial markers. They are told from bacterial genomes of
    which a part was assembled by what the others do: these are missing from a reduced genome, and
    from a partial one as often as any.
    """
    names = list(index.domains)
    if not {"reduced", "bacteria"} <= set(names):
        return np.asarray(explained.argmax(axis=0))
    reduced, bacteria = names.index("reduced"), names.index("bacteria")
    kept = index.marker_weights[reduced] > 0
    share = index.marker_weights[bacteria][kept].sum()
    lost = (explained[bacteria] - share * explained[reduced]) / max(1 - share, 1e-9)
    ranked = explained.copy()
    ranked[reduced] = -1
    best = ranked.argmax(axis=0)
    is_reduced = (best == bacteria) & (lost < _LOST_MARKERS * explained[reduced])
    return np.where(is_reduced, reduced, best)


def _hits_of(
    index: MarkerIndex, rows: NDArray[np.integer], of_bin: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hits of contig rows, and for each the bin that its row stands for."""
    first = index.offsets[rows]
    count = index.offsets[rows + 1] - first
    ends = np.cumsum(count)
    within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - count, count)
    return np.repeat(first, count) + within, np.repeat(of_bin, count)


def _count_copies(
    index: MarkerIndex, hits: NDArray[np.int64], key: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Copies and redundant hits per key (bin and marker).

    The copies are the largest number of groups whose spans cover one place of the profile:
    pieces that lie side by side never add up. A short piece shows that the marker is there, but
    is no second copy.
    """
    order = np.lexsort((index.begin[hits], index.group[hits], key))
    hits, key = hits[order], key[order]
    new_key = np.diff(key, prepend=-1) != 0
    new_group = new_key | (np.diff(index.group[hits], prepend=-1) != 0)
    starts = np.flatnonzero(new_group)
    if not len(starts):
        return key, key, key
    begin = np.minimum.reduceat(index.begin[hits], starts)
    end = np.maximum.reduceat(index.end[hits], starts)
    group_key = key[starts]
    place = np.concatenate((begin, end))
    counts = (end - begin >= _SECOND_COPY).astype(np.int64)
    step = np.concatenate((counts, -counts))
    owner = np.concatenate((group_key, group_key))
    # At one place, spans that end come before spans that begin.
    sweep = np.lexsort((step, place, owner))
    # Every key's steps add up to zero, so one running sum serves them all.
    depth = np.cumsum(step[sweep])
    first = np.flatnonzero(np.diff(owner[sweep], prepend=-1) != 0)
    copies = np.maximum(np.maximum.reduceat(depth, first), 1)
    return owner[sweep][first], copies, _redundant_hits(index, hits, key, starts)


def _redundant_hits(
    index: MarkerIndex, hits: NDArray[np.int64], key: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Per key, how many hits overlap an earlier hit of their own group."""
    reach = index.end[hits].copy()
    group = np.cumsum(np.isin(np.arange(len(hits)), starts))
    # Running maximum of the ends within a group: groups are lifted apart by more than any span.
    reach = np.maximum.accumulate(reach + 2.0 * group) - 2.0 * group
    again = np.zeros(len(hits), dtype=np.int64)
    again[1:] = (group[1:] == group[:-1]) & (index.begin[hits][1:] < reach[:-1])
    return np.add.reduceat(again, np.flatnonzero(np.diff(key, prepend=-1) != 0))
