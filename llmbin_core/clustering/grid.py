"""The candidate partitions of one sample.

A coarse grid of Leiden settings is run, then each of the best partitions is surrounded by finer
settings, half a step of the grid away; where the best lies at its border they lead beyond it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
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

GRIDS: dict[str, tuple[dict[str, Any], ...]] = {
    "default": (
        # On fragmented assemblies larger resolutions give only pieces of genomes.
        {
            "percentiles": (50, 100),
            "bandwidths": (0.1, 0.2, 0.4),
            "resolutions": (0.5, 1.5, 4.5),
            "seeded": (True,),
        },
        # For genomes of few long contigs. What they need is told by the worth of these.
        {
            "percentiles": (100,),
            "bandwidths": (0.2,),
            "resolutions": (0.05, 0.15, 0.45),
            "seeded": (True,),
            "scaled": True,
        },
    ),
    # The 120 settings of the published method. They are not refined; k-means and density are run
    # beside them as beside the others.
    "full": (
        {
            "percentiles": (50, 80, 100),
            "bandwidths": (0.05, 0.1, 0.15, 0.2, 0.3),
            "resolutions": (1, 5, 10, 30, 50, 70, 90, 110),
            "seeded": (True,),
        },
    ),
}
# Partitions that are refined, and half a step of the default grid in each direction.
_REFINED = 4
_BANDWIDTH_HALF_STEP, _RESOLUTION_HALF_STEP = 2**0.5, 3**0.5

# How good a partition is: the larger the better, 0 where nothing is known of it.
Worth = Callable[[NDArray[np.int32]], float]


def partitions(
    latent: NDArray[np.float32],
    contigs: ContigTable,
    hits: Sequence[MarkerHit],
    *,
    grid: str = "default",
    worth: Worth | None = None,
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
    worth : callable, optional
        Judges partitions, so that the default grid is refined around its best ones.
    reads, depths : str, float32 [n, S]
        ``long`` and ``hybrid`` add partitions by density, with mean depths where they are given.
    random_seed, threads : int

    Returns
    -------
    labels : int32 [partitions, n]
    settings : list of dict
        How each partition was made.
    """
    if grid not in GRIDS:
        raise UsageError(f"grid '{grid}': use one of {', '.join(GRIDS)}")
    seeds = _seeds(hits, contigs)
    graph = neighbour_graph(latent, threads=threads)
    run = partial(leiden_partitions, graph, contigs.lengths, seeds, threads=threads)
    settings = [s for part in GRIDS[grid] for s in leiden_grid(**part, random_seed=random_seed)]
    labels = run(settings=settings)
    if grid == "default" and worth is not None:
        finer = _around(settings, [worth(row) for row in labels])
        labels = np.concatenate((labels, run(settings=finer)))
        settings += finer
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


def _seeds(hits: Sequence[MarkerHit], contigs: ContigTable) -> NDArray[np.int64]:
    """The marker seeds; none where there is but one."""
    seeds = marker_seeds(hits, contigs)
    if len(seeds) < 2:
        log.warning("fewer than two marker seeds: clustering without them")
        return seeds[:0]
    log.info("%d marker seeds", len(seeds))
    return seeds


def _around(settings: Sequence[LeidenSetting], worths: Sequence[float]) -> list[LeidenSetting]:
    """Half a step from the best settings in each direction; none where no partition has worth."""
    ranked = sorted(range(len(settings)), key=lambda i: (-worths[i], i))
    best = [settings[i] for i in ranked[:_REFINED] if worths[i] > 0]
    finer = {
        replace(one, bandwidth=_rounded(one.bandwidth * _BANDWIDTH_HALF_STEP**way))
        for one in best
        for way in (-1, 1)
    } | {
        replace(one, resolution=_rounded(one.resolution * _RESOLUTION_HALF_STEP**way))
        for one in best
        for way in (-1, 1)
    }
    return sorted(finer)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
