"""Depth tables of other programs."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from coverage_files import table
from hypothesis import given
from hypothesis import strategies as st

from llmbin_core.coverage import table_coverage
from llmbin_core.errors import InputError

CONTIGS = table(a=2500, b=1700)

JGI = (
    "contigName\tcontigLen\ttotalAvgDepth\ts2.sorted.bam\ts2.sorted.bam-var\ts1.bam\ts1.bam-var\n"
    "b\t1700\t7.5\t5.5\t1.25\t2\t0.5\n"
    "extra\t99\t1\t1\t1\t1\t1\n"
    "a\t2500\t3\t1\t0\t2e0\t4\n"
)
COVERM = (
    "Contig\tref.fa/s2.fq.gz Mean\tref.fa/s2.fq.gz Variance\t"
    "s1 Mean\ts1 Trimmed Mean\ts1 Variance\n"
    "a\t1\t0\t2\t9\t4\n"
    "b\t5.5\t1.25\t2\t9\t0.5\n"
)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "names"), [(JGI, ["s1", "s2"]), (COVERM, ["s1", "s2"])], ids=["jgi", "coverm"]
)
def test_table_with_variance(tmp_path: Path, text: str, names: list[str]) -> None:
    result = table_coverage(CONTIGS, [write(tmp_path / "t.tsv", text)], 7, 3)
    assert result.provenance.options == {
        "samples": names,
        "mapped_reads": dict.fromkeys(names),
        "min_mapq": None,
        "min_identity": None,
        "per_view": False,
        "reads": "short",
    }
    assert (result.provenance.seed, result.provenance.n_views) == (7, 3)
    assert list(result.provenance.inputs) == ["t.tsv"]
    for view in range(3):
        assert result.tensors["mean"][:, view].tolist() == [[2, 1], [2, 5.5]]
        assert result.tensors["variance"][:, view].tolist() == [[4, 0], [0.5, 1.25]]
    assert result.tensors["mean"].dtype == np.float32


def test_jgi_table_without_variance(tmp_path: Path) -> None:
    text = "contigName\tcontigLen\ttotalAvgDepth\ts.bam\na\t2500\t3\t3\nb\t1700\t4\t4\n"
    result = table_coverage(CONTIGS, [write(tmp_path / "t.tsv", text)], 0, 1)
    assert result.tensors["mean"].tolist() == [[[3]], [[4]]]
    assert result.tensors["variance"].tolist() == [[[0]], [[0]]]


def test_strobealign_tables_one_per_sample_plain_or_compressed_with_crlf(tmp_path: Path) -> None:
    second = tmp_path / "s1.tsv.gz"
    second.write_bytes(gzip.compress(b"b\t0\r\na\t12.5\r\n"))
    paths = [write(tmp_path / "s2.tsv", "a\t1\nb\t2\n"), second]
    result = table_coverage(CONTIGS, paths, 0, 2)
    assert result.provenance.options["samples"] == ["s1", "s2"]
    assert result.tensors["mean"][:, 1].tolist() == [[12.5, 1], [0, 2]]
    renamed = table_coverage(CONTIGS, paths, 0, 2, ["p", "q"])
    assert renamed.tensors["mean"][:, 0].tolist() == [[1, 12.5], [2, 0]]


def test_sample_held_by_two_tables_is_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"s.{end}", "a\t1\nb\t2\n") for end in ("tsv", "txt")]
    with pytest.raises(InputError, match=r"s\.tsv and .*s\.txt both hold sample 's'"):
        table_coverage(CONTIGS, paths, 0, 2)


HEAD = "contigName\tcontigLen\ttotalAvgDepth\ts.bam\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.tsv: is empty; give the output of jgi"),
        ("hello world\n", r"line 1: no depth table, starts with 'hello world'; give the output"),
        ("a\t1\t2\t3\nb\t1\t2\t3\n", "line 1: no depth table"),
        ("Contig\ts1 RPKM\na\t1\n", r"line 1: has no column '<sample> Mean'; run 'coverm"),
        ("Sample\tContig\tMean\ns\ta\t1\n", "line 1: no depth table"),
        ("a\t1\n", r"lacks 1 of 2 contigs: 'b'; make it"),
        ("x\t1\ny\t2\n", r"holds none of the 2 contigs .*another assembly\?"),
        ("a\t1\nb\t-0.5\n", r"line 2: '-0\.5' is not a depth; expected a number of at least 0"),
        ("a\t1\nb\tnan\n", "line 2: 'nan' is not a depth"),
        ("a\t1\nb\tinf\n", "line 2: 'inf' is not a depth"),
        ("a\t1\nb\tx\n", "line 2: 'x' is not a depth"),
        ("a\t1\nb\t\n", "line 2: '' is not a depth"),
        ("a\t1\nb\n", "line 2: 1 columns, but the first line has 2; is the file cut short"),
        ("a\t1\nb\t1\na\t2\n", "line 3: contig 'a' stands already at line 1"),
        (
            HEAD + "a\t2500\t3\t3\nb\t1701\t4\t4\n",
            "line 3: contig 'b' has 1701 bp here and 1700 bp",
        ),
        ("\x1fbinary\udcff", "line 1: not text"),
    ],
)
def test_unfit_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=message) as caught:
        table_coverage(CONTIGS, [path], 0, 2)
    assert str(path) in str(caught.value)


def test_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        table_coverage(CONTIGS, [tmp_path / "t.tsv"], 0, 2)


@given(st.lists(st.floats(0, 1e9, width=32), min_size=2, max_size=2), st.permutations("abx"))
def test_any_depths_in_any_order_are_kept(
    tmp_path_factory: pytest.TempPathFactory, depths: list[float], order: list[str]
) -> None:
    value = {"a": depths[0], "b": depths[1], "x": 1.0}
    path = tmp_path_factory.mktemp("t") / "s.tsv"
    write(path, "".join(f"{name}\t{value[name]!r}\n" for name in order))
    assert table_coverage(CONTIGS, [path], 0, 1).tensors["mean"].ravel().tolist() == depths
