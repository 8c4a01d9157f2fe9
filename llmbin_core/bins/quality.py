"""Completeness and contamination of bins by single-copy marker genes.

After CheckM (Parks et al. 2015): over collocated marker sets, completeness is the mean share of
each set that is present and contamination the mean number of extra copies per marker. What is
counted as a copy is made for fragmented assemblies:

* hits on disjoint spans of a profile are pieces of one copy;
* copies that share most amino-acid 5-mers of the part they have in common are the same gene
  assembled twice (redundancy), not contamination. That holds for the two sides of a gene cut by a
  contig end as well: assemblers leave an overlap of one k-mer there;
* where a large share of all markers is there twice in that way, two strains are, whatever their
  depths: those copies are contamination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmbin_core.bins.markerindex import MarkerIndex

# A copy shows at least this part of the profile (less the slack); shorter pieces are often
# paralogues that share one motif with the family.
_SECOND_COPY = 0.35
# Share of the markers found that may be redundant: of true genomes of the development sets at most
# a quarter was assembled twice. Fewer copies than five are no share.
_MOST_REDUNDANT, _LEAST_COPIES = 1 / 3, 5
# Bases beyond the end of a contig whose markers it still shows, as fitted on 12 genomes of the
# training set in pieces of N50 2.5 to 50 kb (tests/bench/quality.py): about a third of a gene.
_SHOWN_BEYOND = 350
# Share of the markers by which whole genomes differ from what is expected (same data).
_GENOMES_DIFFER = 0.02
# Share of the markers of their domain that reduced genomes keep, and by which they differ from it
# (11 of the training set).
_REDUCED_KEEP, _REDUCED_DIFFER = 0.83, 0.06
# Genomes smaller than this are reduced, as in markers/build.
_REDUCED_BP = 1e6


@dataclass(frozen=True)
class Quality:
    """Estimates for k bins, all arrays [k].

    Attributes
    ----------
    completeness, contamination, redundancy : float64
        Percent. Redundancy counts copies nearly identical to another one of the bin, unless there
        are so many that they are contamination.
    error : float64
        Standard error of the completeness, percent points.
    domain : int64
        Index into `MarkerIndex.domains` of the marker sets that were used.
    markers : int64
        Number of different markers found.
    """

    completeness: NDArray[np.float64]
    error: NDArray[np.float64]
    contamination: NDArray[np.float64]
    redundancy: NDArray[np.float64]
    domain: NDArray[np.int64]
    markers: NDArray[np.int64]


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
    of_row = np.repeat(np.arange(k), sizes)
    hits, of_bin = _hits_of(index, rows, of_row)
    key = of_bin * m + index.marker[hits]
    keys, copies, redundant = _count_copies(index, hits, key)
    bin_of, marker_of = keys // m, keys % m

    def total(weights: NDArray[np.float64], values: NDArray[np.int64]) -> NDArray[np.float64]:
        per_domain = [np.bincount(bin_of, w[marker_of] * values, minlength=k) for w in weights]
        return np.stack(per_domain)

    bp = np.bincount(of_row, index.lengths[rows], k).astype(np.float64)
    domain = _domain(index, total(index.marker_weights, copies))
    of_domain = (domain, np.arange(k))
    found = total(index.set_weights, np.ones_like(copies))[of_domain]
    extra = total(index.set_weights, copies - 1)[of_domain]
    again = total(index.set_weights, redundant)[of_domain]
    reduced = _is_reduced(index, found + extra, bp)
    many = np.bincount(bin_of, redundant, k) >= _LEAST_COPIES
    strains = many & (again > _MOST_REDUNDANT * found)
    extra, again = np.where(strains, extra + again, extra), np.where(strains, 0, again)
    # Markers that a genome lacks are neither found nor found again.
    expected = np.where(reduced, _REDUCED_KEEP, 1)
    complete = _share_of_genome(found / expected, sizes, bp)
    differ = np.where(reduced, _REDUCED_DIFFER, _GENOMES_DIFFER)
    error = _standard_error(complete, index.n_sets[domain], sizes, differ)
    if reduced.any():
        domain[reduced] = index.domains.index("reduced")
    n_found = np.bincount(bin_of, minlength=k)
    per_copy = 100 / expected
    return Quality(100 * complete, 100 * error, extra * per_copy, again * per_copy, domain, n_found)


def _share_of_genome(
    found: NDArray[np.float64], sizes: NDArray[np.int64], bp: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of the genome that is there, from the share of its markers that were found.

    A gene across a contig end is found from either contig, so short contigs show more markers than
    they hold bases: 1 + g / l pieces show a marker of a genome in contigs of mean length l, and a
    share c of all pieces shows 1 - (1 - c) ** (1 + g / l) of the markers.
    """
    pieces = 1 + _SHOWN_BEYOND * sizes / np.maximum(bp, 1)
    return np.asarray(1 - (1 - np.clip(found, 0, 1)) ** (1 / pieces))


def _standard_error(
    complete: NDArray[np.float64],
    n_sets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    differ: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Of the completeness: marker sets and contigs are samples of the genome, and genomes differ.

    A set is there or not by chance, and so is a contig with all of its sets; the genome has as
    many contigs as the bin over its completeness.
    """
    chance = complete * (1 - complete) * (1 / n_sets + complete / np.maximum(sizes, 1))
    return np.asarray(np.sqrt(chance + differ**2))


def _domain(index: MarkerIndex, explained: NDArray[np.float64]) -> NDArray[np.int64]:
    """Per bin the domain whose markers were found most often: [domains, k] -> [k].

    Reduced genomes have a domain as any other; it is told apart by `_is_reduced`.
    """
    ranked = explained.copy()
    ranked[[domain == "reduced" for domain in index.domains]] = -1
    return np.asarray(ranked.argmax(axis=0))


def _is_reduced(
    index: MarkerIndex, shown: NDArray[np.float64], bp: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether bins have few bases for the share of the markers of one or more genomes they show.

    A reduced genome lacks markers, and so does a genome of which a part was assembled; but the
    latter has as many bases per marker as the whole.
    """
    if "reduced" not in index.domains:
        return np.zeros(len(bp), dtype=bool)
    return np.asarray(bp * _REDUCED_KEEP < _REDUCED_BP * shown)


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
