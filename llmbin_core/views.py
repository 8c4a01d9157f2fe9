"""The views of a contig: the whole contig and random fragments of it.

Views are never stored. They are a pure function of the contig lengths, the random seed, the
number of the view and the kind of reads, drawn from the counter-based generator Philox (Salmon et
al., SC 2011), so that every stage on every machine derives the same fragments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmbin_core import defaults

N_VIEWS = defaults.N_VIEWS
MIN_FRAGMENT = 1000
# Assemblies of long reads: views are at least this part of their contig, but need not be longer
# than this (bp). The depth of a kilobase, which few long reads make up, and its composition tell
# little of a contig of 100 kb; beyond the limit nothing is gained.
_LONG_SHARE, _LONG_ENOUGH = 4, 25_000


def shortest_views(lengths: NDArray[np.int64], reads: str = defaults.READS) -> NDArray[np.int64]:
    """Least length of the random views of each contig (bp), for a kind of reads.

    Parameters
    ----------
    lengths : int64 [n]
    reads : str
        ``short``: 1000; ``long`` and ``hybrid``: a quarter of the contig, from 1000 to 25,000.

    Returns
    -------
    int64 [n]
    """
    if reads == "short":
        return np.full(len(lengths), MIN_FRAGMENT, dtype=np.int64)
    part = np.asarray(lengths, dtype=np.int64) // _LONG_SHARE
    return np.clip(part, MIN_FRAGMENT, _LONG_ENOUGH)


def views(
    lengths: NDArray[np.int64], seed: int, n_views: int = N_VIEWS, reads: str = defaults.READS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of the views of each contig.

    View 0 is the whole contig. Every other view starts uniformly in [0, L - m - 1] and is
    uniformly [m, L - start] bp long, where m is given by `shortest_views`; contigs of up to m bp
    have the whole contig as every view.

    Parameters
    ----------
    lengths : int64 [n]
        Contig lengths (bp).
    seed : int
        Random seed, 0 or larger.
    n_views : int
        V, at least 1.
    reads : str
        Kind of reads.

    Returns
    -------
    starts, ends : int64 [n, V]
        0-based, end exclusive.
    """
    n = len(lengths)
    shortest = shortest_views(lengths, reads)
    starts = np.zeros((n, n_views), dtype=np.int64)
    ends = np.repeat(np.asarray(lengths, dtype=np.int64)[:, None], n_views, axis=1)
    for view in range(1, n_views):
        draws = _uniform(seed, view, n)
        start = (draws[:, 0] * np.maximum(lengths - shortest, 1)).astype(np.int64)
        room = np.maximum(lengths - start - shortest, 0) + 1
        length = shortest + (draws[:, 1] * room).astype(np.int64)
        starts[:, view] = start
        ends[:, view] = np.minimum(start + length, lengths)
    return starts, ends


def _uniform(seed: int, view: int, n: int) -> NDArray[np.float64]:
    """[n, 2] draws in [0, 1): contig i always gets draws 2i and 2i + 1 of its stream."""
    key = np.array([seed, view], dtype=np.uint64)
    raw = np.random.Philox(key=key).random_raw(2 * n)
    return np.asarray((raw >> np.uint64(11)) * 2.0**-53, dtype=np.float64).reshape(n, 2)
