"""Depth of views from BAM and CRAM files."""

from __future__ import annotations

import gzip
import random
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pysam
import pytest
from coverage_files import (
    DUPLICATE,
    QC_FAIL,
    REVERSE,
    SECONDARY,
    SUPPLEMENTARY,
    UNMAPPED,
    Read,
    naive_depth,
    naive_moments,
    table,
    write_alignments,
    write_fasta,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbin_core.contigs import ContigTable
from llmbin_core.coverage import DepthFilter, alignments, depth, handles
from llmbin_core.coverage.alignments import SampleDepth, sample_depth
from llmbin_core.errors import InputError, UsageError
from llmbin_core.views import views

CONTIGS = table(a=60, b=35, c=90)
FLAGS = (0, REVERSE, UNMAPPED, SECONDARY, QC_FAIL, DUPLICATE, SUPPLEMENTARY)


def whole(contigs: ContigTable) -> tuple[np.ndarray, np.ndarray]:
    """Three views of each contig: all of it, its first half, its last base."""
    ends = np.stack([contigs.lengths, (contigs.lengths + 1) // 2, contigs.lengths], axis=1)
    starts = np.zeros_like(ends)
    starts[:, 2] = contigs.lengths - 1
    return starts, ends


def measure(
    path: Path,
    contigs: ContigTable = CONTIGS,
    passing: DepthFilter | None = None,
    **options: object,
) -> SampleDepth:
    return sample_depth(path, contigs, *whole(contigs), passing or DepthFilter(), **options)


def expect(result: SampleDepth, contigs: ContigTable, reads: list[Read], **limits: float) -> None:
    mean, variance = naive_moments(naive_depth(contigs, reads, **limits), *whole(contigs))
    np.testing.assert_allclose(result.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(result.variance, variance, rtol=1e-6, atol=1e-12)


@st.composite
def reads(draw: st.DrawFn, contigs: ContigTable = CONTIGS) -> Read:
    clip = st.sampled_from([(), (("S", 3),), (("H", 7),), (("H", 2), ("S", 1))])
    steps = st.tuples(st.sampled_from("MM=XIDN"), st.integers(1, 9))
    inner = draw(st.lists(steps, min_size=1, max_size=7))
    cigar = (*draw(clip), *inner, *reversed(draw(clip)))
    span = sum(n for op, n in cigar if op in "MDN=X")
    fits = [row for row, length in enumerate(contigs.lengths) if length >= span]
    row = draw(st.sampled_from(fits))
    start = draw(st.integers(0, int(contigs.lengths[row]) - span))
    return Read(
        row, start, cigar, draw(st.sampled_from(FLAGS)), draw(st.integers(0, 60)),
        draw(st.integers(0, 4)),
    )  # fmt: skip


KEPT = Read(1, 0, (("M", 4),))


@settings(max_examples=60)
@given(
    some=st.lists(reads(), max_size=25),
    mapq=st.sampled_from([0, 0, 20]),
    identity=st.sampled_from([0.0, 0.0, 0.8]),
    group_bp=st.sampled_from([1, 64, 1 << 20]),
    flush_at=st.sampled_from([1, 1 << 18]),
)
def test_depth_is_the_naive_count_for_any_records_sorted_or_not(
    tmp_path_factory: pytest.TempPathFactory,
    some: list[Read],
    mapq: int,
    identity: float,
    group_bp: int,
    flush_at: int,
) -> None:
    records = [*some, KEPT]
    folder = tmp_path_factory.mktemp("depth")
    ordered = sorted(records, key=lambda r: (r.contig, r.start))
    limits = {"min_mapq": mapq, "min_identity": identity}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depth, "GROUP_BP", group_bp)
        patch.setattr(alignments, "_FLUSH_AT", flush_at)
        results = [
            measure(write_alignments(folder / name, CONTIGS, order), passing=DepthFilter(**limits))
            for name, order in (("any.bam", records), ("sorted.bam", ordered))
        ]
    expect(results[0], CONTIGS, records, **limits)
    assert results[0].mean.tobytes() == results[1].mean.tobytes()
    assert results[0].variance.tobytes() == results[1].variance.tobytes()
    assert results[0].reads == results[1].reads


def random_reads(contigs: ContigTable, count: int, size: int) -> list[Read]:
    draw = random.Random(5)
    out = []
    for _ in range(count):
        gap = draw.choice([(), (("D", 3), ("M", 9)), (("N", 20), ("M", 6)), (("I", 4), ("M", 8))])
        cigar = (("S", 2), ("M", size), *gap)
        row = draw.randrange(len(contigs))
        span = sum(n for op, n in cigar if op in "MDN=X")
        start = draw.randrange(int(contigs.lengths[row]) - span)
        out.append(Read(row, start, cigar, draw.choice([0, REVERSE, SECONDARY, DUPLICATE])))
    return sorted(out, key=lambda r: (r.contig, r.start))


def test_depth_agrees_with_pysam_count_coverage(tmp_path: Path) -> None:
    contigs = table(a=4000, b=2500, c=1000)
    path = write_alignments(tmp_path / "x.bam", contigs, random_reads(contigs, 800, 70))
    pysam.index(str(path))
    starts, ends = views(contigs.lengths, 3, 6)
    result = sample_depth(path, contigs, starts, ends, DepthFilter())
    with pysam.AlignmentFile(str(path)) as handle:
        # read_callback "all": unmapped, secondary, QC-failed and duplicate records are left out.
        counted = [
            np.sum(handle.count_coverage(n, quality_threshold=0, read_callback="all"), axis=0)
            for n in contigs.names
        ]
    mean, variance = naive_moments(counted, starts, ends)
    np.testing.assert_allclose(result.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(result.variance, variance, rtol=1e-6)


def test_split_reads_count_once_per_part_and_as_one_read(tmp_path: Path) -> None:
    split = [
        Read(0, 0, (("M", 20), ("S", 30))),
        Read(2, 10, (("S", 20), ("M", 30)), SUPPLEMENTARY),
        Read(2, 50, (("M", 20), ("S", 30)), SECONDARY),
    ]
    result = measure(write_alignments(tmp_path / "x.bam", CONTIGS, split))
    assert result.mean[:, 0].tolist() == pytest.approx([20 / 60, 0, 30 / 90])
    assert result.reads == 1


def test_contig_order_of_the_header_and_further_references_do_not_matter(tmp_path: Path) -> None:
    header = table(x=50, c=90, b=35, y=40, a=60)
    there = [Read(4, 5, (("M", 30),)), Read(1, 0, (("M", 90),)), Read(0, 0, (("M", 50),))]
    result = measure(write_alignments(tmp_path / "x.bam", header, there))
    expect(result, CONTIGS, [Read(0, 5, (("M", 30),)), Read(2, 0, (("M", 90),))])
    assert result.reads == 2


def test_alignment_beyond_the_end_of_its_contig_is_cut(tmp_path: Path) -> None:
    path = write_alignments(tmp_path / "x.bam", CONTIGS, [Read(0, 50, (("M", 40),))])
    result = measure(path)
    assert result.mean[:, 0].tolist() == pytest.approx([10 / 60, 0, 0])
    assert result.mean[0, 2] == 1


def test_reads_of_many_operations_are_not_kept(tmp_path: Path) -> None:
    contigs = table(long=4000)
    wavy = tuple(("M" if i % 2 else "D", 1 + i % 3) for i in range(1, 600))
    records = [Read(0, s, wavy) for s in range(0, 900, 90)]
    expect(
        measure(write_alignments(tmp_path / "x.bam", contigs, records), contigs), contigs, records
    )


def test_cram_gives_the_depth_of_bam_without_a_reference(tmp_path: Path) -> None:
    contigs = table(a=900, b=700)
    fasta = write_fasta(tmp_path / "ref.fa", contigs)
    records = random_reads(contigs, 60, 40)
    cram = write_alignments(tmp_path / "x.cram", contigs, records, fasta)
    bam = write_alignments(tmp_path / "x.bam", contigs, records)
    for written in tmp_path.glob("ref.fa*"):
        written.unlink()
    mine, other = measure(cram, contigs), measure(bam, contigs)
    assert mine.mean.tobytes() == other.mean.tobytes()
    assert mine.variance.tobytes() == other.variance.tobytes()


def test_filters_are_validated() -> None:
    with pytest.raises(UsageError, match=r"quality 300 is not within 0\.\.255"):
        DepthFilter(min_mapq=300)
    with pytest.raises(UsageError, match=r"identity 97\.0 is not within 0\.\.1"):
        DepthFilter(min_identity=97.0)


GOOD = [Read(0, 0, (("M", 30),)), Read(2, 9, (("M", 30),), mapq=3)]


def test_sample_without_reads_on_the_contigs_is_refused(tmp_path: Path) -> None:
    path = write_alignments(tmp_path / "x.bam", CONTIGS, [Read(0, 1, (("M", 9),), UNMAPPED)])
    with pytest.raises(InputError, match=r"x\.bam: no read is mapped to the contigs"):
        measure(path)
    path = write_alignments(tmp_path / "y.bam", CONTIGS, GOOD)
    with pytest.raises(InputError, match="none of its 2 alignments has a mapping quality of at"):
        measure(path, passing=DepthFilter(min_mapq=61))


def test_identity_without_nm_tag_is_refused(tmp_path: Path) -> None:
    bare = [Read(0, 0, (("M", 30),), mismatches=None)]
    path = write_alignments(tmp_path / "x.bam", CONTIGS, bare)
    assert measure(path).reads == 1
    with pytest.raises(InputError, match=r"'r0' has no NM tag.*samtools calmd"):
        measure(path, passing=DepthFilter(min_identity=0.9))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (table(a=60, c=90), r"lacks 1 of 3 contigs: 'b'; map the reads"),
        (table(z=60, y=90), r"none of the 3 contigs .*'a'.*'z'.*another assembly\?"),
        (table(a=60, b=36, c=90), r"other lengths than the FASTA to 'b': 36 bp, not 35 bp"),
    ],
)
def test_header_of_another_assembly_is_refused(
    tmp_path: Path, header: ContigTable, message: str
) -> None:
    path = write_alignments(tmp_path / "x.bam", header, [Read(0, 0, (("M", 30),))])
    with pytest.raises(InputError, match=message) as caught:
        measure(path)
    assert str(path) in str(caught.value)


def test_first_offenders_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    contigs = table(**{f"c{i}": 50 for i in range(9)})
    path = write_alignments(tmp_path / "x.bam", table(c0=50, c1=50), [Read(0, 0, (("M", 9),))])
    with pytest.raises(InputError, match=r"lacks 7 of 9 contigs: 'c2', 'c3', 'c4' \.\.\. \(7 in"):
        measure(path, contigs)


def test_missing_sample_prefix_is_explained(tmp_path: Path) -> None:
    path = write_alignments(tmp_path / "x.bam", table(a=60), [Read(0, 0, (("M", 30),))])
    contigs = ContigTable(("s1:a", "s2:a"), np.array([60, 60]))
    with pytest.raises(InputError, match=r"names lack the sample.*llmbin-prepare wrote"):
        measure(path, contigs)


def bgzf(content: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    packed = deflate.compress(content) + deflate.flush()
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0"
    size = (len(head) + 2 + len(packed) + 8 - 1).to_bytes(2, "little")
    end = zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    return head + size + packed + end + handles._BGZF_END


def damaged(tmp_path: Path, kind: str) -> Path:
    contigs = table(a=3000)
    good = write_alignments(tmp_path / "good.bam", contigs, random_reads(contigs, 3000, 150))
    data = good.read_bytes()
    path = tmp_path / f"{kind}.bam"
    middle = len(data) // 2
    content = {
        "no_eof": data[:-28],
        "cut": data[:middle],
        "cut_with_eof": data[:middle] + data[-28:],
        "flipped": data[:middle] + bytes(200) + data[middle + 200 :],
        "fasta": b">a\nACGT\n",
        "empty": b"",
        "text": b"not an alignment at all\n" * 9,
        "gzip": gzip.compress(b"hello\n" * 99),
        "bgzf": bgzf(b"hello\n" * 99),
        "sam": b"@SQ\tSN:a\tLN:3000\nr\t0\ta\t1\t60\t4M\t*\t0\t0\tACGT\tIIII\n",
    }
    path.write_bytes(content[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no_eof", "cut short: the end-of-file block is missing; copy"),
        ("cut", "cut short: the end-of-file block is missing; copy"),
        ("cut_with_eof", "damaged or cut short"),
        ("flipped", "damaged or cut short"),
        ("fasta", "not a BAM or CRAM file"),
        ("empty", "not a BAM or CRAM file"),
        ("text", "not a BAM or CRAM file"),
        ("gzip", "not a BAM or CRAM file"),
        ("sam", r"alignments as text \(SAM\).*samtools sort"),
        ("bgzf", "not a BAM or CRAM file"),
    ],
)
def test_damaged_or_foreign_file_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str, message: str
) -> None:
    path = damaged(tmp_path, kind)
    with pytest.raises(InputError, match=f"{kind}.bam: .*{message}"):
        measure(path, table(a=3000))
    assert capfd.readouterr().err == ""


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        measure(tmp_path / "nothing.bam")
    with pytest.raises(InputError, match="is a folder"):
        measure(tmp_path)


def test_cut_cram_is_refused(tmp_path: Path) -> None:
    contigs = table(a=900)
    fasta = write_fasta(tmp_path / "ref.fa", contigs)
    cram = write_alignments(tmp_path / "x.cram", contigs, random_reads(contigs, 60, 40), fasta)
    (tmp_path / "y.cram").write_bytes(cram.read_bytes()[:-38])
    with pytest.raises(InputError, match=r"y\.cram: cut short: the end-of-file block is missing"):
        measure(tmp_path / "y.cram", contigs)


@given(
    values=st.lists(
        st.one_of(st.integers(0, 2**31 - 1), st.integers(10**6, 10**6 + 2)), min_size=1, max_size=40
    ),
    data=st.data(),
)
@settings(max_examples=80)
def test_moments_are_exact_for_any_depth(values: list[int], data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(values) - 1))
    end = data.draw(st.integers(begin + 1, len(values)))
    begins, ends = np.array([[0, begin]]), np.array([[len(values), end]])
    mean, variance = depth.moments(np.array(values, dtype=np.int32), begins, ends)
    for view, part in enumerate((values, values[begin:end])):
        exact = Fraction(sum(part), len(part))
        spread = sum((v - exact) ** 2 for v in part) / len(part)
        assert mean[0, view] == pytest.approx(float(exact), rel=1e-12)
        assert variance[0, view] == pytest.approx(float(spread), rel=1e-9, abs=1e-9)


def test_even_deep_coverage_has_no_variance() -> None:
    even = np.full(100_000, 1_234_567, dtype=np.int32)
    mean, variance = depth.moments(even, np.array([0, 17]), np.array([100_000, 5_018]))
    assert mean.tolist() == [1_234_567, 1_234_567]
    assert variance.tolist() == [0, 0]
