"""Alignments of long reads: what counts of clipped and of split ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pysam
import pytest
from coverage_files import SUPPLEMENTARY, Read, bases, table, write_alignments
from hypothesis import given
from hypothesis import strategies as st

from llmbin_core.coverage import DepthFilter, Sample, alignment_coverage, merge_coverage
from llmbin_core.coverage.longreads import SplitReads, explains_its_read
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


def record(piece: Piece, others: tuple[Piece, ...] = (), name: str = "r") -> pysam.AlignedSegment:
    made = pysam.AlignedSegment(HEADER)
    made.query_name, made.flag, made.mapping_quality = name, piece.flag, 60
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


@pytest.mark.parametrize(
    ("piece", "others", "counts"),
    [
        (Piece(0, 3000, "4000M"), (), True),
        # Clipped in the middle of the contig: as long as the alignment, and a base longer.
        (Piece(0, 3000, "1000M1000S"), (), True),
        (Piece(0, 3000, "1000M1001S"), (), False),
        (Piece(0, 3000, "500H501S1000M"), (), False),
        # Deletions belong to the alignment: it spans 1100 bp of the contig.
        (Piece(0, 3000, "500M100D500M1100S"), (), True),
        # Beyond the ends of the contig nothing can align: 100 of 5000 clipped bases could.
        (Piece(0, 100, "5000S1000M"), (), True),
        (Piece(0, LENGTH - 1100, "1000M5000S"), (), True),
        (Piece(0, 1500, "5000S1000M"), (), False),
        # The rest of the read is explained by another alignment, or by a part of it not enough.
        (Piece(0, 3000, "1000M5000S"), (Piece(1, 0, "1000S5000M"),), True),
        (Piece(0, 3000, "1000M5000S"), (Piece(1, 0, "1000S3000M2000S"),), False),
    ],
)
def test_an_alignment_explains_its_read(
    piece: Piece, others: tuple[Piece, ...], counts: bool
) -> None:
    assert explains_its_read(record(piece, others), LENGTH) is counts


PIECES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=5
)


@given(PIECES)
def test_a_read_counts_once_per_position(pieces: list[tuple[int, int, int]]) -> None:
    """Against the set of positions that the alignments of a read cover."""
    parts = [Piece(contig, start, f"{size}M") for contig, start, size in pieces]
    split = SplitReads()
    found: list[tuple[int, int]] = []
    for number, part in enumerate(parts):
        others = tuple(parts[:number] + parts[number + 1 :])
        blocks = split.uncounted(record(part, others), int(part.cigar[:-1]))
        for offset, size in [(0, blocks)] if isinstance(blocks, int) else blocks:
            found += [(part.contig, part.start + offset + i) for i in range(size)]
    wanted = {(c, i) for c, start, size in pieces for i in range(start, start + size)}
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


def test_mates_of_a_pair_are_two_reads(tmp_path: Path) -> None:
    contigs = table(a=LENGTH, b=LENGTH)
    reads = [Read(0, 100, (("M", 100),), flag) for flag in (65, 129)]
    path = write_alignments(tmp_path / "s.bam", contigs, reads)
    made = alignment_coverage(contigs, [Sample(path, "s")], 0, 1, DepthFilter(reads="hybrid"))
    assert made.tensors["mean"][0, 0, 0] == pytest.approx(200 / LENGTH)


def test_only_spurious_alignments_are_an_error(tmp_path: Path) -> None:
    contigs = table(a=LENGTH, b=LENGTH)
    path = write_alignments(tmp_path / "s.bam", contigs, [Read(0, 5000, (("M", 100), ("S", 3000)))])
    with pytest.raises(InputError, match=r"none of its 1 alignments .* covers enough of its read"):
        alignment_coverage(contigs, [Sample(path, "s")], 0, 1, DepthFilter(reads="long"))


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
