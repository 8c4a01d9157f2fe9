"""The executable llmbin-coverage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from coverage_files import Read, table, write_alignments, write_fasta
from llmbin_tools.coverage import main

from llmbin_core import defaults
from llmbin_core.stagefile import read_stage
from llmbin_core.views import N_VIEWS

CONTIGS = table(a=2500, b=1700)


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[str, list[str]]:
    fasta = write_fasta(tmp_path / "a {b} c.fa", CONTIGS)
    bams = [
        write_alignments(tmp_path / f"s {i}.bam", CONTIGS, [Read(i, 40, (("M", 150),))])
        for i in range(2)
    ]
    return str(fasta), [str(b) for b in bams]


def test_all_at_once_equals_merged_single_samples(
    tmp_path: Path, inputs: tuple[str, list[str]]
) -> None:
    fasta, bams = inputs
    names = ["--sample-names", "x", "y"]
    assert main(["--contigs", fasta, "--bam", *bams, *names, "--out", str(tmp_path / "all")]) == 0
    for name, bam in zip("xy", bams, strict=True):
        one = ["--contigs", fasta, "--bam", bam, "--sample-names", name]
        assert main([*one, "--out", str(tmp_path / name), "--quiet"]) == 0
    parts = [str(tmp_path / name) for name in "yx"]
    assert main(["--merge", *parts, "--out", str(tmp_path / "merged")]) == 0
    assert (tmp_path / "merged").read_bytes() == (tmp_path / "all").read_bytes()
    file = read_stage(tmp_path / "all", "coverage")
    assert file.contigs.digest == CONTIGS.digest
    assert file.tensors["mean"].shape == (2, N_VIEWS, 2)
    assert file.provenance.seed == 0
    assert set(file.provenance.inputs) == {"a {b} c.fa", "s 0.bam", "s 1.bam"}


def test_options_reach_the_result(tmp_path: Path, inputs: tuple[str, list[str]]) -> None:
    fasta, bams = inputs
    limits = ["--min-mapq", "7", "--min-identity", "0.9", "--views", "2", "--seed", "5"]
    out = tmp_path / "out"
    assert main(["--contigs", fasta, "--bam", *bams, *limits, "--out", str(out)]) == 0
    found = read_stage(out).provenance
    assert (found.seed, found.n_views) == (5, 2)
    assert (found.options["min_mapq"], found.options["min_identity"]) == (7, 0.9)


def test_depth_table_says_that_it_knows_no_views(
    tmp_path: Path, inputs: tuple[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    depths = tmp_path / "s.tsv"
    depths.write_text("a\t1\nb\t2\n")
    out = tmp_path / "out"
    assert main(["--contigs", inputs[0], "--depth-table", str(depths), "--out", str(out)]) == 0
    assert "know no views" in capsys.readouterr().err
    assert read_stage(out).provenance.options["per_view"] is False


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--bam", "x.bam"], 2, "--bam needs --contigs"),
        (["--merge", "x", "--contigs", "c.fa"], 2, "--contigs has no effect with --merge"),
        (["--merge", "x", "--seed", "3"], 2, "--seed has no effect with --merge"),
        (["--depth-table", "x", "--contigs", "c.fa", "--min-mapq", "3"], 2, "--min-mapq has no"),
        (["--merge", "x"], 3, "x: no such file"),
        (["--bam", "x.bam", "--contigs", "c.fa"], 3, "c.fa: no such file"),
        (["--bam", "x.bam", "--contigs", "c.fa", "--min-mapq", "256"], 2, "is not within 0..255"),
    ],
)
def test_misuse_ends_with_its_code_and_message(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    message: str,
) -> None:
    assert main([*options, "--out", str(tmp_path / "out")]) == code
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_loads_nothing_heavy_and_shares_the_defaults() -> None:
    code = (
        "import sys; from llmbin_tools.coverage import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'numpy', 'pysam', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert f"(default: {defaults.N_VIEWS})" in done.stdout
    assert defaults.N_VIEWS == N_VIEWS
