"""Contigs that contradict their bin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmbin_core.bins.markerindex import MarkerIndex, index_markers
from llmbin_core.bins.outliers import (
    Outlier,
    depth_deviation,
    drop_outliers,
    latent_deviation,
    write_outliers,
)
from llmbin_core.bins.quality import estimate
from llmbin_core.contigs import ContigTable
from llmbin_core.markertable import MarkerHit

N, SAMPLES, WIDTH = 60, 3, 16
SETS = {"bacteria": (("A",), ("B",))}
Arrays = tuple[np.ndarray, np.ndarray]


def community() -> Arrays:
    """Latents around one direction, depths around 10, 20 and 40."""
    rng = np.random.default_rng(3)
    latent = np.eye(WIDTH)[0] + rng.normal(0, 0.05, (N, WIDTH))
    latent /= np.linalg.norm(latent, axis=1, keepdims=True)
    depths = np.array([10, 20, 40]) * np.exp(rng.normal(0, 0.1, (N, SAMPLES)))
    return latent.astype(np.float32), depths.astype(np.float32)


def index_of(*hits: tuple[int, str, str]) -> MarkerIndex:
    table = ContigTable(tuple(f"c{i}" for i in range(N)), np.full(N, 50_000))
    rows = [
        MarkerHit(f"c{row}", marker, 99.0, 1e-9, 1, 100, 100, 1, 300, 1, "", protein * 20)
        for row, marker, protein in hits
    ]
    return index_markers(rows, table, SETS)


def test_a_contig_far_out_in_depth_and_latent_is_flagged_and_in_one_of_them_is_not() -> None:
    latent, depths = community()
    latent[5] = latent[6] = np.eye(WIDTH)[1]
    depths[6] = depths[7] = (300, 1, 5)
    bins, outliers = drop_outliers([np.arange(N)], index_of((0, "A", "ACDEF")), latent, depths, 0)
    assert [(o.row, o.bin, o.moved) for o in outliers] == [(6, 0, False)]
    assert outliers[0].depth_z > 3 < outliers[0].latent_z
    assert bins[0].tolist() == list(range(N))


def test_an_outlier_leaves_a_bin_that_scores_higher_without_it() -> None:
    latent, depths = community()
    latent[6], depths[6] = np.eye(WIDTH)[1], (300, 1, 5)
    index = index_of((0, "A", "ACDEF"), (6, "A", "GHIKL"), (1, "B", "MNPQR"))
    bins, (outlier,) = drop_outliers([np.arange(N)], index, latent, depths, 0)
    assert outlier.moved
    assert bins[0].tolist() == [i for i in range(N) if i != 6]


def two_outliers_with_a_copy_each() -> tuple[Arrays, MarkerIndex]:
    """Contigs 6 and 7 hold the only two copies of a marker and are out, each in its own way."""
    latent, depths = community()
    latent[6], latent[7] = np.eye(WIDTH)[1:3]
    depths[6], depths[7] = (300, 1, 5), (1, 300, 5)
    return (latent, depths), index_of((6, "A", "ACDEF"), (7, "A", "GHIKL"), (1, "B", "MNPQR"))


def test_of_two_outliers_with_the_copies_of_a_marker_one_stays() -> None:
    arrays, index = two_outliers_with_a_copy_each()
    (rows,), outliers = drop_outliers([np.arange(N)], index, *arrays, 0)
    assert [o.row for o in outliers] == [6, 7]
    assert sum(o.moved for o in outliers) == 1
    quality = estimate(index, [rows])
    assert quality.completeness[0] == pytest.approx(100)
    assert quality.contamination[0] == 0


def test_no_bin_becomes_smaller_than_the_least_size() -> None:
    arrays, index = two_outliers_with_a_copy_each()
    (rows,), outliers = drop_outliers([np.arange(N)], index, *arrays, N * 50_000)
    assert len(rows) == N
    assert not any(o.moved for o in outliers)


def test_deviations_are_robust_z_scores() -> None:
    # Log depths 0, +-s, +-s around the median: the median absolute deviation is s.
    step = 0.7
    depths = np.exp(np.array([[0, -step, step, -step, step]]).T) - 0.1
    lengths = np.full(5, 1000)
    expected = step / (1.4826 * step + 0.05)
    found = depth_deviation(depths.astype(np.float32), lengths)
    assert found == pytest.approx([0] + 4 * [expected], abs=1e-5)
    # All at one place: no spread, no deviation.
    same = np.tile(np.eye(4, dtype=np.float32)[0], (5, 1))
    assert latent_deviation(same, lengths) == pytest.approx(np.zeros(5), abs=1e-9)


def test_outliers_are_written_with_contig_and_bin_and_none_leave_the_header(tmp_path: Path) -> None:
    path = tmp_path / "outliers.tsv"
    write_outliers(path, [("a|1", "bin.001", Outlier(4, 0, 3.456, 7.0, True))])
    head, row = path.read_text().splitlines()
    assert dict(zip(head.split("\t"), row.split("\t"), strict=True)) == {
        "contig": "a|1", "bin": "bin.001", "depth_z": "3.46", "latent_z": "7.00",
        "moved_to_unbinned": "yes",
    }  # fmt: skip
    write_outliers(path, [])
    assert path.read_text() == head + "\n"
