"""Small alignment files for the coverage tests, and a slow depth count to compare with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pysam

from llmbin_core.contigs import ContigTable

UNMAPPED, REVERSE, SECONDARY, QC_FAIL, DUPLICATE, SUPPLEMENTARY = 4, 16, 256, 512, 1024, 2048


@dataclass(frozen=True)
class Read:
    """One alignment record; `cigar` as (operation letter, length) pairs."""

    contig: int
    start: int
    cigar: tuple[tuple[str, int], ...]
    flag: int = 0
    mapq: int = 60
    mismatches: int | None = 0

    @property
    def span(self) -> int:
        return sum(n for op, n in self.cigar if op in "MDN=X")


def table(**lengths: int) -> ContigTable:
    return ContigTable(tuple(lengths), np.array(list(lengths.values()), dtype=np.int64))


def bases(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


def write_fasta(path: Path, contigs: ContigTable) -> Path:
    records = (
        f">{name}\n{bases(int(length), row)}\n"
        for row, (name, length) in enumerate(zip(contigs.names, contigs.lengths, strict=True))
    )
    path.write_text("".join(records))
    return path


def write_alignments(
    path: Path, contigs: ContigTable, reads: Sequence[Read], reference: Path | None = None
) -> Path:
    """Write records in the given order; CRAM when the name ends so."""
    header = pysam.AlignmentHeader.from_dict(
        {
            "HD": {"VN": "1.6"},
            "SQ": [
                {"SN": n, "LN": int(x)} for n, x in zip(contigs.names, contigs.lengths, strict=True)
            ],
        }
    )
    mode = "wc" if path.suffix == ".cram" else "wb"
    with pysam.AlignmentFile(
        str(path), mode, header=header, reference_filename=str(reference) if reference else None
    ) as out:
        for number, read in enumerate(reads):
            record = pysam.AlignedSegment(header)
            record.query_name = f"r{number}"
            record.flag = read.flag
            record.reference_id = read.contig
            record.reference_start = read.start
            record.mapping_quality = read.mapq
            record.cigarstring = "".join(f"{n}{op}" for op, n in read.cigar) or None
            size = sum(n for op, n in read.cigar if op in "MIS=X")
            record.query_sequence = bases(size, number) or None
            if read.mismatches is not None:
                record.set_tag("NM", read.mismatches)
            out.write(record)
    return path


def naive_depth(
    contigs: ContigTable, reads: Sequence[Read], min_mapq: int = 0, min_identity: float = 0.0
) -> list[np.ndarray]:
    """Depth base by base."""
    depth = [np.zeros(length, dtype=np.int64) for length in contigs.lengths]
    for read in reads:
        if read.flag & (UNMAPPED | SECONDARY | QC_FAIL | DUPLICATE) or read.mapq < min_mapq:
            continue
        if min_identity:
            columns = sum(n for op, n in read.cigar if op in "MID=X")
            if not columns or 1 - (read.mismatches or 0) / columns < min_identity:
                continue
        at = read.start
        for operation, size in read.cigar:
            if operation in "M=X":
                for base in range(at, at + size):
                    depth[read.contig][base] += 1
            if operation in "M=XDN":
                at += size
    return depth


def naive_moments(
    depth: Sequence[np.ndarray], starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population variance of each view by numpy's own functions, float32 [n, V]."""
    mean, variance = np.zeros((2, *starts.shape))
    for row, view in np.ndindex(starts.shape):
        part = depth[row][starts[row, view] : ends[row, view]]
        mean[row, view], variance[row, view] = part.mean(), part.var()
    return mean.astype(np.float32), variance.astype(np.float32)
