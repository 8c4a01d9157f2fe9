"""k-mer spectra of views.

Counts are canonical: a k-mer and its reverse complement are one. Windows with an unknown base are
skipped. One array of k-mer codes serves all views of a contig.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from llmbin_core.contigs import ContigSet

K = 4
_UNKNOWN = 4


@lru_cache(maxsize=8)
def canonical_index(k: int) -> NDArray[np.int64]:
    """Map of each of the 4^k k-mer codes to its canonical k-mer's rank.

    Returns
    -------
    int64 [4^k]
        Ranks 0..m-1 in lexicographic order of the smaller of k-mer and reverse complement;
        m = (4^k + 4^(k/2)) / 2 for even k, 4^k / 2 for odd k: 136 for k = 4.
    """
    codes = np.arange(4**k, dtype=np.int64)
    reverse = np.zeros_like(codes)
    rest = codes.copy()
    for _ in range(k):
        reverse = reverse * 4 + (3 - rest % 4)
        rest //= 4
    return np.unique(np.minimum(codes, reverse), return_inverse=True)[1].astype(np.int64)


def kmer_codes(sequence: NDArray[np.uint8], k: int = K) -> NDArray[np.int64]:
    """Code (base 4, first base most significant) of the k-mer at each position, -1 with unknowns.

    Parameters
    ----------
    sequence : uint8 [L]
        A, C, G, T = 0..3, unknown = 4.

    Returns
    -------
    int64 [max(L - k + 1, 0)]
    """
    n = len(sequence) - k + 1
    if n <= 0:
        return np.empty(0, dtype=np.int64)
    codes = np.zeros(n, dtype=np.int64)
    for shift in range(k):
        codes = codes * 4 + sequence[shift : shift + n]
    unknown = np.flatnonzero(sequence == _UNKNOWN)
    for shift in range(k):
        hit = unknown - shift
        codes[hit[(hit >= 0) & (hit < n)]] = -1
    return codes


def spectrum(
    sequence: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], k: int = K
) -> NDArray[np.int64]:
    """Canonical k-mer counts of fragments of one sequence.

    Parameters
    ----------
    sequence : uint8 [L]
    starts, ends : int64 [V]
        Fragments, end exclusive (bp).

    Returns
    -------
    int64 [V, m]
    """
    index = canonical_index(k)
    m = int(index.max()) + 1
    codes = kmer_codes(sequence, k)
    # Unknown windows count in an extra column that is cut off.
    ranks = np.where(codes < 0, m, index[codes])
    counts = [
        np.bincount(ranks[s : max(e - k + 1, s)], minlength=m + 1)[:m]
        for s, e in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    return np.stack(counts)


def composition(
    contigs: ContigSet, starts: NDArray[np.int64], ends: NDArray[np.int64], k: int = K
) -> NDArray[np.float32]:
    """Composition of views: canonical k-mer frequencies with one pseudo-count, (c + 1) / sum.

    Parameters
    ----------
    contigs : ContigSet
        n contigs.
    starts, ends : int64 [n, V]

    Returns
    -------
    float32 [n, V, m]
        Each row sums to 1.
    """
    m = int(canonical_index(k).max()) + 1
    out = np.empty((len(contigs), starts.shape[1], m), dtype=np.float32)
    for row in range(len(contigs)):
        counts = spectrum(contigs.sequence(row), starts[row], ends[row], k) + 1.0
        out[row] = counts / counts.sum(axis=1, keepdims=True)
    return out
