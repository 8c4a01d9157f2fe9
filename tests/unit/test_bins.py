"""Quality estimates, selection and writing of bins."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbin_core.bins.candidates import candidates_of
from llmbin_core.bins.markerindex import MarkerIndex, index_markers
from llmbin_core.bins.proposals import Vectors
from llmbin_core.bins.quality import estimate
from llmbin_core.bins.selection import (
    best_first,
    choose_bins,
    partition_worth,
    scores,
    select_bins,
    worth_of,
)
from llmbin_core.bins.writing import Depths, quality_class, write_bins
from llmbin_core.contigs import ContigSet, ContigTable
from llmbin_core.fasta import iter_fasta
from llmbin_core.markertable import MarkerHit

RNG = np.random.default_rng(0)
N = 12
CONTIGS = ContigTable(tuple(f"c{i}" for i in range(N)), np.full(N, 100_000))
# Contigs so long that the genes which their ends cut do not count.
ENDLESS = ContigTable(CONTIGS.names, np.full(N, 10**12))
# Four markers in two collocated sets for one domain, another two for the second.
SETS = {"bacteria": (("A", "B", "C"), ("D",)), "archaea": (("X",), ("Y",))}


def protein(seed: int, length: int = 120) -> str:
    letters = np.random.default_rng(seed).integers(0, 20, length)
    return "".join("ACDEFGHIKLMNPQRSTVWY"[i] for i in letters)


def hit(contig: int, marker: str, seed: int, begin: int = 1, end: int = 100) -> MarkerHit:
    part = protein(seed)[begin - 1 : end]
    return MarkerHit(f"c{contig}", marker, 99.0, 1e-9, begin, end, 100, 1, 300, 1, "", part)


def of(hits: list[MarkerHit], *bins: list[int]) -> list[tuple[float, float, float]]:
    q = estimate(index_markers(hits, ENDLESS, SETS), [np.array(b) for b in bins])
    return list(zip(q.completeness, q.contamination, q.redundancy, strict=True))


def test_completeness_is_the_mean_share_of_the_sets() -> None:
    hits = [hit(0, "A", 1), hit(0, "B", 2), hit(1, "D", 3)]
    # Sets: 2 of 3 and 1 of 1 -> mean 5/6; alone contig 0: 2/3 and 0 -> 1/3.
    whole, part, empty = of(hits, [0, 1], [0], [5])
    assert whole == pytest.approx((500 / 6, 0, 0))
    assert part == pytest.approx((100 / 3, 0, 0))
    assert empty == (0, 0, 0)


def test_contamination_counts_extra_copies_of_different_genomes() -> None:
    hits = [hit(0, "D", 1), hit(1, "D", 2), hit(2, "D", 3), hit(0, "A", 4)]
    # D three times: 2 extra copies in a set of one marker, the other set has none -> 200 / 2.
    assert of(hits, [0, 1, 2])[0] == pytest.approx((100 * (1 / 3 + 1) / 2, 100, 0))


def test_pieces_on_disjoint_spans_are_one_copy() -> None:
    hits = [hit(0, "D", 1, 1, 48), hit(1, "D", 1, 50, 100)]
    assert of(hits, [0, 1])[0] == pytest.approx((50, 0, 0))
    # A slight overlap is tolerated, a large one is a second copy.
    hits = [hit(0, "D", 1, 1, 52), hit(1, "D", 2, 49, 100)]
    assert of(hits, [0, 1])[0] == pytest.approx((50, 0, 0))
    hits = [hit(0, "D", 1, 1, 70), hit(1, "D", 2, 40, 100)]
    assert of(hits, [0, 1])[0] == pytest.approx((50, 50, 0))


def test_nearly_identical_copies_are_redundancy_not_contamination() -> None:
    hits = [hit(0, "D", 1), hit(1, "D", 1), hit(2, "D", 2)]
    assert of(hits, [0, 1])[0] == pytest.approx((50, 0, 50))
    assert of(hits, [0, 1, 2])[0] == pytest.approx((50, 50, 50))


def test_copies_of_strains_that_differ_in_depth_are_contamination() -> None:
    hits = [hit(0, "D", 1), hit(1, "D", 1)]
    rows = [np.array([0, 1])]
    # Root mean square over samples of the log ratio: 1.2, 1.9, 3.1 and 3.1 times.
    for other, extra in (((10, 25), 0), ((19, 39), 0), ((10, 100), 50), ((50, 20), 50)):
        depths = np.ones((N, 2), np.float32)
        depths[0], depths[1] = (10, 20), other
        q = estimate(index_markers(hits, ENDLESS, SETS, depths), rows)
        assert q.contamination[0] == pytest.approx(extra)
        assert q.redundancy[0] == pytest.approx(50 - extra)


def test_two_whole_strains_of_the_same_depth_are_contamination() -> None:
    # Twelve markers on as many contigs, of which the first few are there twice.
    sets = {"bacteria": tuple((f"M{i}",) for i in range(N))}

    def found(twice: int) -> tuple[float, float]:
        once = [hit(i, f"M{i}", i) for i in range(N)]
        again = [hit((i + 1) % N, f"M{i}", i) for i in range(twice)]
        q = estimate(index_markers(once + again, ENDLESS, sets), [np.arange(N)])
        return float(q.contamination[0]), float(q.redundancy[0])

    assert found(3) == pytest.approx((0, 25))
    assert found(N) == pytest.approx((100, 0))


def test_short_contigs_show_more_markers_than_they_hold_bases() -> None:
    # 350 bp beyond each contig of 350 bp: every marker shows in two pieces. With half of the
    # pieces 1 - 1/2^2 = 3/4 of the markers show.
    short = ContigTable(CONTIGS.names, np.full(N, 350))
    sets = {"bacteria": tuple((m,) for m in "ABCD")}
    hits = [hit(0, "A", 1), hit(0, "B", 2), hit(1, "C", 3)]
    q = estimate(index_markers(hits, short, sets), [np.array([0, 1])])
    assert q.completeness[0] == pytest.approx(50)
    # Half of 4 sets and of 4 contigs: .25 (1/4 + .5/2), and 2 % by which genomes differ.
    assert q.error[0] == pytest.approx(100 * (0.125 + 0.02**2) ** 0.5)


def test_genomes_are_reduced_by_their_size_not_by_the_part_that_is_there() -> None:
    sets = {"bacteria": tuple((m,) for m in "ABCDEFGHIJ"), "reduced": tuple((m,) for m in "ABCDE")}

    def told(found: str, size: int) -> tuple[str, float]:
        hits = [hit(0, m, number) for number, m in enumerate(found)]
        index = index_markers(hits, ContigTable(CONTIGS.names, np.full(N, size)), sets)
        q = estimate(index, [np.array([0])])
        return index.domains[q.domain[0]], float(q.completeness[0])

    # 8 of 10 markers: nearly all of the 83 % that reduced genomes keep, or 80 % of a bacterium.
    assert told("ABCDEFGH", 900_000) == ("reduced", pytest.approx(100 * 0.8 / 0.83, abs=0.1))
    assert told("ABCDEFGH", 2_000_000) == ("bacteria", pytest.approx(80, abs=0.1))
    # Halves of both; all that a reduced genome keeps is no reason to call half a bacterium reduced.
    assert told("ABCI", 450_000) == ("reduced", pytest.approx(100 * 0.4 / 0.83, abs=0.1))
    assert told("ABCDE", 1_000_000) == ("bacteria", pytest.approx(50, abs=0.1))
    # More markers than there are in it.
    assert told("ABCDEFGHIJ", 900_000) == ("reduced", pytest.approx(100))


def test_domain_is_the_one_that_explains_more_markers() -> None:
    hits = [hit(0, "X", 1), hit(0, "Y", 2), hit(0, "A", 3), hit(1, "B", 4), hit(1, "C", 5)]
    index = index_markers(hits, CONTIGS, SETS)
    q = estimate(index, [np.array([0]), np.array([1]), np.array([0, 1])])
    # X and Y are all of archaea; A alone is a quarter of bacteria.
    assert [index.domains[d] for d in q.domain] == ["archaea", "bacteria", "archaea"]
    assert q.completeness[0] == pytest.approx(100)
    assert q.markers.tolist() == [3, 2, 5]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, N - 1), st.sampled_from("ABCDXY"), st.integers(0, 5))))
def test_joining_bins_never_lowers_completeness_and_bins_do_not_depend_on_company(
    found: list[tuple[int, str, int]],
) -> None:
    index = index_markers(
        [hit(c, m, s) for c, m, s in found], CONTIGS, {"bacteria": (tuple("ABCDXY"),)}
    )
    half, rest, whole = np.arange(6), np.arange(6, N), np.arange(N)
    q = estimate(index, [half, rest, whole])
    assert q.completeness[2] >= max(q.completeness[:2]) - 1e-9
    assert q.contamination[2] >= max(q.contamination[:2]) - 1e-9
    assert q.completeness[2] <= 100 + 1e-9
    alone = estimate(index, [whole])
    assert alone.completeness[0] == q.completeness[2]
    assert alone.contamination[0] == q.contamination[2]


def test_no_hits_and_no_bins() -> None:
    assert of([], [0, 1]) == [(0, 0, 0)]
    assert of([]) == []


def genomes() -> tuple[MarkerIndex, list[list[int]]]:
    """Three genomes of four contigs, each contig with one of the markers A to D."""
    hits = [hit(4 * g + k, "ABCD"[k], 10 * g + k) for g in range(3) for k in range(4)]
    return index_markers(hits, CONTIGS, SETS), [list(range(4 * g, 4 * g + 4)) for g in range(3)]


def test_candidates_are_the_different_clusters_that_are_large_enough() -> None:
    labels = np.array([[0] * 6 + [1] * 6, [0] * 6 + [1] * 5 + [2], [-1] * 6 + [3] * 6])
    found = candidates_of(labels.astype(np.int32), CONTIGS.lengths, 200_000)
    # Jaccard indices by hand, all contigs being equally long: the first half is a cluster of two
    # of the three partitions and outside of the third; the second half matches itself twice and
    # five of its six contigs once; the five match 5/6, themselves, 5/6.
    wanted = {
        (0, 1, 2, 3, 4, 5): (1 + 1 + 0) / 3,
        (6, 7, 8, 9, 10, 11): (1 + 5 / 6 + 1) / 3,
        (6, 7, 8, 9, 10): (5 / 6 + 1 + 5 / 6) / 3,
    }
    assert {tuple(c.rows.tolist()): c.agreement for c in found} == pytest.approx(wanted)


def test_best_bins_of_different_partitions_are_combined() -> None:
    index, (a, b, c) = genomes()
    # The first partition gets only a right, the second only b and c.
    first, second = np.zeros(N, np.int32), np.zeros(N, np.int32)
    first[b + c] = 1
    second[b], second[c] = 1, 2
    second[a] = [3, 4, 5, 6]
    bins = choose_bins(np.stack([first, second]), index, 100_000)
    assert {tuple(rows) for rows in bins} == {tuple(a), tuple(b), tuple(c)}
    whole = choose_bins(np.stack([first, second]), index, 100_000, "partition")
    assert {tuple(rows) for rows in whole} >= {tuple(b), tuple(c)}
    assert len(whole) == 6


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_chosen_bins_are_disjoint_and_the_first_has_the_best_score(seed: int) -> None:
    rng = np.random.default_rng(seed)
    index, _ = genomes()
    labels = rng.integers(0, 4, (5, N)).astype(np.int32)
    candidates = candidates_of(labels, CONTIGS.lengths, 200_000)
    bins = select_bins(candidates, index, 200_000)
    rows = np.concatenate(bins)
    assert len(set(rows.tolist())) == len(rows)
    assert all(CONTIGS.lengths[b].sum() >= 200_000 for b in bins)
    every = scores(
        estimate(index, [c.rows for c in candidates]),
        np.array([c.agreement for c in candidates]),
        np.array([CONTIGS.lengths[c.rows].sum() for c in candidates]),
    )
    (first,) = [k for k, c in enumerate(candidates) if set(c.rows) == set(bins[0])]
    assert every[first] == pytest.approx(every.max())
    # By its own estimate the choice is never clearly worse than any one partition.
    chosen = worth_of(choose_bins(labels, index, 200_000), index)
    assert all(1.01 * chosen >= partition_worth(partition, index) for partition in labels)


@given(st.permutations(range(5)))
def test_bins_are_named_from_the_best_whatever_order_they_were_found_in(order: list[int]) -> None:
    index, (a, b, c) = genomes()
    # Two whole genomes, two halves of one, two genomes in one.
    bins = [np.array(rows) for rows in (a, b, c[:2], c[2:], a + b)]
    shuffled = [bins[k] for k in order]
    found = [shuffled[k].tolist() for k in best_first(shuffled, index)]
    quality = estimate(index, [np.array(rows) for rows in found])
    worth = quality.completeness - 2 * quality.contamination
    assert all(worth[k] >= worth[k + 1] - 0.01 for k in range(4))
    equal = [rows for rows in found if rows in (a, b)]
    assert equal == sorted((a, b), key=lambda rows: (-len(rows), rows[0]))


def test_one_whole_genome_is_worth_more_than_its_pieces_and_mixing_costs() -> None:
    index, (a, b, _) = genomes()
    worth = {}
    for name, parts in {
        "whole": [a, b],
        "pieces": [a[:2], a[2:], b],
        "mixed": [a + b],
        "none": [],
    }.items():
        partition = np.full(N, -1, np.int32)
        for label, rows in enumerate(parts):
            partition[rows] = label
        worth[name] = partition_worth(partition, index)
    assert worth["whole"] > worth["pieces"] > worth["mixed"] == worth["none"] == 0


def latents(*groups: list[int]) -> Vectors:
    """One direction for each group of contigs; all of the same depth."""
    latent = np.zeros((N, len(groups) + 1), np.float32)
    latent[:, -1] = 0.1
    for number, rows in enumerate(groups):
        latent[rows, number] = 1
    return Vectors(latent / np.linalg.norm(latent, axis=1, keepdims=True), np.ones((N, 1), "f4"))


def test_a_mixed_cluster_is_split_at_its_markers() -> None:
    index, (a, b, c) = genomes()
    labels = np.zeros((3, N), np.int32)
    labels[:, c] = 1
    bins = choose_bins(labels, index, 100_000, vectors=latents(a, b, c))
    assert {tuple(rows) for rows in bins} == {tuple(a), tuple(b), tuple(c)}
    assert len(choose_bins(labels, index, 100_000)) == 2


def test_two_parts_of_a_genome_are_joined_only_at_the_same_depth() -> None:
    index, (a, b, c) = genomes()
    labels = np.array([0, 0, 1, 1] + [2] * 4 + [3] * 4, np.int32)[None]
    same = latents(a, b, c)
    bins = choose_bins(labels, index, 100_000, vectors=same)
    assert {tuple(rows) for rows in bins} == {tuple(a), tuple(b), tuple(c)}
    other = same.depths.copy()
    other[a[:2]] = 2
    bins = choose_bins(labels, index, 100_000, vectors=same._replace(depths=other))
    assert {tuple(rows) for rows in bins} == {tuple(a[:2]), tuple(a[2:]), tuple(b), tuple(c)}


def test_score_weighs_its_four_terms() -> None:
    quality = estimate(index_markers([hit(0, "D", 1)], ENDLESS, SETS), [np.array([0])])
    # D alone: completeness 50, no contamination; 0.1 Mb and an agreement of .5 add .2 and 50.
    score = scores(quality, np.array([0.5]), np.array([100_000]))
    assert score.tolist() == pytest.approx([50 + 0.2 + 50])


def test_nothing_to_choose_from() -> None:
    index, _ = genomes()
    for labels in (np.empty((0, N), np.int32), np.full((2, N), -1, np.int32)):
        assert choose_bins(labels, index, 100_000) == []
    none = ContigTable((), np.empty(0, np.int64))
    empty = index_markers([], none, SETS)
    assert choose_bins(np.empty((3, 0), np.int32), empty, 1) == []
    assert choose_bins(np.empty((3, 0), np.int32), empty, 1, "partition") == []


def test_quality_classes_by_mimag_thresholds() -> None:
    assert quality_class(90.1, 4.9) == "near-complete"
    assert quality_class(90.0, 4.9) == "medium"
    assert quality_class(95, 5.0) == "medium"
    assert quality_class(50.1, 9.9) == "medium"
    assert quality_class(99, 10.0) == "low"


def test_written_bins_hold_every_contig_once(tmp_path: Path) -> None:
    lengths = np.array([1000, 1501, 2000])
    codes = RNG.integers(0, 4, lengths.sum()).astype(np.uint8)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    contigs = ContigSet(ContigTable(("a", "b|1", "c"), lengths), codes, offsets)
    bins = [np.array([2, 0])]
    quality = estimate(index_markers([], contigs.table, SETS), bins)
    depths = Depths(("s1", "s2"), np.array([[1, 10], [5, 5], [4, 40]], np.float32))
    write_bins(tmp_path, contigs, bins, quality, ("bacteria", "archaea"), depths)
    assert dict(iter_fasta(tmp_path / "bins" / "bin.001.fa")) == {
        "a": contigs.letters(0),
        "c": contigs.letters(2),
    }
    assert dict(iter_fasta(tmp_path / "unbinned.fa")) == {"b|1": contigs.letters(1)}
    assert (tmp_path / "contig2bin.dastool.tsv").read_text() == "a\tbin.001\nc\tbin.001\n"
    assert (tmp_path / "contig2bin.tsv").read_text().startswith("contig\tbin\na\tbin.001\n")
    (row,) = csv.DictReader((tmp_path / "bins.tsv").read_text().splitlines(), delimiter="\t")
    gc = np.mean(np.isin(np.concatenate((contigs.sequence(0), contigs.sequence(2))), (1, 2)))
    assert (row["bp"], row["contigs"], row["n50"]) == ("3000", "2", "2000")
    assert float(row["gc"]) == pytest.approx(gc, abs=1e-4)
    # (1 * 1000 + 4 * 2000) / 3000 and (10 * 1000 + 40 * 2000) / 3000.
    assert (float(row["depth:s1"]), float(row["depth:s2"])) == (3.0, 30.0)
    assert (row["class"], row["domain"]) == ("low", "unknown")


def test_no_bins_give_header_only_tables_and_all_contigs_unbinned(tmp_path: Path) -> None:
    contigs = ContigSet(ContigTable(("a",), np.array([8])), np.zeros(8, np.uint8), np.array([0, 8]))
    (tmp_path / "bins").mkdir()
    (tmp_path / "bins" / "old.fa").write_text(">old\nA\n")
    quality = estimate(index_markers([], contigs.table, SETS), [])
    write_bins(tmp_path, contigs, [], quality, ("bacteria", "archaea"), compress=True)
    assert list((tmp_path / "bins").iterdir()) == []
    assert (tmp_path / "contig2bin.tsv").read_text() == "contig\tbin\n"
    assert len((tmp_path / "bins.tsv").read_text().splitlines()) == 1
    assert dict(iter_fasta(tmp_path / "unbinned.fa.gz")) == {"a": b"AAAAAAAA"}
