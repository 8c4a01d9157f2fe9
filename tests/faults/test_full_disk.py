"""A disk that takes no more, played by a limit on the size of files."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
LIMIT = 12_000


def _limited(*command: str) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))

    return subprocess.run(
        [str(BIN / command[0]), *command[1:]], preexec_fn=limit, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("community")
    subprocess.run(
        [str(BIN / "llmbin-simulate"), "--n-genomes", "1", "--genome-size", "0.3", "0.3",
         "--samples", "1", "--depth", "3", "--out", str(folder)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder


def test_stages_say_so_and_leave_nothing(community: Path, tmp_path: Path) -> None:
    contigs, bam = str(community / "contigs.fasta.gz"), str(community / "S1.bam")
    out = tmp_path / "out"
    commands = {
        "prepare": ["--contigs", contigs, "--out", str(out)],
        "composition": ["--contigs", contigs, "--out", str(out / "composition")],
        "markers": ["--contigs", contigs, "--out", str(out / "m"), "--sets-out", str(out / "s")],
        "run": ["--contigs", contigs, "--bam", bam, "--out", str(out)],
    }
    for stage, options in commands.items():
        done = _limited("llmbin", stage, *options)
        assert done.returncode == 4, f"{stage}: {done.stderr}"
        assert "cannot be written" in done.stderr
        assert "check free disk space" in done.stderr
        assert "Traceback" not in done.stderr
        left = {p.name for p in out.iterdir()} - {"run.json"} if out.exists() else set()
        assert not left, f"{stage} left {left}"
