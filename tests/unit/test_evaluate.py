"""Evaluation against a gold standard: hand-computed cases, invariants, other programs' numbers."""

from __future__ import annotations

import csv
import gzip
import random
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llmbin_tools.evaluate import main
from sklearn.metrics import adjusted_rand_score

from llmbin_core.errors import InputError
from llmbin_core.evaluate import (
    LEVELS,
    Binning,
    Evaluation,
    Gold,
    evaluate,
    read_binning,
    read_gold,
    write_bins,
    write_genomes,
    write_summary,
)

# Every number that is 1 for a perfect binning.
SHARES = (
    "average_purity_bp",
    "average_purity_seq",
    "average_completeness_bp",
    "average_completeness_seq",
    "f1_bp",
    "f1_seq",
    "purity_bp",
    "completeness_bp",
    "f1_sample_bp",
    "accuracy_bp",
    "ari_bp",
    "ari_seq",
    "binned_bp_share",
    "binned_seq_share",
)


def gold_of(**genomes: list[int]) -> Gold:
    """Contigs A0, A1 ... of the given lengths for genome A, and so on."""
    length = {f"{g}{i}": bp for g, sizes in genomes.items() for i, bp in enumerate(sizes)}
    genome = {f"{g}{i}": g for g, sizes in genomes.items() for i in range(len(sizes))}
    return Gold(Path("gold.tsv"), genome, length, frozenset())


def binning_of(**bins: str) -> Binning:
    """Bins given as words of contigs."""
    pairs = [(contig, name) for name, contigs in bins.items() for contig in contigs.split()]
    return Binning("test", Path("bins.tsv"), tuple(pairs))


def test_numbers_of_a_case_computed_by_hand() -> None:
    # A: 600 + 300 + 100 = 1000 bp, B: 500 + 500 = 1000 bp, C: 200 bp, never binned.
    gold = gold_of(A=[600, 300, 100], B=[500, 500], C=[200])
    result = evaluate(gold, binning_of(x="A0 A1 B0", y="B1 A2"))

    x, y = {b.bin: b for b in result.bins}["x"], {b.bin: b for b in result.bins}["y"]
    assert (x.genome, x.length, x.true_length, x.true_contigs) == ("A", 1400, 900, 2)
    assert (y.genome, y.length, y.true_length, y.true_contigs) == ("B", 600, 500, 1)
    assert (x.purity_bp, x.purity_seq) == (900 / 1400, 2 / 3)
    assert (x.completeness_bp, x.completeness_seq) == (0.9, 2 / 3)
    # B has 500 bp in either bin and one contig in either; the smaller bin (y) counts for it.
    assert [(g.genome, g.bin, g.completeness_bp) for g in result.genomes] == [
        ("A", "x", 0.9),
        ("B", "y", 0.5),
        ("C", "", 0.0),
    ]
    assert result.average_purity_bp == pytest.approx((900 / 1400 + 500 / 600) / 2)
    assert result.average_completeness_bp == pytest.approx((0.9 + 0.5 + 0) / 3)
    assert result.purity_bp == pytest.approx(1400 / 2000)
    assert result.completeness_bp == pytest.approx((900 + 500) / 2200)
    assert result.f1_sample_bp == pytest.approx(2 * 0.7 * (1400 / 2200) / (0.7 + 1400 / 2200))
    assert result.accuracy_bp == pytest.approx(1400 / 2200)
    assert (result.binned_bp, result.binned_contigs) == (2000, 5)
    assert result.binned_bp_share == pytest.approx(2000 / 2200)
    assert result.binned_seq_share == pytest.approx(5 / 6)
    # Pairs of contigs: 2 together in a bin and genome, 4 in bins, 4 in genomes, 10 in all.
    assert result.ari_seq == pytest.approx((1 - 4 * 4 / 10) / (4 - 4 * 4 / 10))
    assert set(result.recovered.values()) == {0}


def test_thresholds_are_strict_and_free_of_rounding() -> None:
    def recovered(true: int, lost: int, foreign: int) -> dict[tuple[int, int], int]:
        gold = gold_of(A=[true, lost], B=[foreign, 10**9])
        return dict(evaluate(gold, binning_of(x="A0 B0")).recovered)

    everything = recovered(9001, 999, 473)
    assert everything == dict.fromkeys(LEVELS, 1)
    # Exactly 90 % complete is not more than 90 %; exactly 5 % foreign is not less than 5 %.
    assert recovered(9000, 1000, 473)[90, 10] == 0
    assert recovered(9000, 1000, 473)[70, 5] == 1
    assert recovered(9500, 5, 500)[90, 5] == 0
    assert recovered(9500, 5, 500)[90, 10] == 1
    # 1 - 9/10 is less than 1/10 in floating point, but not in numbers.
    assert recovered(9, 0 + 1, 1)[50, 10] == 0


def test_small_bins_count_as_unbinned() -> None:
    gold = gold_of(A=[600, 300, 100], B=[500])
    with_all = evaluate(gold, binning_of(x="A0 A1", y="B0", z="A2"))
    without = evaluate(gold, binning_of(x="A0 A1", y="B0", z="A2"), min_bin_size=101)
    assert len(with_all.bins) == 3
    assert without == evaluate(gold, binning_of(x="A0 A1", y="B0"))


def test_short_and_unknown_contigs_are_counted_apart(tmp_path: Path) -> None:
    path = tmp_path / "gold.tsv"
    path.write_text("contig\tgenome\tlength\nA0\tA\t5000\nA1\tA\t900\nB0\tB\t3000\n")
    result = evaluate(read_gold(path, min_contig=1000), binning_of(x="A0 A1 no nope", y="B0"))
    assert (result.unknown_contigs, result.short_contigs) == (2, 1)
    assert result.genomes[0].length == 5000
    assert result.average_purity_bp == result.average_completeness_bp == 1


def test_a_contig_in_two_bins_counts_in_each_but_is_binned_once() -> None:
    gold = gold_of(A=[1000], B=[1000])
    result = evaluate(gold, binning_of(x="A0", y="A0 B0"))
    assert result.repeated_contigs == 1
    assert (result.binned_bp, result.binned_bp_share) == (2000, 1.0)
    assert [b.length for b in sorted(result.bins, key=lambda b: b.bin)] == [1000, 2000]


def test_a_binning_without_bins_has_no_purity() -> None:
    result = evaluate(gold_of(A=[1000]), binning_of())
    assert (result.bins, result.completeness_bp, result.average_completeness_bp) == ((), 0, 0)
    assert result.purity_bp is result.f1_bp is result.ari_bp is None


@st.composite
def communities(draw: st.DrawFn) -> tuple[Gold, Binning]:
    """A gold standard of up to 30 contigs and a partition of some of them."""
    n = draw(st.integers(1, 30))
    lengths = draw(st.lists(st.integers(1, 10**6), min_size=n, max_size=n))
    genomes = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    bins = draw(st.lists(st.integers(-1, 5), min_size=n, max_size=n))
    gold = Gold(
        Path("gold.tsv"),
        {f"c{i}": f"g{g}" for i, g in enumerate(genomes)},
        {f"c{i}": bp for i, bp in enumerate(lengths)},
        frozenset(),
    )
    pairs = [(f"c{i}", f"b{b}") for i, b in enumerate(bins) if b >= 0]
    return gold, Binning("test", Path("bins.tsv"), tuple(pairs))


def numbers(result: Evaluation) -> dict[str, object]:
    """All numbers of a binning, and those of its bins and genomes without the names of bins."""
    plain = {k: v for k, v in vars(result).items() if k not in {"bins", "genomes"}}
    plain["bins"] = sorted((b.genome, b.length, b.true_length, b.contigs) for b in result.bins)
    plain["genomes"] = [
        (g.genome, g.completeness_bp, g.completeness_seq, g.purity_bp) for g in result.genomes
    ]
    return plain


@given(communities())
def test_perfect_binning(case: tuple[Gold, Binning]) -> None:
    gold, _ = case
    pairs = tuple((c, f"bin of {g}") for c, g in gold.genome.items())
    result = evaluate(gold, Binning("perfect", Path("bins.tsv"), pairs))
    n = len(set(gold.genome.values()))
    assert result.ari_bp == result.ari_seq == 1
    assert result.recovered == dict.fromkeys(LEVELS, n)
    for name in SHARES:
        assert getattr(result, name) == 1, name


@given(communities(), st.randoms(use_true_random=False))
def test_names_of_bins_and_order_of_lines_change_nothing(
    case: tuple[Gold, Binning], rng: random.Random
) -> None:
    gold, binning = case
    names = sorted({b for _, b in binning.pairs})
    renamed = dict(zip(names, rng.sample(names, len(names)), strict=True))
    pairs = [(c, renamed[b]) for c, b in binning.pairs]
    rng.shuffle(pairs)
    other = Binning("test", Path("bins.tsv"), tuple(pairs))
    assert numbers(evaluate(gold, other)) == numbers(evaluate(gold, binning))


@given(communities())
def test_bounds_and_sums(case: tuple[Gold, Binning]) -> None:
    gold, binning = case
    result = evaluate(gold, binning)
    assert sum(b.length for b in result.bins) == result.binned_bp
    assert sum(g.length for g in result.genomes) == sum(gold.length.values())
    assert result.accuracy_bp <= result.binned_bp_share
    assert result.completeness_bp <= result.binned_bp_share
    for (complete, foreign), (more, less) in product(LEVELS, LEVELS):
        if more >= complete and less <= foreign:
            assert result.recovered[more, less] <= result.recovered[complete, foreign]


@given(communities())
def test_adjusted_rand_index_is_scikit_learns(case: tuple[Gold, Binning]) -> None:
    gold, binning = case
    result = evaluate(gold, binning)
    if not binning.pairs:
        assert result.ari_seq is None
        return
    genomes = [gold.genome[c] for c, _ in binning.pairs]
    expected = adjusted_rand_score(genomes, [b for _, b in binning.pairs])
    assert result.ari_seq == pytest.approx(expected, abs=1e-9)


GOLD_TABLE = "contig\tgenome\tlength\tmatched\nA0\tA\t600\t600\nB0\tB\t500\t480\n"
GOLD_CAMI = (
    "@Version:0.9.1\n@SampleID:S\n\n@@SEQUENCEID\tBINID\tTAXID\t_LENGTH\n"
    "A0\tA\t1\t600\nB0\tB\t2\t500\n"
)
BINS = {
    "plain": "A0\tx\nB0\ty\n",
    "header": "contig\tbin\nA0\tx\nB0\ty\n",
    "other order": "clustername\tcontigname\nx\tA0\ny\tB0\n",
    "crlf, blank lines": "contig\tbin\r\nA0\tx\r\n\r\nB0\ty\r\n",
    "unbinned": "A0\tx\nB0\ty\nA1\t-1\nA2\tunbinned\n",
    "twice": "A0\tx\nA0\tx\nB0\ty\n",
    "cami": "@SampleID:S\n@@SEQUENCEID\tBINID\nA0\tx\nB0\ty\n",
}


@pytest.mark.parametrize("text", [GOLD_TABLE, GOLD_CAMI, GOLD_TABLE.replace("\n", "\r\n")])
def test_gold_formats(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gold"
    path.write_bytes(gzip.compress(text.encode()))
    gold = read_gold(path)
    assert (gold.genome, gold.length) == ({"A0": "A", "B0": "B"}, {"A0": 600, "B0": 500})


@pytest.mark.parametrize("text", BINS.values(), ids=BINS)
def test_binning_formats(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bins.tsv"
    path.write_bytes(text.encode())
    assert read_binning("t", path).pairs == (("A0", "x"), ("B0", "y"))


def test_folder_of_bins(tmp_path: Path) -> None:
    (tmp_path / "x.1.fa").write_text(">A0 text\nACGT\n>A1\nACGT\n")
    (tmp_path / "y.fasta.gz").write_bytes(gzip.compress(b">B0\nACGT\n"))
    (tmp_path / "unbinned.fa").write_text(">C0\nACGT\n")
    (tmp_path / "notes.txt").write_text("no sequence")
    assert read_binning("t", tmp_path).pairs == (("A0", "x.1"), ("A1", "x.1"), ("B0", "y"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header has no column 'contig'"),
        ("A0\tA\t600\n", "line 1: the header has no column 'contig'"),
        ("contig\tgenome\nA0\tA\n", "line 1: the header has no column 'length'"),
        ("contig\tgenome\tlength\nA0\tA\n", "line 2: 2 tab-separated column"),
        ("contig\tgenome\tlength\nA0\tA\tlong\n", "line 2: genome 'A', length 'long'"),
        ("contig\tgenome\tlength\nA0\tA\t0\n", "line 2: genome 'A', length '0'"),
        ("contig\tgenome\tlength\nA0\tA\t5\nA0\tB\t5\n", "line 3: contig 'A0' stands there twice"),
        ("contig\tgenome\tlength\n", "no contig of at least"),
        (GOLD_CAMI + GOLD_CAMI, "line 10: a second sample begins"),
        ("contig\tgenome\tlength\nA0\t\xff\t5\n", "line 2: not UTF-8"),
    ],
)
def test_bad_gold(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "gold.tsv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message) as caught:
        read_gold(path)
    assert str(path) in str(caught.value)


def test_bad_binnings(tmp_path: Path) -> None:
    path = tmp_path / "bins.tsv"
    path.write_text("A0\tx\nB0 y\n")
    with pytest.raises(InputError, match="line 2: 1 tab-separated column"):
        read_binning("t", path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no FASTA file"):
        read_binning("t", tmp_path / "empty")
    with pytest.raises(InputError, match="no such file"):
        read_binning("t", tmp_path / "none")
    with pytest.raises(InputError, match="none of its 2 contigs, such as 'k1'"):
        evaluate(gold_of(A=[5]), binning_of(x="k1 k2"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def run_main(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def test_executable_writes_three_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold, bins, out = tmp_path / "gold.tsv", tmp_path / "b.tsv", tmp_path / "evaluation.tsv"
    gold.write_text(GOLD_TABLE)
    bins.write_text("A0\tx\nB0\tx\nQ\ty\n")
    more = ("--genomes-out", tmp_path / "g.tsv", "--bins-out", tmp_path / "bins_out.tsv")
    assert run_main("--gold", gold, "--bins", f"one={bins}", "--out", out, *more) == 0
    assert "1 contigs are not in the gold standard" in capsys.readouterr().err
    (row,) = rows_of(out)
    assert (row["binning"], row["bins"], row["recovered_50_10"]) == ("one", "1", "0")
    assert row["purity_bp"] == f"{600 / 1100:.6f}"
    genomes = list(rows_of(tmp_path / "g.tsv"))
    assert [(g["genome"], g["bin"]) for g in genomes] == [("A", "x"), ("B", "x")]
    (scored,) = rows_of(tmp_path / "bins_out.tsv")
    assert (scored["bin"], scored["genome"], scored["contigs"]) == ("x", "A", "2")


def test_executable_reports_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold, out = tmp_path / "gold.tsv", tmp_path / "evaluation.tsv"
    gold.write_text(GOLD_TABLE)
    assert run_main("--gold", gold, "--bins", "x=none.tsv", "--out", out) == 3
    assert "none.tsv: no such file" in capsys.readouterr().err
    assert run_main("--gold", gold, "--bins", "x=a", "x=b", "--out", out) == 2
    assert "'x' names several binnings" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        run_main("--gold", gold, "--bins", "a.tsv", "--out", out)
    assert caught.value.code == 2
    assert not out.exists()


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom llmbin_tools.evaluate import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_unknown_numbers_are_na(tmp_path: Path) -> None:
    empty = evaluate(gold_of(A=[1000]), binning_of())
    write_summary(tmp_path / "e.tsv", [empty])
    write_genomes(tmp_path / "g.tsv", [empty])
    write_bins(tmp_path / "b.tsv", [empty])
    (row,) = rows_of(tmp_path / "e.tsv")
    assert (row["purity_bp"], row["completeness_bp"]) == ("NA", "0.000000")
    assert (tmp_path / "g.tsv").read_text().splitlines()[1].endswith("NA\tNA")
    assert len((tmp_path / "b.tsv").read_text().splitlines()) == 1
