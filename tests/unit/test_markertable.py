"""The table of marker genes: written, read again, refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbin_core.errors import InputError
from llmbin_core.markertable import COLUMNS, MarkerHit, read_markers, write_markers

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
