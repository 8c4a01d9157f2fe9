"""Alignments of long reads: what counts of split ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pysam
import pytest
from coverage_files import SUPPLEMENTARY, Read, bases, table, write_alignments
from hypothesis import given
from hypothesis import strategies as st

from llmbin_core.coverage import DepthFilter, Sample, alignment_coverage, merge_coverage
from llmbin_core.coverage.longreads import SplitReads
from llmbin_core.errors import InputError, UsageError
from llmbin_core.stagefile import StageFile

LENGTH = 10_000
HEADER = pysam.AlignmentHeader.from_dict(
    {"HD": {"VN": "1.6"}, "SQ": [{"SN": "a", "LN": LENGTH}, {"SN": "b", "LN": LENGTH}]}
)


@dataclass(frozen=True)
class Piece:
    """One alignment of a read."""

    contig: int
    start: int
    cigar: str
    flag: int = 0
    quality: int = 60


def record(piece: Piece, others: tuple[Piece, ...] = (), name: str = "r") -> pysam.AlignedSegment:
    made = pysam.AlignedSegment(HEADER)
    made.query_name, made.flag, made.mapping_quality = name, piece.flag, piece.quality
    made.reference_id, made.reference_start, made.cigarstring = (
        piece.contig,
        piece.start,
        piece.cigar,
    )
    made.query_sequence = bases(made.infer_query_length(), 1)
    if others:
        tags = [f"{'ab'[o.contig]},{o.start + 1},+,{o.cigar},60,0;" for o in others]
        made.set_tag("SA", "".join(tags))
    return made


BLOCKS = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 5)), min_size=1, max_size=4)
PIECES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 60), BLOCKS), min_size=1, max_size=5)


@given(PIECES)
def test_a_read_counts_once_per_position(
    pieces: list[tuple[int, int, list[tuple[int, int]]]],
) -> None:
    """Against the set of positions that the alignments of a read cover; deletions lie between."""
    parts, layouts = [], []
    wanted: set[tuple[int, int]] = set()
    for contig, start, steps in pieces:
        cigar, blocks, at = "", [], 0
        for size, gap in steps:
            blocks.append((at, size))
            wanted |= {(contig, start + at + i) for i in range(size)}
            cigar += f"{size}M{gap}D"
            at += size + gap
        parts.append(Piece(contig, start, cigar))
        layouts.append(blocks[0][1] if len(blocks) == 1 else tuple(blocks))
    split = SplitReads()
    found: list[tuple[int, int]] = []
    for number, (part, layout) in enumerate(zip(parts, layouts, strict=True)):
        others = tuple(parts[:number] + parts[number + 1 :])
        left = split.uncounted(record(part, others), layout)
        for offset, size in [(0, left)] if isinstance(left, int) else left:
            found += [(part.contig, part.start + offset + i) for i in range(size)]
    assert sorted(found) == sorted(wanted)


def write_split(path: Path, order: tuple[int, ...]) -> Path:
    """A read with two overlapping alignments to one contig and one to another, and a whole read."""
    parts = (
        Piece(0, 1000, "2000M2000S"),
        Piece(0, 2500, "2000H1500M500H", SUPPLEMENTARY),
        Piece(1, 0, "3500H500M", SUPPLEMENTARY),
    )
    records = [
        record(part, parts[:number] + parts[number + 1 :]) for number, part in enumerate(parts)
    ]
    records.append(record(Piece(1, 0, "4000M"), name="other"))
    with pysam.AlignmentFile(str(path), "wb", header=HEADER) as out:
        for number in order:
            out.write(records[number])
    return path


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (2, 3, 0, 1)])
def test_depth_of_split_reads(tmp_path: Path, order: tuple[int, ...]) -> None:
    contigs = table(a=LENGTH, b=LENGTH)
    sample = Sample(write_split(tmp_path / "s.bam", order), "s")
    means, reads = {}, {}
    for kind in ("short", "long"):
        made = alignment_coverage(contigs, [sample], 0, 1, DepthFilter(reads=kind))
        means[kind] = (made.tensors["mean"][:, 0, 0] * LENGTH).tolist()
        reads[kind] = made.provenance.options["mapped_reads"]["s"]
        assert made.provenance.options["reads"] == kind
    # By records 2000 + 1500 bp; by positions 1000..3999, 3000 bp.
    assert means["short"] == pytest.approx([3500, 4500])
    assert means["long"] == pytest.approx([3000, 4500])
    assert reads == {"short": 2, "long": 2}


def test_a_part_that_does_not_pass_covers_nothing(tmp_path: Path) -> None:
    """The first part is ambiguous: what it shares with the second counts for the second."""
    contigs = table(a=LENGTH, b=LENGTH)
    parts = (
        Piece(0, 1000, "2000M2000S", quality=3),
        Piece(0, 2500, "2000H1500M500H", SUPPLEMENTARY),
    )
    path = tmp_path / "s.bam"
    with pysam.AlignmentFile(str(path), "wb", header=HEADER) as out:
        for number, part in enumerate(parts):
            out.write(record(part, (parts[1 - number],)))
        out.write(record(Piece(1, 0, "4000M"), name="other"))
    for least, covered in ((0, 3000), (10, 1500)):
        passing = DepthFilter(min_mapq=least, reads="long")
        made = alignment_coverage(contigs, [Sample(path, "s")], 0, 1, passing)
        assert made.tensors["mean"][0, 0, 0] * LENGTH == pytest.approx(covered)


def test_mates_of_a_pair_are_two_reads(tmp_path: Path) -> None:
    contigs = table(a=LENGTH, b=LENGTH)
    reads = [Read(0, 100, (("M", 100),), flag) for flag in (65, 129)]
    path = write_alignments(tmp_path / "s.bam", contigs, reads)
    made = alignment_coverage(contigs, [Sample(path, "s")], 0, 1, DepthFilter(reads="hybrid"))
    assert made.tensors["mean"][0, 0, 0] == pytest.approx(200 / LENGTH)


def test_kinds_of_reads_do_not_merge(tmp_path: Path) -> None:
    contigs = table(a=LENGTH, b=LENGTH)
    path = write_split(tmp_path / "s.bam", (0, 1, 2, 3))
    files = []
    for name, kind in (("x", "short"), ("y", "long")):
        made = alignment_coverage(contigs, [Sample(path, name)], 0, 2, DepthFilter(reads=kind))
        files.append(StageFile(Path(name), contigs, made.provenance, made.tensors))
    with pytest.raises(InputError, match="x and y do not belong together: reads short and long"):
        merge_coverage(files)
    with pytest.raises(UsageError, match="reads 'x': use one of short, long, hybrid"):
        DepthFilter(reads="x")
