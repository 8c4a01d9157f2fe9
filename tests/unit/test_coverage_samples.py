"""Several samples: names, processes, merging, the CRAM reference."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from coverage_files import Read, naive_depth, naive_moments, table, write_alignments, write_fasta
from hypothesis import given
from hypothesis import strategies as st

from llmbin_core import progress
from llmbin_core.coverage import (
    Coverage,
    DepthFilter,
    Sample,
    alignment_coverage,
    merge_coverage,
    name_samples,
    read_contig_table,
    table_coverage,
)
from llmbin_core.coverage.samples import sample_name
from llmbin_core.errors import EnvironmentFault, InputError
from llmbin_core.stagefile import StageFile, read_stage, write_stage
from llmbin_core.views import views

CONTIGS = table(a=2500, b=1700)


def reads_of(sample: int) -> list[Read]:
    """Alignments that differ by sample."""
    size = 100 + 10 * sample
    return [Read(row, at, (("M", size),)) for row in (0, 1) for at in range(sample, 1500, 37)]


def bams(folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [
        write_alignments(folder / f"s{i}.sorted.bam", CONTIGS, reads_of(i)) for i in range(count)
    ]


def write(path: Path, result: Coverage) -> Path:
    write_stage(path, CONTIGS, result.tensors, result.provenance)
    return path


def compute(paths: list[Path], **options: object) -> Coverage:
    return alignment_coverage(CONTIGS, name_samples(paths), 3, 4, **options)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("s1.bam", "s1"),
        ("s1.sorted.bam", "s1"),
        ("/x/y/s.1.bam.sorted.cram", "s.1"),
        ("s1", "s1"),
        (".bam", ".bam"),
        ("s1.aemb.tsv.gz", "s1.aemb"),
    ],
)
def test_sample_name_is_the_file_name_without_endings(file: str, name: str) -> None:
    assert sample_name(file) == name


def test_samples_are_sorted_by_name_and_must_differ() -> None:
    paths = [Path("b.bam"), Path("x/a.sorted.bam")]
    assert [s.name for s in name_samples(paths)] == ["a", "b"]
    assert name_samples(paths, ["k", "j"]) == [Sample(paths[1], "j"), Sample(paths[0], "k")]
    with pytest.raises(InputError, match=r"a\.bam and y/a\.bam both hold sample 'a'"):
        name_samples([Path("a.bam"), Path("y/a.bam")])
    with pytest.raises(InputError, match=r"2 samples \(b, a\) but 1 sample names"):
        name_samples(paths, ["k"])
    with pytest.raises(InputError, match="'a b' is empty or holds white space"):
        name_samples(paths, ["a b", "c"])


def test_coverage_holds_views_and_provenance_of_each_sample(tmp_path: Path) -> None:
    paths = bams(tmp_path, 2)
    result = compute(paths[::-1])
    starts, ends = views(CONTIGS.lengths, 3, 4)
    for column in range(2):
        mean, variance = naive_moments(naive_depth(CONTIGS, reads_of(column)), starts, ends)
        np.testing.assert_allclose(result.tensors["mean"][:, :, column], mean, rtol=1e-6)
        np.testing.assert_allclose(result.tensors["variance"][:, :, column], variance, rtol=1e-6)
    assert result.tensors["mean"].dtype == result.tensors["variance"].dtype == np.float32
    assert result.provenance.seed == 3
    assert result.provenance.n_views == 4
    assert result.provenance.options == {
        "samples": ["s0", "s1"],
        "mapped_reads": {"s0": len(reads_of(0)), "s1": len(reads_of(1))},
        "min_mapq": 0,
        "min_identity": 0.0,
        "per_view": True,
        "reads": "short",
    }
    assert set(result.provenance.inputs) == {"s0.sorted.bam", "s1.sorted.bam"}


def test_threads_and_file_order_never_change_a_byte(tmp_path: Path) -> None:
    paths = bams(tmp_path, 3)
    one = write(tmp_path / "one", compute(paths)).read_bytes()
    assert write(tmp_path / "two", compute(paths[::-1], threads=2)).read_bytes() == one
    assert write(tmp_path / "five", compute(paths, threads=5)).read_bytes() == one


def test_merging_single_samples_gives_the_bytes_of_all_at_once(tmp_path: Path) -> None:
    paths = bams(tmp_path, 3)
    fasta = write_fasta(tmp_path / "c.fa", CONTIGS)
    whole = write(tmp_path / "whole", compute(paths).with_input(fasta))
    parts = [
        write(tmp_path / f"part{number}", compute(some).with_input(fasta))
        for number, some in enumerate(([paths[2], paths[0]], [paths[1]]))
    ]
    merged = merge_coverage([read_stage(p, "coverage") for p in parts])
    write_stage(tmp_path / "merged", merged.contigs, merged.tensors, merged.provenance)
    assert (tmp_path / "merged").read_bytes() == whole.read_bytes()


def test_files_of_one_base_name_merge_as_well(tmp_path: Path) -> None:
    paths = [
        path.rename(path.with_name("mapped.bam"))
        for i in range(2)
        for path in [bams(tmp_path / f"f{i}", i + 1)[i]]
    ]
    samples = name_samples(paths, ["x", "y"])
    whole = alignment_coverage(CONTIGS, samples, 0, 2)
    assert whole.provenance.inputs["mapped.bam"].count("sha256:") == 2
    parts = [alignment_coverage(CONTIGS, [sample], 0, 2) for sample in samples]
    merged = merge_coverage(
        [StageFile(tmp_path, CONTIGS, p.provenance, p.tensors) for p in parts[::-1]]
    )
    assert merged.provenance == whole.provenance


def stage(name: str, result: Coverage) -> StageFile:
    return StageFile(Path(name), CONTIGS, result.provenance, result.tensors)


def test_merge_refuses_what_does_not_belong_together(tmp_path: Path) -> None:
    paths = bams(tmp_path, 2)
    first, second = (stage(f"f{i}", compute([path])) for i, path in enumerate(paths))
    with pytest.raises(InputError, match="f0 and f0 both hold sample 's0'"):
        merge_coverage([first, second, first])
    strict = stage("f2", compute(paths[1:], passing=DepthFilter(min_mapq=5)))
    with pytest.raises(InputError, match="f0 and f2 do not belong together: min_mapq 0 and 5"):
        merge_coverage([first, strict])
    seeded = stage("f3", alignment_coverage(CONTIGS, name_samples(paths[1:]), 4, 4))
    with pytest.raises(InputError, match="random seed 3 and 4"):
        merge_coverage([first, seeded])
    other = replace(second, provenance=replace(second.provenance, schema="composition"))
    with pytest.raises(InputError, match="f1: holds composition, not coverage"):
        merge_coverage([first, other])
    with pytest.raises(InputError, match="no coverage file"):
        merge_coverage([])
    (tmp_path / "t.tsv").write_text("a\t1\nb\t2\n")
    flat = stage("f4", table_coverage(CONTIGS, [tmp_path / "t.tsv"], 3, 4))
    for pair in ([first, flat], [flat, first]):
        with pytest.raises(
            InputError, match="f0 was made from alignments and f4 from a depth table; make both"
        ):
            merge_coverage(pair)


@given(
    st.lists(st.text("abc.", min_size=1, max_size=3), unique=True, min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_any_split_of_samples_merges_to_the_same_columns(names: list[str], random: object) -> None:
    from llmbin_core.coverage.samples import SampleCoverage, stack

    options = {"min_mapq": 0, "min_identity": 0.0, "per_view": True}
    shape = (2, 3)
    single = [
        SampleCoverage(n, np.full(shape, i, np.float32), np.full(shape, -i, np.float32), i)
        for i, n in enumerate(names)
    ]
    whole = stack(single, 0, options, [(n, f"sha256:{n}") for n in names])
    shuffled = list(single)
    random.shuffle(shuffled)
    cut = random.randrange(len(names)) if len(names) > 1 else 0
    groups = [g for g in (shuffled[:cut], shuffled[cut:]) if g]
    files = [
        stage("f", stack(g, 0, options, [(s.name, f"sha256:{s.name}") for s in g])) for g in groups
    ]
    merged = merge_coverage(files)
    assert merged.provenance == whole.provenance
    assert merged.tensors["mean"].tobytes() == whole.tensors["mean"].tobytes()
    assert merged.tensors["variance"].tobytes() == whole.tensors["variance"].tobytes()


def break_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 60] = bytes(60)
    path.write_bytes(data)


def test_failure_in_a_process_reaches_the_caller(tmp_path: Path) -> None:
    paths = bams(tmp_path, 3)
    break_in_the_middle(paths[1])
    with pytest.raises(InputError, match=r"s1\.sorted\.bam: damaged or cut short"):
        compute(paths, threads=2)


def test_every_header_is_checked_before_the_work(tmp_path: Path) -> None:
    paths = bams(tmp_path, 2)
    write_alignments(paths[1], table(z=9), [Read(0, 0, (("M", 9),))])
    told: list[int] = []

    class Task:
        advance = staticmethod(told.append)

        def close(self) -> None:
            pass

    progress.use_reporter(lambda *_: Task())
    try:
        with pytest.raises(InputError, match="another assembly"):
            compute(paths)
        assert not told
        compute(paths[:1])
    finally:
        progress.use_reporter(None)
    assert 0 < sum(told) <= paths[0].stat().st_size


class Deadly(Sample):
    """Ends the process that receives it, as the system does when memory is short."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (9,)


def test_death_of_a_process_is_reported(tmp_path: Path) -> None:
    samples = [Deadly(p, p.name) for p in bams(tmp_path, 2)]
    with pytest.raises(EnvironmentFault, match=r"was killed.*fewer threads"):
        alignment_coverage(CONTIGS, samples, 0, 2, threads=2)


@pytest.fixture
def cram(tmp_path: Path) -> tuple[Path, Path]:
    """CRAM whose NM tags are made from the reference, and that reference."""
    folder = tmp_path / "in"
    folder.mkdir()
    fasta = write_fasta(folder / "ref.fa", CONTIGS)
    # Records without NM: it is made from bases and reference when the file is read.
    bare = [replace(read, mismatches=None) for read in reads_of(0)]
    path = write_alignments(folder / "s.cram", CONTIGS, bare, fasta)
    for index in folder.glob("*.fai"):
        index.unlink()
    return path, fasta.rename(folder / "moved.fa")


def test_identity_of_cram_needs_and_uses_the_reference(cram: tuple[Path, Path]) -> None:
    path, fasta = cram
    # Bases of the first read are those of its contig; of the others about 3 in 4 differ.
    loose, strict = DepthFilter(min_identity=0.05), DepthFilter(min_identity=0.6)
    with pytest.raises(InputError, match=r"s\.cram: the identity .* --reference"):
        compute([path], passing=loose)
    plain = compute([path])
    passed = compute([path], passing=loose, reference=fasta)
    assert passed.tensors["mean"].tobytes() == plain.tensors["mean"].tobytes()
    assert set(passed.provenance.inputs) == {"s.cram", "moved.fa"}
    like = compute([path], passing=strict, reference=fasta)
    assert like.provenance.options["mapped_reads"] == {"s": 1}
    assert sorted(p.name for p in fasta.parent.iterdir()) == ["moved.fa", "s.cram"]


def test_reference_may_be_compressed_but_must_be_the_right_one(cram: tuple[Path, Path]) -> None:
    path, fasta = cram
    loose = DepthFilter(min_identity=0.05)
    packed = fasta.with_suffix(".gz")
    packed.write_bytes(gzip.compress(fasta.read_bytes()))
    assert compute([path], passing=loose, reference=packed).provenance.options["mapped_reads"]
    text = fasta.read_text()
    fasta.write_text(text.replace(">b", ">z"))
    with pytest.raises(InputError, match="the reference lacks 'b'"):
        compute([path], passing=loose, reference=fasta)
    fasta.write_text(text.replace("A", "C"))
    with pytest.raises(InputError, match="the reference is not the FASTA"):
        compute([path], passing=loose, reference=fasta)
    fasta.write_bytes(b"\0\1\2")
    with pytest.raises(InputError, match=r"moved\.fa: cannot be indexed"):
        compute([path], passing=loose, reference=fasta)


def test_contig_table_is_read_without_bases(tmp_path: Path) -> None:
    found = read_contig_table(write_fasta(tmp_path / "c.fa", CONTIGS))
    assert found.digest == CONTIGS.digest
