"""The neighbour graph of latents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_NEIGHBOURS = 100
# Exact search costs n^2; above this many contigs an HNSW index is built instead (Malkov and
# Yashunin 2018). It is built by one thread: with several its links depend on their timing.
EXACT_BELOW = 20_000
_HNSW_LINKS, _HNSW_BUILD, _HNSW_SEARCH = 32, 200, 256
_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Graph:
    """An undirected graph without loops or multiple edges.

    Attributes
    ----------
    n : int
        Number of contigs.
    edges : int32 [m, 2]
        Sorted pairs i < j.
    distances : float32 [m]
        Squared Euclidean distance of the unit latents, 0..4.
    """

    n: int
    edges: NDArray[np.int32]
    distances: NDArray[np.float32]

    def closest(self, percentile: float) -> Graph:
        """The graph of the edges up to a percentile of the distances."""
        if percentile >= 100 or not len(self.edges):
            return self
        keep = self.distances <= np.percentile(self.distances, percentile)
        return Graph(self.n, self.edges[keep], self.distances[keep])


def neighbour_graph(latent: NDArray[np.float32], k: int = N_NEIGHBOURS, threads: int = 1) -> Graph:
    """Join each contig with its k nearest; an edge found from one side counts for both.

    Parameters
    ----------
    latent : float32 [n, d]
        Unit vectors.
    k : int
        Neighbours per contig (fewer when there are fewer contigs).
    threads : int
        For the search in an HNSW index.
    """
    n = len(latent)
    k = min(k, n - 1)
    if k < 1:
        return Graph(n, np.empty((0, 2), np.int32), np.empty(0, np.float32))
    search = _exact if n < EXACT_BELOW else _hnsw
    columns, distances = search(np.ascontiguousarray(latent, dtype=np.float32), k, threads)
    rows = np.repeat(np.arange(n, dtype=np.int64), k)
    columns = columns.reshape(-1).astype(np.int64)
    low, high = np.minimum(rows, columns), np.maximum(rows, columns)
    keys, first = np.unique(low * n + high, return_index=True)
    keep = keys // n != keys % n
    edges = np.stack((keys // n, keys % n), axis=1)[keep].astype(np.int32)
    return Graph(n, edges, distances.reshape(-1)[first][keep])


Neighbours = tuple[NDArray[np.int64], NDArray[np.float32]]


def _exact(latent: NDArray[np.float32], k: int, threads: int) -> Neighbours:
    n = len(latent)
    columns = np.empty((n, k), dtype=np.int64)
    distances = np.empty((n, k), dtype=np.float32)
    for begin in range(0, n, _BLOCK_ROWS):
        block = latent[begin : begin + _BLOCK_ROWS]
        squared = 2.0 - 2.0 * (block @ latent.T)
        here = np.arange(len(block))
        squared[here, begin + here] = np.inf
        nearest = np.argpartition(squared, k - 1, axis=1)[:, :k]
        columns[begin : begin + len(block)] = nearest
        distances[begin : begin + len(block)] = np.take_along_axis(squared, nearest, axis=1)
    return columns, np.maximum(distances, 0.0)


def _hnsw(latent: NDArray[np.float32], k: int, threads: int) -> Neighbours:
    from usearch.index import Index

    index = Index(
        ndim=latent.shape[1],
        metric="l2sq",
        dtype="f32",
        connectivity=_HNSW_LINKS,
        expansion_add=_HNSW_BUILD,
        expansion_search=max(_HNSW_SEARCH, 2 * k),
    )
    rows = np.arange(len(latent))
    index.add(rows, latent, threads=1)
    found = index.search(latent, k + 1, threads=threads)
    # The contig itself is dropped where it was found (exact duplicates can push it out).
    columns = np.asarray(found.keys).astype(np.int64)
    distances = np.asarray(found.distances)
    own = columns == rows[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(latent), k)
    return columns[~own].reshape(shape), distances[~own].reshape(shape).astype(np.float32)
