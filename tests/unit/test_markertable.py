"""The table of marker genes: written, read again, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.markertable import (
    COLUMNS,
    MarkerHit,
    read_markers,
    read_markers_of,
    write_markers,
)

hits_strategy = st.builds(
    MarkerHit,
    contig=st.text("abc{}|:_ 1\u2028\x0b", min_size=1).filter(lambda text: text.strip() == text),
    marker=st.sampled_from(["rpsB", "LB0001"]),
    score=st.floats(0, 5000).map(lambda value: round(value, 1)),
    evalue=st.floats(0, 1e-3).map(lambda value: float(f"{value:.1e}")),
    profile_from=st.integers(1, 50),
    profile_to=st.integers(50, 100),
    profile_length=st.integers(100, 200),
    begin=st.integers(1, 1000),
    end=st.integers(1000, 9000),
    strand=st.sampled_from([1, -1]),
    partial=st.sampled_from(["", "left", "right", "both"]),
    protein=st.text("ACDEFGHIKLMNPQRSTVWYX", min_size=1),
)


@given(st.lists(hits_strategy, max_size=5))
@settings(max_examples=30)
def test_table_round_trip(tmp_path_factory: pytest.TempPathFactory, hits: list[MarkerHit]) -> None:
    path = tmp_path_factory.mktemp("table") / "markers.tsv"
    write_markers(path, hits)
    assert read_markers(path) == hits
    assert path.read_text().splitlines()[0].split("\t") == list(COLUMNS)


LINE = "c\trpsB\t100.0\t1e-30\t1\t90\t100\t5\t300\t+\t-\tMKL"


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("score", "high", "column score holds 'high'"),
        ("strand", "1", "column strand holds '1'"),
        ("partial", "middle", "column partial holds 'middle'"),
        ("contig", "", "column contig holds ''"),
        ("profile_to", "101", "profile_from, profile_to and profile_length"),
        ("begin", "301", "begin and end"),
    ],
)
def test_malformed_table_lines(tmp_path: Path, column: str, value: str, complaint: str) -> None:
    cells = LINE.split("\t")
    cells[COLUMNS.index(column)] = value
    path = tmp_path / "markers.tsv"
    path.write_text("\n".join(["\t".join(COLUMNS), LINE, "\t".join(cells)]) + "\n")
    with pytest.raises(InputError, match=complaint) as raised:
        read_markers(path)
    assert f"{path}: line 3" in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"contig\tmarker\n", b"\xff\xfe\x00"])
def test_other_files_are_no_marker_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "markers.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"markers\.tsv"):
        read_markers(path)


def test_line_with_too_few_columns(tmp_path: Path) -> None:
    path = tmp_path / "markers.tsv"
    path.write_text("\t".join(COLUMNS) + "\nc\trpsB\n")
    with pytest.raises(InputError, match="2 columns instead of 12"):
        read_markers(path)


def hit_of(contig: str, end: int) -> MarkerHit:
    return MarkerHit(contig, "rpsB", 99.0, 1e-9, 1, 100, 100, 1, end, 1, "", "MKL")


def test_a_table_of_another_assembly_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "markers.tsv"
    write_markers(path, [hit_of("k141_1", 900), hit_of("k141_2", 300)])
    both = ContigTable(("k141_1", "k141_2"), np.array([1000, 1000]))
    assert len(read_markers_of(path, both)) == 2
    shorter = ContigTable(both.names, np.array([800, 1000]))
    with pytest.raises(InputError, match="ends at base 900 of contig 'k141_1', which has 800 bp"):
        read_markers_of(path, shorter)
    other = ContigTable(("NODE_1",), np.array([1000]))
    with pytest.raises(InputError, match="contigs such as 'k141_1', and none of these contigs"):
        read_markers_of(path, other)
    # A sample of several may have no marker gene.
    assert len(read_markers_of(path, other, part=True)) == 2
