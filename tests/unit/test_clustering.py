"""Neighbour graph, Leiden grid, marker seeds and k-means."""

from __future__ import annotations

from typing import Any

import igraph
import leidenalg
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from llmbin_core.clustering import graph as graph_module
from llmbin_core.clustering.graph import neighbour_graph
from llmbin_core.clustering.grid import partitions
from llmbin_core.clustering.kmeans import seeded_kmeans
from llmbin_core.clustering.leiden import canonical_labels, leiden_grid, leiden_partitions
from llmbin_core.clustering.seeds import marker_seeds
from llmbin_core.contigs import ContigTable
from llmbin_core.errors import UsageError
from llmbin_core.markertable import MarkerHit

NONE = np.empty(0, np.int64)


def blobs(
    sizes: tuple[int, ...] = (60, 40, 50), spread: float = 0.15, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit vectors around a centre per genome, and the genome of each."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), 16))
    points = centres[truth] / np.linalg.norm(centres, axis=1)[truth][:, None]
    points += rng.normal(0, spread, points.shape)
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), truth


def hit(contig: str, marker: str, begin: int = 1, end: int = 100, length: int = 100) -> MarkerHit:
    return MarkerHit(contig, marker, 50.0, 1e-9, begin, end, length, 1, 300, 1, "", "MKV")


def expected_edges(points: NDArray[np.float32], k: int) -> dict[tuple[int, int], float]:
    distances = cdist(points, points, "sqeuclidean")
    np.fill_diagonal(distances, np.inf)
    edges = {}
    for row in range(len(points)):
        for column in np.argsort(distances[row])[:k].tolist():
            edges[min(row, column), max(row, column)] = distances[row, column]
    return edges


@pytest.mark.parametrize("search", ["exact", "hnsw"])
def test_graph_holds_the_nearest_from_both_sides(
    search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if search == "hnsw":
        monkeypatch.setattr(graph_module, "EXACT_BELOW", 0)
    points, _ = blobs()
    found = neighbour_graph(points, 10, threads=2)
    wanted = expected_edges(points, 10)
    edges = {(i, j): d for (i, j), d in zip(found.edges.tolist(), found.distances, strict=True)}
    # HNSW is approximate; on so few points it misses next to nothing.
    assert len(edges.keys() & wanted.keys()) >= 0.99 * len(wanted)
    assert len(edges) <= 1.01 * len(wanted)
    for pair in edges.keys() & wanted.keys():
        assert edges[pair] == pytest.approx(wanted[pair], abs=1e-4)
    assert (found.edges[:, 0] < found.edges[:, 1]).all()


def test_hnsw_does_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "EXACT_BELOW", 0)
    points, _ = blobs((300, 300))
    one, two = neighbour_graph(points, 20, 1), neighbour_graph(points, 20, 2)
    assert one.edges.tobytes() == two.edges.tobytes()
    assert one.distances.tobytes() == two.distances.tobytes()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_graph_of_next_to_nothing(n: int) -> None:
    points = np.eye(3, dtype=np.float32)[:n]
    found = neighbour_graph(points)
    assert len(found.edges) == max(0, n - 1)
    labels = leiden_partitions(
        found, np.full(n, 5000), NONE, leiden_grid((50,), (0.2,), (1,), (True,))
    )
    assert labels.shape == (1, n)


def test_closest_keeps_the_share_of_edges() -> None:
    points, _ = blobs()
    whole = neighbour_graph(points, 30)
    half = whole.closest(50)
    assert len(half.edges) == pytest.approx(len(whole.edges) / 2, rel=0.01)
    assert half.distances.max() <= np.median(whole.distances)


def test_leiden_recovers_separate_groups_and_threads_do_not_matter() -> None:
    points, truth = blobs()
    graph = neighbour_graph(points, 20)
    settings = leiden_grid((50, 100), (0.1, 0.3), (0.5, 1), (False,))
    lengths = np.random.default_rng(1).integers(1000, 50_000, len(points))
    one = leiden_partitions(graph, lengths, NONE, settings, threads=1)
    two = leiden_partitions(graph, lengths, NONE, settings, threads=2)
    np.testing.assert_array_equal(one, two)
    assert any((labels == canonical_labels(truth)).all() for labels in one)


def test_quality_is_that_of_leidenalg_on_the_same_function() -> None:
    """leidenalg computes RBER with node sizes; our partition must be as good as its own."""
    points, _ = blobs((80, 70, 60, 90), spread=0.3)
    graph = neighbour_graph(points, 15)
    lengths = np.random.default_rng(2).integers(1000, 20_000, len(points))
    setting = leiden_grid((100,), (0.2,), (1.0,), (False,))
    (ours,) = leiden_partitions(graph, lengths, NONE, setting)
    network = igraph.Graph(n=graph.n, edges=graph.edges)
    arguments = {
        "weights": np.exp(-graph.distances.astype(float) / 0.2).tolist(),
        "node_sizes": lengths.tolist(),
        "resolution_parameter": 1.0,
    }
    judged = leidenalg.RBERVertexPartition(network, initial_membership=ours.tolist(), **arguments)
    theirs = leidenalg.find_partition(
        network, leidenalg.RBERVertexPartition, n_iterations=-1, seed=0, **arguments
    )
    assert judged.quality() >= 0.999 * theirs.quality()


@pytest.mark.parametrize(("size", "scaled"), [(5000, False), (1_000_000, False), (1_000_000, True)])
def test_seeds_never_share_a_community(size: int, scaled: bool) -> None:
    points, truth = blobs()
    graph = neighbour_graph(points, 20)
    # Three seeds in the first genome: it must fall apart, the others stay whole.
    seeds = np.array([0, 1, 2, 60, 100])
    settings = leiden_grid((50, 100), (0.1, 0.3), (0.05, 0.5, 1), (True,), scaled=scaled)
    labels = leiden_partitions(graph, np.full(len(points), size), seeds, settings)
    for partition in labels:
        assert len(set(partition[seeds].tolist())) == len(seeds)
    free = leiden_partitions(graph, np.full(len(points), size), NONE, settings)
    assert any(len(set(partition[truth == 0].tolist())) == 1 for partition in free)


def test_random_seed_decides_the_result() -> None:
    points, _ = blobs((150, 150, 150), spread=0.6)
    graph = neighbour_graph(points, 10)

    def run(seed: int) -> NDArray[np.int32]:
        settings = leiden_grid((100,), (0.3,), (1,), (False,), random_seed=seed)
        return leiden_partitions(graph, np.full(450, 5000), NONE, settings)

    np.testing.assert_array_equal(run(1), run(1))
    assert any((run(1) != run(seed)).any() for seed in (2, 3, 4))


def test_labels_are_numbered_by_first_appearance() -> None:
    assert canonical_labels(np.array([7, 7, 2, 9, 2])).tolist() == [0, 0, 1, 2, 1]


CONTIGS = ContigTable(tuple("abcdef"), np.full(6, 5000))


def test_seeds_are_the_contigs_of_the_median_marker() -> None:
    hits = [hit("a", "few")]
    hits += [hit(c, "median", length=120, end=110) for c in "abc"]
    hits += [hit(c, "many") for c in "abcdef"]
    assert marker_seeds(hits, CONTIGS).tolist() == [0, 1, 2]
    # Of two markers on as many contigs the shorter profile counts.
    hits += [hit(c, "short") for c in "def"]
    assert marker_seeds(hits, CONTIGS).tolist() == [3, 4, 5]


def test_pieces_of_a_gene_and_foreign_contigs_are_no_seeds() -> None:
    hits = [hit("a", "m"), hit("b", "m", 1, 50), hit("c", "m", 51, 100), hit("zzz", "m")]
    assert marker_seeds(hits, CONTIGS).tolist() == [0]
    assert marker_seeds([], CONTIGS).tolist() == []


def test_kmeans_grows_one_cluster_from_each_seed() -> None:
    points, truth = blobs()
    labels = seeded_kmeans(points, np.full(len(points), 2000), np.array([0, 60, 100]))
    assert (labels == truth).all()


def test_kmeans_with_twin_seeds_and_weights() -> None:
    points = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    labels = seeded_kmeans(points, np.array([1000, 1000, 9000]), np.array([0, 1, 2]))
    assert labels[2] not in labels[:2]


def test_partitions_say_how_they_were_made() -> None:
    points, _ = blobs((4, 2))
    labels, settings = partitions(points, CONTIGS, [hit("a", "m"), hit("e", "m")])
    assert len(labels) == len(settings)
    assert settings[0]["method"] == "leiden"
    assert settings[-1]["method"] == "kmeans"
    assert labels.dtype == np.int32
    without, _ = partitions(points, CONTIGS, [])
    assert len(without) < len(labels)
    with pytest.raises(UsageError, match="grid 'x'"):
        partitions(points, CONTIGS, [], grid="x")


def test_the_grid_is_refined_around_its_best_partitions_and_beyond_its_border() -> None:
    points, _ = blobs((4, 2))
    coarse = partitions(points, CONTIGS, [])[1]
    wanted = {(50.0, 0.4, 4.5): 4.0, (50.0, 0.1, 0.5): 3.0, (100.0, 0.2, 1.5): 2.0}
    worths = iter([wanted.get(_cell(s), 0.0) for s in coarse])
    labels, settings = partitions(points, CONTIGS, [], worth=lambda _: next(worths))
    assert settings[: len(coarse)] == coarse
    assert len(labels) == len(settings)
    # Half a step is a root of 2 in bandwidth and of 3 in resolution; no fourth one has any worth.
    half = {
        (p, *found)
        for p, b, r in wanted
        for f in (-0.5, 0.5)
        for found in ((b * 2**f, r), (b, r * 3**f))
    }
    finer = sorted(_cell(s) for s in settings[len(coarse) :])
    np.testing.assert_allclose(finer, sorted(half), rtol=1e-3)


def test_without_worth_nothing_is_refined() -> None:
    points, _ = blobs((4, 2))
    coarse = partitions(points, CONTIGS, [])[1]
    assert partitions(points, CONTIGS, [], worth=lambda _: 0.0)[1] == coarse
    full = partitions(points, CONTIGS, [], grid="full", worth=lambda _: 1.0)[1]
    assert len(full) == 120


def _cell(setting: dict[str, Any]) -> tuple[float, float, float]:
    return setting["percentile"], setting["bandwidth"], setting["resolution"]
