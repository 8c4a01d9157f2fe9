"""The candidate partitions of one sample."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbin_core import defaults
from llmbin_core.clustering.density import density_partitions
from llmbin_core.clustering.graph import neighbour_graph
from llmbin_core.clustering.kmeans import seeded_kmeans
from llmbin_core.clustering.leiden import LeidenSetting, leiden_grid, leiden_partitions
from llmbin_core.clustering.seeds import marker_seeds
from llmbin_core.contigs import ContigTable
from llmbin_core.errors import UsageError
from llmbin_core.markertable import MarkerHit

log = logging.getLogger("llmbin")

GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    # The part that pays: on fragmented assemblies larger resolutions give only pieces of genomes.
    "default": {
        "percentiles": (50, 100),
        "bandwidths": (0.1, 0.15, 0.2, 0.3),
        "resolutions": (0.5, 1, 2, 5),
        "seeded": (True,),
    },
    # The 120 settings of the published method.
    "full": {
        "percentiles": (50, 80, 100),
        "bandwidths": (0.05, 0.1, 0.15, 0.2, 0.3),
        "resolutions": (1, 5, 10, 30, 50, 70, 90, 110),
        "seeded": (True,),
    },
}


def partitions(
    latent: NDArray[np.float32],
    contigs: ContigTable,
    hits: Sequence[MarkerHit],
    *,
    grid: str = "default",
    reads: str = defaults.READS,
    depths: NDArray[np.float32] | None = None,
    random_seed: int = 0,
    threads: int = 1,
) -> tuple[NDArray[np.int32], list[dict[str, Any]]]:
    """Partition contigs in many ways.

    Parameters
    ----------
    latent : float32 [n, d]
        Unit vectors.
    contigs : ContigTable
        n contigs.
    hits : sequence of MarkerHit
    grid : str
        Name in `GRIDS`.
    reads : str
        ``long`` and ``hybrid`` add partitions by density.
    depths : float32 [n, S], optional
        Mean depths, for these.
    random_seed, threads : int

    Returns
    -------
    labels : int32 [partitions, n]
    settings : list of dict
        How each partition was made.
    """
    if grid not in GRIDS:
        raise UsageError(f"grid '{grid}': use one of {', '.join(GRIDS)}")
    seeds = marker_seeds(hits, contigs)
    if len(seeds) < 2:
        log.warning("fewer than two marker seeds: clustering without them")
        seeds = seeds[:0]
    else:
        log.info("%d marker seeds", len(seeds))
    graph = neighbour_graph(latent, threads=threads)
    settings: list[LeidenSetting] = leiden_grid(**GRIDS[grid], random_seed=random_seed)
    labels = leiden_partitions(graph, contigs.lengths, seeds, settings, threads)
    records: list[dict[str, Any]] = [{"method": "leiden", **asdict(s)} for s in settings]
    if len(seeds):
        kmeans = seeded_kmeans(latent, contigs.lengths, seeds, random_seed)
        labels = np.concatenate((labels, kmeans[None]))
        records.append({"method": "kmeans", "random_seed": random_seed})
    if reads != "short":
        dense, how = density_partitions(graph, contigs.lengths, depths, seeds)
        labels = np.concatenate((labels, dense))
        records += how
    return labels, records
