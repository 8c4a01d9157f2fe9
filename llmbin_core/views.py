"""The views of a contig: the whole contig and random fragments of it.

Views are never stored. They are a pure function of the contig lengths, the random seed and the
number of the view, drawn from the counter-based generator Philox (Salmon et al., SC 2011), so that
every stage on every machine derives the same fragments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmbin_core import defaults

N_VIEWS = defaults.N_VIEWS
MIN_FRAGMENT = 1000


def views(
    lengths: NDArray[np.int64], seed: int, n_views: int = N_VIEWS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of the views of each contig.

    View 0 is the whole contig. Every other view starts uniformly in [0, L - 1001] and is
    uniformly [1000, L - start] bp long; contigs of up to 1000 bp have the whole contig as every
    view.

    Parameters
    ----------
    lengths : int64 [n]
        Contig lengths (bp).
    seed : int
        Random seed, 0 or larger.
    n_views : int
        V, at least 1.

    Returns
    -------
    starts, ends : int64 [n, V]
        0-based, end exclusive.
    """
    n = len(lengths)
    starts = np.zeros((n, n_views), dtype=np.int64)
    ends = np.repeat(np.asarray(lengths, dtype=np.int64)[:, None], n_views, axis=1)
    for view in range(1, n_views):
        draws = _uniform(seed, view, n)
        start = (draws[:, 0] * np.maximum(lengths - MIN_FRAGMENT, 1)).astype(np.int64)
        room = np.maximum(lengths - start - MIN_FRAGMENT, 0) + 1
        length = MIN_FRAGMENT + (draws[:, 1] * room).astype(np.int64)
        starts[:, view] = start
        ends[:, view] = np.minimum(start + length, lengths)
    return starts, ends


def _uniform(seed: int, view: int, n: int) -> NDArray[np.float64]:
    """[n, 2] draws in [0, 1): contig i always gets draws 2i and 2i + 1 of its stream."""
    key = np.array([seed, view], dtype=np.uint64)
    raw = np.random.Philox(key=key).random_raw(2 * n)
    return np.asarray((raw >> np.uint64(11)) * 2.0**-53, dtype=np.float64).reshape(n, 2)
