"""Density clustering: against DBSCAN on all distances, and what depths add."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score

from llmbin_core.clustering.density import CORE_BP, RADII, density_partitions
from llmbin_core.clustering.graph import Graph, neighbour_graph
from llmbin_core.clustering.grid import partitions
from llmbin_core.contigs import ContigTable


def groups(spread: float = 0.08) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(4), (30, 20, 25, 5))
    centres = np.linalg.qr(rng.normal(size=(12, 12)))[0][:4]
    points = centres[truth] + rng.normal(0, spread, (len(truth), 12))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), truth


def test_partitions_are_those_of_dbscan_on_all_distances() -> None:
    points, _ = groups()
    lengths = np.random.default_rng(2).integers(10_000, 200_000, len(points))
    graph = neighbour_graph(points, len(points) - 1)
    labels, settings = density_partitions(graph, lengths)
    assert [s["radius"] for s in settings] == list(RADII)
    distances = cdist(points, points)
    for found, setting in zip(labels, settings, strict=True):
        model = DBSCAN(eps=setting["radius"], min_samples=CORE_BP, metric="precomputed")
        wanted = model.fit(distances, sample_weight=lengths).labels_
        assert ((found < 0) == (wanted < 0)).all()
        assert adjusted_rand_score(wanted, found) == 1


def test_some_radius_finds_the_genomes() -> None:
    points, truth = groups()
    labels, _ = density_partitions(neighbour_graph(points, 10), np.full(len(points), 150_000))
    assert max(adjusted_rand_score(truth, found) for found in labels) == 1


def test_depths_tell_genomes_of_one_latent_apart() -> None:
    rng = np.random.default_rng(3)
    points, _ = groups(0.02)
    points = np.repeat(points[:1], 40, axis=0) + rng.normal(0, 0.01, (40, 12)).astype(np.float32)
    truth = np.repeat([0, 1], 20)
    depths = np.where(truth == 0, 5.0, 20.0)[:, None] * rng.normal(1, 0.05, (40, 2))
    graph = neighbour_graph(points, 30)
    labels, settings = density_partitions(graph, np.full(40, 150_000), depths.astype(np.float32))
    score: dict[str, float] = {}
    for found, setting in zip(labels, settings, strict=True):
        space = setting["space"]
        score[space] = max(score.get(space, 0), adjusted_rand_score(truth, found))
    assert score["latent"] < 0.1
    assert score["latent and depth"] == 1


def test_short_contigs_do_not_bridge_genomes() -> None:
    """A chain of contigs with links of .15; in the middle a short one with no others near."""
    places = np.array([0.0, 0.0, 0.15, 0.30, 0.30])
    i, j = np.triu_indices(5, 1)
    edges = np.stack((i, j), axis=1).astype(np.int32)
    graph = Graph(5, edges, ((places[i] - places[j]) ** 2).astype(np.float32))
    at = RADII.index(0.2)
    long = np.full(5, CORE_BP)
    short = np.array([CORE_BP, CORE_BP, 1000, CORE_BP, CORE_BP])
    assert len(set(density_partitions(graph, long)[0][at].tolist())) == 1
    # Within the radius of the short one lie long contigs, so it is a core as well ...
    assert len(set(density_partitions(graph, short)[0][at].tolist())) == 1
    # ... but a chain of short ones is none: its own neighbourhood is too small.
    chain = np.linspace(0, 1.5, 11)
    i, j = np.triu_indices(11, 1)
    edges = np.stack((i, j), axis=1).astype(np.int32)
    graph = Graph(11, edges, ((chain[i] - chain[j]) ** 2).astype(np.float32))
    sizes = np.array([CORE_BP, *[1000] * 9, CORE_BP])
    found = density_partitions(graph, sizes)[0][at]
    assert found[0] != found[-1]
    assert found[5] == -1


def test_a_cluster_with_two_seeds_is_none() -> None:
    points, truth = groups()
    lengths = np.full(len(points), 150_000)
    graph = neighbour_graph(points, 10)
    free, _ = density_partitions(graph, lengths)
    # Two seeds in the first genome, one in the second.
    seeds = np.array([0, 1, 30])
    held, _ = density_partitions(graph, lengths, None, seeds)
    for before, after in zip(free, held, strict=True):
        for cluster in set(before.tolist()) - {-1}:
            rows = before == cluster
            lost = rows[seeds].sum() > 1
            assert (after[rows] == (-1 if lost else cluster)).all()
    assert any((labels[truth == 1] >= 0).all() for labels in held)
    assert not any((labels[[0, 1]] >= 0).all() and labels[0] == labels[1] for labels in held)


@pytest.mark.parametrize("n", [0, 1])
def test_next_to_nothing(n: int) -> None:
    graph = neighbour_graph(np.eye(2, dtype=np.float32)[:n])
    labels, settings = density_partitions(graph, np.full(n, 5000))
    assert labels.shape == (len(settings), n)


def test_the_grid_has_them_for_long_reads_only() -> None:
    points, _ = groups()
    contigs = ContigTable(tuple(f"c{i}" for i in range(len(points))), np.full(len(points), 150_000))
    short, plain = partitions(points, contigs, [])
    for kind in ("long", "hybrid"):
        labels, settings = partitions(points, contigs, [], reads=kind)
        assert (labels[: len(short)] == short).all()
        assert {s["method"] for s in settings[len(short) :]} == {"density"}
    assert "density" not in {s["method"] for s in plain}
