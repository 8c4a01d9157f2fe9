"""A grid of Leiden partitions over one neighbour graph (Traag, Waltman and van Eck 2019).

Quality is the Reichardt-Bornholdt function with an Erdős-Rényi null model (RBER), contig lengths
n as node sizes: the sum over pairs within a community of

    w_ij - resolution * density * n_i * n_j,      density = total weight / pairs of bases.

That is the constant Potts model at resolution * density, which igraph optimises about ten times
faster than leidenalg does RBER.

Genomes of many short contigs are found at any size, but long contigs repel each other: a genome of
few of them falls apart, the more so in a small assembly. *Scaled* weights w_ij sqrt(n_i n_j) make
up for that: what holds a genome together is then its size, not the number of its contigs.

Marker seeds repel each other: each pair of them is joined by an
edge whose negative weight outweighs everything the two could gain from a common community.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbin_core import progress
from llmbin_core.clustering.graph import Graph

# Two seeds share up to 2 x 100 neighbours of weight at most 1, and communities of whole genomes
# attract a seed with the weights of all its edges: this is far above both. Scaled weights are
# larger, at most by the length of the longest contig in kb.
_REPULSION = 1e4
# Further iterations move few contigs (measured: quality within 0.01 % of convergence).
_ITERATIONS = 3

# What workers read: set before they are forked, so that the graphs are shared, not copied.
_shared: dict[str, Any] = {}


@dataclass(frozen=True, order=True)
class LeidenSetting:
    """One cell of the grid.

    Attributes
    ----------
    percentile : float
        Share of the edges kept, the shortest first (%).
    bandwidth : float
        Edge weight is exp(-squared distance / bandwidth).
    resolution : float
        Of RBER: larger values give smaller communities.
    seeded : bool
        Whether marker seeds are held apart.
    random_seed : int
    scaled : bool
        Whether edge weights are scaled by the lengths.
    """

    percentile: float
    bandwidth: float
    resolution: float
    seeded: bool
    random_seed: int = 0
    scaled: bool = False


def leiden_grid(
    percentiles: Sequence[float],
    bandwidths: Sequence[float],
    resolutions: Sequence[float],
    seeded: Sequence[bool],
    random_seed: int = 0,
    scaled: bool = False,
) -> list[LeidenSetting]:
    """All combinations, grouped by percentile so that workers build each graph once."""
    cells = itertools.product(percentiles, bandwidths, resolutions, seeded)
    return [LeidenSetting(p, b, r, s, random_seed, scaled) for p, b, r, s in cells]


def leiden_partitions(
    graph: Graph,
    lengths: NDArray[np.int64],
    seeds: NDArray[np.int64],
    settings: Sequence[LeidenSetting],
    threads: int = 1,
) -> NDArray[np.int32]:
    """Partition the graph once per setting.

    Parameters
    ----------
    graph : Graph
        Of n contigs.
    lengths : int64 [n]
        Contig lengths (bp), the node sizes.
    seeds : int64 [s]
        Contigs of different genomes.
    settings : sequence of LeidenSetting
    threads : int
        Processes.

    Returns
    -------
    int32 [len(settings), n]
        Labels 0, 1, ... in order of first appearance.
    """
    _shared.update(graph=graph, lengths=lengths, seeds=seeds, built={})
    try:
        labels = []
        with progress.task("Leiden", len(settings), "partitions") as task:
            for row in _map(settings, threads):
                labels.append(row)
                task.advance()
        return np.stack(labels) if labels else np.empty((0, graph.n), np.int32)
    finally:
        _shared.clear()


def _map(settings: Sequence[LeidenSetting], threads: int) -> Any:
    context = _fork_context()
    if threads == 1 or len(settings) < 2 or context is None:
        yield from map(_partition, settings)
        return
    # Built here, before the fork, every graph exists once in memory.
    for percentile, seeded in {(s.percentile, s.seeded) for s in settings}:
        _igraph(percentile, seeded)
    with context.Pool(min(threads, len(settings))) as pool:
        yield from pool.imap(_partition, settings, chunksize=1)


def _fork_context() -> BaseContext | None:
    if "fork" not in multiprocessing.get_all_start_methods():
        return None
    return multiprocessing.get_context("fork")


def _igraph(percentile: float, seeded: bool) -> tuple[Any, Graph]:
    """The graph of a percentile for igraph, with the edges between seeds last, and without them."""
    import igraph

    built = _shared["built"]
    if (percentile, seeded) not in built:
        part: Graph = _shared["graph"].closest(percentile)
        seeds = _shared["seeds"] if seeded else np.empty(0, np.int64)
        pairs = np.array(list(itertools.combinations(seeds.tolist(), 2)), np.int32).reshape(-1, 2)
        edges = np.concatenate((part.edges, pairs))
        built[percentile, seeded] = igraph.Graph(n=part.n, edges=edges), part
    graph: tuple[Any, Graph] = built[percentile, seeded]
    return graph


def _partition(setting: LeidenSetting) -> NDArray[np.int32]:
    import igraph

    graph, part = _igraph(setting.percentile, setting.seeded)
    weights = np.exp(-part.distances.astype(np.float64) / setting.bandwidth)
    # Sizes in kb keep the products of two lengths near the weights in magnitude.
    sizes = _shared["lengths"] / 1000.0
    if setting.scaled:
        weights *= np.sqrt(sizes[part.edges[:, 0]] * sizes[part.edges[:, 1]])
    pairs_of_bases = max(sizes.sum() * (sizes.sum() - 0.001) / 2, 1e-6)
    largest = sizes.max(initial=1) if setting.scaled else 1.0
    repulsion = np.full(graph.ecount() - len(weights), -_REPULSION * largest)
    igraph.set_random_number_generator(random.Random(setting.random_seed))
    found = graph.community_leiden(
        objective_function="CPM",
        weights=np.concatenate((weights, repulsion)),
        node_weights=sizes.tolist(),
        resolution=setting.resolution * weights.sum() / pairs_of_bases,
        n_iterations=_ITERATIONS,
    )
    return canonical_labels(np.asarray(found.membership))


def canonical_labels(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Relabel 0, 1, ... in order of first appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return rank[inverse]
