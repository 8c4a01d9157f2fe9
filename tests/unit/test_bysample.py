"""Splitting a joined set of contigs by sample, and putting the parts together."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbin_core import defaults, outputs, stages
from llmbin_core.bysample import (
    join_labels,
    map_samples,
    own_partitions,
    sample_of,
    sample_rows,
    take_rows,
)
from llmbin_core.contigs import ContigSet, ContigTable
from llmbin_core.errors import InputError, UsageError
from llmbin_core.files import write_text
from llmbin_core.markertable import MarkerHit, write_marker_sets, write_markers
from llmbin_core.stagefile import Provenance, StageFile, read_stage, write_stage


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("S1:c", "S1"),
        ("S1:c:d", "S1"),
        ("c", None),
        (":c", None),
        ("S1:", None),
        ("a/b:c", None),  # samples name files
        ("..:c", None),
    ],
)
def test_sample_in_a_name(name: str, sample: str | None) -> None:
    assert sample_of(name, ":") == sample


def test_rows_by_sample_sorted_by_name_and_a_name_without_one() -> None:
    table = ContigTable(("b:1", "a:1", "b:2"), np.array([1, 2, 3]))
    rows = sample_rows(table, ":")
    assert list(rows) == ["a", "b"]
    assert rows["b"].tolist() == [0, 2]
    with pytest.raises(InputError, match=r"'plain' names no sample: .* S1:plain"):
        sample_rows(ContigTable(("a:1", "plain"), np.array([1, 1])), ":")


def test_taking_rows_follows_the_axis_of_the_contigs() -> None:
    table = ContigTable(("a:1", "b:1", "a:2"), np.array([5, 6, 7]))
    tensors = {
        "mean": np.arange(6).reshape(3, 2),
        "labels": np.array([[0, 1, 2], [3, 4, 5]], np.int32),
    }
    file = StageFile(Path("f"), table, Provenance("x"), tensors)
    part = take_rows(file, np.array([0, 2]))
    assert part.contigs.names == ("a:1", "a:2")
    assert part.contigs.lengths.tolist() == [5, 7]
    assert part.tensors["mean"].tolist() == [[0, 1], [4, 5]]
    assert part.tensors["labels"].tolist() == [[0, 2], [3, 5]]


def test_rows_of_a_contig_set_keep_their_bases() -> None:
    lengths = np.array([2, 3, 1])
    codes = np.array([0, 1, 2, 3, 0, 1], np.uint8)
    contigs = ContigSet(ContigTable(("a", "b", "c"), lengths), codes, np.array([0, 2, 5, 6]))
    part = contigs.take(np.array([2, 0]))
    assert [part.letters(i) for i in range(2)] == [b"C", b"AC"]
    assert len(contigs.take(np.array([], np.int64))) == 0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 99))
def test_joined_partitions_come_apart_again_and_share_no_label(
    owners: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = []
    for owner in sorted(set(owners)):
        rows = np.flatnonzero(np.array(owners) == owner)
        # Every partition of the k-th sample has a cluster; others may hold left-out contigs.
        labels = rng.integers(-1, 3, (1 + owner, len(rows))).astype(np.int32)
        labels[:, 0] = 0
        parts.append((rows, labels))
    joined = join_labels(parts, len(owners))
    seen: set[int] = set()
    for rows, labels in parts:
        own = own_partitions(joined[:, rows])
        assert len(own) == len(labels)
        assert ((own >= 0) == (labels >= 0)).all()
        for mine, theirs in zip(own, labels, strict=True):
            same = mine[:, None] == mine[None]
            assert (same == (theirs[:, None] == theirs[None])).all()
        values = set(joined[:, rows].ravel().tolist()) - {-1}
        assert not seen & values
        seen |= values


def test_labels_of_a_sample_are_as_small_as_if_it_were_alone() -> None:
    own = np.array([[2, 0, -1, 1], [-1, -1, 1, 0], [-1, -1, -1, -1]], np.int32)
    found = own_partitions(np.where(own < 0, -1, own + np.int32(3_000_000)))
    assert found.tolist() == own[:2].tolist()
    assert found.dtype == np.int32
    assert own_partitions(own[:, :0]).shape == (0, 0)


def test_no_parts_join_to_no_partitions() -> None:
    assert join_labels([], 3).shape == (0, 3)


def _work(part: int, threads: int) -> tuple[int, int]:
    return part * part, threads


@pytest.mark.parametrize(("threads", "each"), [(1, 1), (2, 1), (7, 2)])
def test_samples_in_parallel_keep_their_order(threads: int, each: int) -> None:
    assert list(map_samples(_work, [3, 1, 2], threads)) == [(9, each), (1, each), (4, each)]


# Three samples: two of 60 contigs in 3 well separated groups each, and one that is too small.
GROUPS, SIZE = 3, 20


@pytest.fixture
def community(tmp_path: Path) -> Path:
    """Latent, markers, contigs and coverage; the contigs of samples are mixed."""
    rng = np.random.default_rng(0)
    names = [f"{s}:c{i}" for i in range(GROUPS * SIZE) for s in ("S2", "S1")] + ["S3:x", "S3:y"]
    group = np.array([int(n.split("c")[1]) % GROUPS if "c" in n else 0 for n in names])
    centres = rng.normal(0, 1, (GROUPS, 16))
    latent = centres[group] + rng.normal(0, 0.05, (len(names), 16))
    latent /= np.linalg.norm(latent, axis=1, keepdims=True)
    lengths = np.full(len(names), 20_000)
    table = ContigTable(tuple(names), lengths)
    options = {"models": {}, "separator": ":"}
    write_stage(
        tmp_path / "latent", table, {"latent": latent.astype(np.float32)},
        Provenance("latent", 0, 6, options),
    )  # fmt: skip
    mean = np.repeat(np.arange(len(names), dtype=np.float32)[:, None, None], 6, axis=1)
    depth = {"samples": ["a"], "mapped_reads": {"a": None}}
    write_stage(
        tmp_path / "coverage", table, {"mean": mean, "variance": mean},
        Provenance("coverage", 0, 6, depth),
    )  # fmt: skip
    letters = ["".join(rng.choice(list("ACGT"), 20_000)) for _ in names]
    fasta = "".join(f">{n}\n{s}\n" for n, s in zip(names, letters, strict=True))
    write_text(tmp_path / "contigs.fa", fasta)
    write_markers(tmp_path / "markers", [])
    write_marker_sets(tmp_path / "sets", {"bacteria": [["A"]]})
    return tmp_path


def _bin(folder: Path, partitions: Path, out: Path, **options: object) -> None:
    stages.make_bins(
        partitions, folder / "markers", folder / "sets", folder / "contigs.fa", out,
        coverage=folder / "coverage", **options,
    )  # fmt: skip


def test_samples_are_clustered_and_binned_apart(community: Path) -> None:
    stages.cluster(community / "latent", community / "markers", community / "parts")
    labels = read_stage(community / "parts").tensors["labels"]
    names = read_stage(community / "parts").contigs.names
    of_sample = np.array([n[:2] for n in names])
    for partition in labels:
        for label in set(partition.tolist()) - {-1}:
            assert len(set(of_sample[partition == label])) == 1
    assert (labels[:, of_sample == "S3"] == -1).all()
    out = community / "whole"
    _bin(community, community / "parts", out)
    pairs = dict(r.split("\t") for r in (out / outputs.CONTIG2BIN).read_text().splitlines()[1:])
    for contig, own in pairs.items():
        assert own.startswith(f"{contig[:2]}.")
    # Every group of every sample is a bin of its own.
    bins = {tuple(sorted(c for c, b in pairs.items() if b == name)) for name in pairs.values()}
    assert len(bins) == 2 * GROUPS
    assert all(len({(c[:2], int(c.split("c")[1]) % GROUPS) for c in b}) == 1 for b in bins)
    with (out / outputs.SAMPLES_TABLE).open() as handle:
        rows = {row["sample"]: row for row in csv.DictReader(handle, delimiter="\t")}
    assert rows["S1"] == {
        "sample": "S1", "contigs": "60", "bp": "1200000", "bins": "3", "binned_bp": "1200000",
        "status": "binned",
    }  # fmt: skip
    least = defaults.MIN_SAMPLE_CONTIGS
    assert (rows["S3"]["bins"], rows["S3"]["status"]) == (
        "0",
        f"skipped: fewer than {least} contigs",
    )
    unbinned = (out / outputs.UNBINNED).read_text()
    assert (">S3:x" in unbinned, ">S3:y" in unbinned, unbinned.count(">")) == (True, True, 2)


def test_the_least_size_of_a_bin_decides_which_partitions_are_refined(community: Path) -> None:
    # Each group is 400 kb: to bins of 500 kb no partition is worth anything.
    write_markers(
        community / "markers",
        [MarkerHit(f"S1:c{i}", "m", 50, 1e-9, 1, 100, 100, 1, 300, 1, "", "MKV") for i in range(3)],
    )
    made = {
        size: len(
            stages.cluster(
                community / "latent", community / "markers", community / "parts", min_bin_size=size
            ).provenance.options["partitions"]
        )
        for size in (200_000, 500_000)
    }
    assert made[200_000] > made[500_000]
    assert read_stage(community / "parts").provenance.options["min_bin_size"] == 500_000


def test_one_sample_at_a_time_gives_what_the_whole_gives(community: Path) -> None:
    stages.cluster(community / "latent", community / "markers", community / "parts", threads=2)
    _bin(community, community / "parts", community / "whole")
    whole = (community / "whole" / outputs.BINS_TABLE).read_text().splitlines()[1:]
    rows = []
    for sample in ("S1", "S2"):
        part, out = community / f"{sample}.parts", community / sample
        stages.cluster(community / "latent", community / "markers", part, sample=sample)
        _bin(community, part, out)
        rows += (out / outputs.BINS_TABLE).read_text().splitlines()[1:]
        names = [row.split("\t")[0] for row in rows if row.startswith(sample)]
        for name in names:
            file = Path(outputs.BINS_FOLDER) / f"{name}.fa"
            assert (out / file).read_bytes() == (community / "whole" / file).read_bytes()
        # The same from the partitions of all samples.
        again = community / f"{sample}.again"
        _bin(community, community / "parts", again, sample=sample)
        for name in (outputs.BINS_TABLE, outputs.CONTIG2BIN, outputs.UNBINNED):
            assert (again / name).read_bytes() == (out / name).read_bytes()
    assert rows == whole


def test_what_does_not_fit_is_refused(community: Path) -> None:
    def cluster(out: str = "parts", **options: object) -> None:
        stages.cluster(community / "latent", community / "markers", community / out, **options)

    with pytest.raises(InputError, match="no contig is of sample 'S9'; the samples are S1, S2, S3"):
        cluster(sample="S9")
    cluster("one", sample="S1")
    with pytest.raises(InputError, match="no contig is of sample 'S2'; the samples are S1"):
        _bin(community, community / "one", community / "out", sample="S2")
    with pytest.raises(UsageError, match="--prefix mag has no effect"):
        _bin(community, community / "one", community / "out", prefix="mag")
    table = read_stage(community / "latent")
    plain = Provenance("latent", 0, 6, {"models": {}, "separator": None})
    write_stage(community / "latent", table.contigs, table.tensors, plain)
    with pytest.raises(UsageError, match="does not tell samples apart"):
        cluster(sample="S1")
