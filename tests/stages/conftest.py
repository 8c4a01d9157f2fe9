"""Data for the workflows, made once per session.

Workflows find it at ``$LLMBIN_TEST_DATA``: a small community, a finished run on it, two samples
that were assembled apart and a finished run on these, a few contigs of it in several guises, and
files that no stage may accept. Set the variable to a folder to keep the data for the next session.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pysam
import pytest

_VARIABLE = "LLMBIN_TEST_DATA"
_COMPLETE = "complete"


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    kept = os.environ.get(_VARIABLE)
    folder = Path(kept or tempfile.mkdtemp(prefix="llmbin-stages-")).resolve()
    os.environ[_VARIABLE] = str(folder)
    if not kept:
        session.config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    if not (folder / _COMPLETE).exists():
        _make(folder)
        (folder / _COMPLETE).touch()


def _make(folder: Path) -> None:
    community = folder / "community"
    _call("llmbin-simulate", "--n-genomes", "5", "--genome-size", "0.5", "0.7", "--samples", "3",
          "--depth", "15", "--seed", "1", "--out", str(community))  # fmt: skip
    bams = [str(p) for p in sorted(community.glob("*.bam"))]
    _call("llmbin", "run", "--contigs", str(community / "contigs.fasta.gz"), "--bam", *bams,
          "--out", str(folder / "run"))  # fmt: skip
    _make_multi(folder / "multi", folder / "multi_run")
    _make_small(folder, community / "contigs.fasta.gz")
    _make_bad(folder / "bad", folder / "small.fa")


def _make_multi(community: Path, run: Path) -> None:
    """Two samples, assembled apart, and their multi-sample binning."""
    _call("llmbin-simulate", "--mode", "multi", "--n-genomes", "3", "--genome-size", "0.25", "0.3",
          "--samples", "2", "--presence", "1", "--depth", "12", "--seed", "3",
          "--out", str(community))  # fmt: skip
    _call("llmbin", "run", "--contigs", *map(str, sorted((community / "assemblies").glob("*.gz"))),
          "--bam", *map(str, sorted(community.glob("*.bam"))), "--epochs", "4",
          "--min-bin-size", "100000", "--out", str(run))  # fmt: skip


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr}", 1)


def _make_small(folder: Path, contigs: Path) -> None:
    """Twelve contigs: plain, with CRLF, compressed, and under a name that shells stumble over."""
    lines = gzip.decompress(contigs.read_bytes()).splitlines(keepends=True)
    heads = [i for i, line in enumerate(lines) if line.startswith(b">")]
    text = b"".join(lines[: heads[12]])
    (folder / "small.fa").write_bytes(text)
    (folder / "crlf.fa").write_bytes(text.replace(b"\n", b"\r\n"))
    (folder / "small.fa.gz").write_bytes(gzip.compress(text))
    odd = folder / "odd {a} 'b' \"c\" $d"
    odd.mkdir(exist_ok=True)
    (odd / "my contigs.fa").write_bytes(text)
    for ending in ("bam", "bam.bai"):
        shutil.copyfile(folder / "community" / f"S1.{ending}", odd / f"my reads.{ending}")


def _make_bad(folder: Path, small: Path) -> None:
    folder.mkdir(exist_ok=True)
    text = small.read_bytes()
    files = {
        "empty.fa": b"",
        "protein.fa": b">p1\nMKVLAAGIVGLLLAQPSFEEDRHWYTNC\n",
        "duplicate.fa": b">a\nACGT\n>b\nACGT\n>a\nACGT\n",
        "truncated.fa.gz": gzip.compress(text)[:2000],
        "reads.fq": b"@r1\nACGT\n+\nIIII\n",
        "binary.fa": bytes(range(256)),
        "short.fa": b">a\n" + b"ACGTTGCA" * 40 + b"\n",
        "other.fa": b">z\n" + b"ACGTTGCATT" * 200 + b"\n",
        "notes.txt": b"no stage file\n",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    first = text.split(None, 1)[0][1:].decode()
    _write_bam(folder / "other.bam", {"elsewhere": 5000})
    _write_bam(folder / "longer.bam", {**_lengths(small), first: 99999})
    whole = (folder.parent / "community" / "S1.bam").read_bytes()
    (folder / "truncated.bam").write_bytes(whole[: len(whole) // 2])


def _lengths(fasta: Path) -> dict[str, int]:
    with pysam.FastxFile(str(fasta)) as records:
        return {record.name: len(record.sequence) for record in records}


def _write_bam(path: Path, lengths: Mapping[str, int]) -> None:
    names = list(lengths)
    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": n, "LN": lengths[n]} for n in names]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as bam:
        read = pysam.AlignedSegment(bam.header)
        read.query_name, read.query_sequence = "r1", "ACGT" * 25
        read.reference_id, read.reference_start, read.cigarstring = 0, 10, "100M"
        read.mapping_quality = 60
        bam.write(read)
