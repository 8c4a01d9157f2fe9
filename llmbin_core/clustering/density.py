"""Density clustering of long contigs (DBSCAN; Ester et al. 1996) on the neighbour graph.

An assembly of long reads has few contigs per genome, so communities are small and a resolution
that suits one genome cuts or joins others. Density clustering asks for no number or size of
clusters: contigs chain together as long as the gaps between them are below a radius. No radius is
right for all genomes either, so there is a candidate partition for each of a range of them.

A contig is a core of a cluster when the contigs within the radius, itself among them, add up to
`CORE_BP`: a long contig is one on its own, and short contigs, whose latents are less certain, do
not bridge genomes one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix

from llmbin_core.clustering.graph import Graph

# Euclidean distances of unit latents; beyond the last nearly everything is one cluster.
RADII = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CORE_BP = 100_000
# Depths below this (x) are equal for all purposes.
_DEPTH_FLOOR = 0.1


def density_partitions(
    graph: Graph,
    lengths: NDArray[np.int64],
    depths: NDArray[np.float32] | None = None,
    seeds: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int32], list[dict[str, Any]]]:
    """Partition by density, over a range of radii, on latents and on latents with depths.

    Only the edges of the graph are looked at, so memory grows with them and not with n^2.

    Parameters
    ----------
    graph : Graph
        Of n contigs.
    lengths : int64 [n]
        bp.
    depths : float32 [n, S], optional
        Mean depths. The squared distance of two contigs grows by the mean squared difference of
        their log depths.
    seeds : int64 [s], optional
        Contigs of different genomes: a cluster with two of them is none.

    Returns
    -------
    labels : int32 [partitions, n]
        -1 for contigs of no cluster.
    settings : list of dict
        How each partition was made.
    """
    spaces = {"latent": graph.distances}
    if depths is not None:
        spaces["latent and depth"] = graph.distances + _depth_distances(graph, depths)
    settings = [
        {"method": "density", "space": space, "radius": radius}
        for space in spaces
        for radius in RADII
    ]
    found = [
        _cluster(graph, spaces[str(s["space"])], lengths, float(str(s["radius"]))) for s in settings
    ]
    if seeds is not None:
        found = [_without_joined(labels, seeds) for labels in found]
    return np.stack(found), settings


def _without_joined(labels: NDArray[np.int32], seeds: NDArray[np.int64]) -> NDArray[np.int32]:
    own = labels[seeds]
    count = np.bincount(own[own >= 0], minlength=labels.max(initial=-1) + 1)
    joined = np.flatnonzero(count > 1)
    return np.where(np.isin(labels, joined), np.int32(-1), labels)


def _depth_distances(graph: Graph, depths: NDArray[np.float32]) -> NDArray[np.float32]:
    logs = np.log(np.maximum(depths, _DEPTH_FLOOR))
    total = np.zeros(len(graph.edges), dtype=np.float32)
    for sample in logs.T:
        total += (sample[graph.edges[:, 0]] - sample[graph.edges[:, 1]]) ** 2
    return total / np.float32(depths.shape[1])


def _cluster(
    graph: Graph, squared: NDArray[np.float32], lengths: NDArray[np.int64], radius: float
) -> NDArray[np.int32]:
    from sklearn.cluster import DBSCAN

    if not graph.n:
        return np.empty(0, np.int32)
    near = squared <= radius**2
    i, j = graph.edges[near].T
    distances = np.sqrt(squared[near])
    # Both directions, and the diagonal: a contig is its own neighbour.
    own = np.arange(graph.n)
    rows, columns = np.concatenate((i, j, own)), np.concatenate((j, i, own))
    values = np.concatenate((distances, distances, np.zeros(graph.n, np.float32)))
    table = csr_matrix(csr_array((values, (rows, columns)), shape=(graph.n, graph.n)))
    model = DBSCAN(eps=radius, min_samples=CORE_BP, metric="precomputed")
    return np.asarray(model.fit(table, sample_weight=lengths).labels_, dtype=np.int32)
