"""The latents of contigs as points in the plane.

The layout is that of UMAP (McInnes et al. 2018): a graph of near neighbours with fuzzy weights,
laid out by forces. The weights come from igraph, which LLMBin depends on anyway. The forces are
here: igraph's own layout takes minutes for the contigs of a common assembly, umap-learn brings a
compiler (numba) that weighs more than all of LLMBin, and t-SNE tears large bins into pieces. All
contigs move at once, each pushed by a few others drawn anew in every round, so that the whole is
a few array operations per round and the same points come out every time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmbin_core import progress

_NEIGHBOURS = 15
_DIMENSIONS = 30
_ROUNDS = 200
# Pushes per contig and round, each standing for the five that UMAP draws per pull.
_PUSHES, _PUSHES_OF_UMAP = 3, 5
# Curve of UMAP for a smallest distance of 0.1: 1 / (1 + A r^(2B)).
_A, _B = 1.577, 0.895
_FARTHEST_STEP = 4.0
_START_SPREAD = 8.0


def latent_map(latent: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """Lay out contigs so that near latents are near points.

    Parameters
    ----------
    latent : float32 [n, d]
    seed : int
        Random seed of the pushes.

    Returns
    -------
    float64 [n, 2]
        Centred; the unit has no meaning.
    """
    n = len(latent)
    axes = _principal_axes(latent)
    if n <= _NEIGHBOURS:
        return axes[:, :2]
    head, tail, weight = _fuzzy_graph(axes)
    points = axes[:, :2] / np.maximum(axes[:, :2].std(axis=0), 1e-9) * _START_SPREAD
    total = np.maximum(np.bincount(head, weight, n) + np.bincount(tail, weight, n), 1.0)
    rng = np.random.default_rng(seed)
    with progress.task("latent map", _ROUNDS, "rounds") as task:
        for done in range(_ROUNDS):
            moves = _pull(points, head, tail, weight)
            for _ in range(_PUSHES):
                moves += _push(points, rng.permutation(n), total)
            moves = np.clip(moves / total[:, None], -_FARTHEST_STEP, _FARTHEST_STEP)
            points = points + (1 - done / _ROUNDS) * moves
            task.advance()
    return np.asarray(points - points.mean(axis=0), dtype=np.float64)


def _principal_axes(latent: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first principal components, signs fixed, at least two columns."""
    n, d = latent.shape
    wanted = min(_DIMENSIONS, d)
    if n < 2:
        return np.zeros((n, 2))
    centred = latent.astype(np.float64) - latent.mean(axis=0, dtype=np.float64)
    vectors = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :wanted]
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(wanted)])
    return np.pad(centred @ vectors, ((0, 0), (0, max(0, 2 - wanted))))


def _fuzzy_graph(
    axes: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Heads, tails and weights 0..1 of the edges between near neighbours."""
    import igraph
    from sklearn.neighbors import NearestNeighbors

    n = len(axes)
    search = NearestNeighbors(n_neighbors=_NEIGHBOURS, algorithm="brute")
    # Without a query the contig itself is not among its neighbours.
    distances, columns = search.fit(axes.astype(np.float32)).kneighbors()
    head = np.repeat(np.arange(n), _NEIGHBOURS)
    tail = columns.ravel().astype(np.int64)
    graph = igraph.Graph(n=n, edges=np.stack((head, tail), axis=1).tolist(), directed=True)
    weight = np.array(igraph.umap_compute_weights(graph, distances.ravel().tolist()))
    joined = weight > 0  # of two opposite edges one carries both weights
    return head[joined], tail[joined], weight[joined]


def _pull(
    points: NDArray[np.float64],
    head: NDArray[np.int64],
    tail: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    apart = points[head] - points[tail]
    squared = np.maximum((apart**2).sum(axis=1), 1e-12)
    force = -2 * _A * _B * squared ** (_B - 1) / (1 + _A * squared**_B)
    moves = np.clip(force[:, None] * apart, -_FARTHEST_STEP, _FARTHEST_STEP) * weight[:, None]
    n = len(points)
    sums = [np.bincount(head, m, n) - np.bincount(tail, m, n) for m in moves.T]
    return np.stack(sums, axis=1)


def _push(
    points: NDArray[np.float64], others: NDArray[np.integer], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    apart = points - points[others]
    squared = (apart**2).sum(axis=1)
    force = 2 * _B / ((0.001 + squared) * (1 + _A * squared**_B))
    moves = np.clip(force[:, None] * apart, -_FARTHEST_STEP, _FARTHEST_STEP)
    share = total / 2 * _PUSHES_OF_UMAP / _PUSHES
    return np.asarray(moves * share[:, None], dtype=np.float64)
