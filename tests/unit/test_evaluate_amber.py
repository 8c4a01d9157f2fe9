"""The numbers of an evaluation are those of AMBER (cami-amber) on the same files."""

from __future__ import annotations

import csv
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmbin_core.evaluate import LEVELS, Evaluation, evaluate, read_binning, read_gold

# Our numbers and their names in AMBER's results.tsv.
AMBER_NAMES = {
    "average_purity_bp": "precision_avg_bp",
    "average_purity_seq": "precision_avg_seq",
    "average_completeness_bp": "recall_avg_bp",
    "average_completeness_seq": "recall_avg_seq",
    "f1_bp": "f1_score_bp",
    "f1_seq": "f1_score_seq",
    "purity_bp": "precision_weighted_bp",
    "completeness_bp": "recall_weighted_bp",
    "f1_sample_bp": "f1_score_per_bp",
    "accuracy_bp": "accuracy_bp",
    "ari_bp": "adjusted_rand_index_bp",
    "ari_seq": "adjusted_rand_index_seq",
    "binned_bp_share": "percentage_of_assigned_bps",
    "binned_seq_share": "percentage_of_assigned_seqs",
}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def amber() -> list[str]:
    """The command that runs AMBER, or a skip with the reason why it cannot be run.

    LLMBIN_AMBER may name an amber.py of another environment (its dependencies are pinned).
    """
    named = os.environ.get("LLMBIN_AMBER")
    beside = Path(sys.executable).with_name("amber.py")
    found = named or (str(beside) if beside.exists() else shutil.which("amber.py"))
    if not found:
        pytest.skip("cami-amber is not installed (no amber.py beside Python or on PATH)")
    run = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"{found} cannot be run: {run.stderr.strip().splitlines()[-1]}")
    return [found]


def noisy_community(seed: int) -> tuple[list[tuple[str, str, int]], dict[str, str]]:
    """900 contigs of 12 genomes, and bins with strays, merged and lost contigs."""
    rng = random.Random(seed)
    gold = [(f"c{i}", f"g{i % 12}", rng.randint(1000, 10**6)) for i in range(900)]
    bins = {}
    for contig, genome, _ in gold:
        number = int(genome[1:])
        if rng.random() < 0.9 - number / 40:
            bins[contig] = f"bin{number // (1 + seed % 2)}"
        elif rng.random() < 0.6:
            bins[contig] = f"bin{rng.randrange(14)}"
    return gold, bins


def test_numbers_are_those_of_amber(tmp_path: Path) -> None:
    command = amber()
    header = "@Version:0.9.1\n@SampleID:S\n\n@@SEQUENCEID\tBINID"
    gold, _ = noisy_community(0)
    gold_path = tmp_path / "gold.tsv"
    gold_path.write_text(f"{header}\tLENGTH\n" + "".join(f"{c}\t{g}\t{bp}\n" for c, g, bp in gold))
    names = ["even", "merged", "perfect"]
    for seed, name in enumerate(names):
        bins = noisy_community(seed)[1] if name != "perfect" else {c: g for c, g, _ in gold}
        lines = "".join(f"{c}\t{b}\n" for c, b in bins.items())
        (tmp_path / name).write_text(f"{header}\n{lines}")
    files = [str(tmp_path / name) for name in names]
    for min_contig in (0, 50_000):
        out = tmp_path / f"amber{min_contig}"
        options = ["-g", str(gold_path), "-o", str(out), "-l", ",".join(names), "--skip_gs"]
        subprocess.run(
            [*command, *options, "-n", str(min_contig), "--silent", *files],
            check=True,
            capture_output=True,
        )
        ours = read_gold(gold_path, min_contig)
        for name, file in zip(names, files, strict=True):
            compare(evaluate(ours, read_binning(name, Path(file))), out)


def compare(result: Evaluation, amber_out: Path) -> None:
    """Every number of the summary, every bin and every count of recovered genomes."""
    row = next(r for r in rows_of(amber_out / "results.tsv") if r["Tool"] == result.name)
    for mine, theirs in AMBER_NAMES.items():
        # Both end in a double; the order of summation may differ in its last bits.
        expected = pytest.approx(float(row[theirs]), rel=1e-12)
        assert getattr(result, mine) == expected, (result.name, mine)
    rows = [r for r in rows_of(amber_out / "bin_metrics.tsv") if r["Tool"] == result.name]
    theirs_bins = {r["BINID"]: r for r in rows}
    assert set(theirs_bins) == {b.bin for b in result.bins}
    for b in result.bins:
        r = theirs_bins[b.bin]
        assert b.genome == r["genome_id"]
        assert [b.length, b.true_length, b.contigs, b.true_contigs] == [
            int(r[k]) for k in ("total_length", "tp_length", "total_seq_counts", "tp_seq_counts")
        ]
        assert b.purity_bp == float(r["precision_bp"])
        assert b.completeness_bp == float(r["recall_bp"])
        assert b.purity_seq == float(r["precision_seq"])
        assert b.completeness_seq == float(r["recall_seq"])
    for complete, foreign in LEVELS:
        count = sum(
            float(r["recall_bp"]) > complete / 100 and float(r["precision_bp"]) > 1 - foreign / 100
            for r in rows
        )
        assert result.recovered[complete, foreign] == count
