"""Reading and preparing assemblies."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest
from backports import zstd
from Bio import SeqIO
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from hypothesis import given
from hypothesis import strategies as st

from llmbin_core.contigs import ContigTable, n50, name_samples, prepare, read_contigs
from llmbin_core.errors import InputError
from llmbin_core.fasta import iter_fasta

SEQUENCE = "ACGTACGTTTGGCCAATTAA" * 60  # 1200 bp
COMPRESS = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("kind", COMPRESS)
def test_every_compression_is_read_by_content_not_by_name(tmp_path: Path, kind: str) -> None:
    data = COMPRESS[kind](f">a x\n{SEQUENCE}\n>b\n{SEQUENCE[:500]}\n".encode())
    path = write(tmp_path / "assembly.misleading", data)
    assert list(iter_fasta(path)) == [("a", SEQUENCE.encode()), ("b", SEQUENCE[:500].encode())]


def test_crlf_lower_case_iupac_uracil_and_empty_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fa", ">a first\r\nacguACGT\r\n\r\nRYN\r\n\r\n>b\r\nAC\r\n")
    assert list(iter_fasta(path)) == [("a", b"ACGTACGTNNN"), ("b", b"AC")]
    contigs = read_contigs(path)
    assert contigs.codes.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 4, 4, 0, 1]
    assert contigs.letters(0) == b"ACGTACGTNNN"
    assert contigs.rows(1, 2).letters(0) == b"AC"


@given(
    st.lists(
        st.tuples(st.text("abcXYZ019_.|-", min_size=1, max_size=8), st.text("ACGTN", min_size=1)),
        min_size=1,
        max_size=8,
        unique_by=lambda pair: pair[0],
    ),
    st.integers(1, 70),
    st.sampled_from(["\n", "\r\n"]),
)
def test_records_survive_any_line_width_and_line_end(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[str, str]],
    width: int,
    end: str,
) -> None:
    lines = []
    for name, letters in records:
        lines.append(f">{name} some words")
        lines += [letters[i : i + width] for i in range(0, len(letters), width)]
    path = write(tmp_path_factory.mktemp("fasta") / "x.fa", end.join(lines) + end)
    assert [(n, s.decode()) for n, s in iter_fasta(path)] == records


BAD = {
    "empty": ("", "holds no contig"),
    "only blank lines": ("\n\n", "holds no contig"),
    "no header": ("ACGT\n", "line 1: expected a FASTA header"),
    "fastq": ("@r\nACGT\n+\nIIII\n", "line 1: starts with '@' like FASTQ"),
    "protein": (">p\nMKVLELQP\n", "line 2: b'L' in contig 'p'|line 2: b'E'|is no nucleotide"),
    "protein of nucleotide letters": (">p\nMKVDSTVHRWKDSMVHRW\n", "looks like protein"),
    "binary": (b"\x00\x01\x02\x03 nothing", "line 1: binary content"),
    "duplicate": (">a\nAC\n>b\nAC\n>a\nAC\n", "line 5: contig 'a' stands already at line 1"),
    "no identifier": (">\nAC\n", "line 1: the header has no identifier"),
    "no sequence": (">a\n>b\nAC\n", "line 1: contig 'a' has no sequence"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_file_line_and_what_is_wrong(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    path = write(tmp_path / "bad.fa", content)
    with pytest.raises(InputError, match=message) as caught:
        list(iter_fasta(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_cut_compressed_data_is_an_input_error(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(1)
    letters = rng.choice(np.frombuffer(b"ACGT", np.uint8), 200_000).tobytes()
    data = COMPRESS[kind](b">a\n" + letters + b"\n")
    path = write(tmp_path / f"cut.{kind}", data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.\w+.*(damaged or cut short|no sequence)"):
        list(iter_fasta(path))


def test_genbank_is_read_as_fasta_is(tmp_path: Path) -> None:
    letters = "ACGTRN" * 100
    record = SeqRecord(Seq(letters), "c1.1", annotations={"molecule_type": "DNA"})
    path = tmp_path / "a.gbk"
    SeqIO.write([record], path, "genbank")
    assert list(iter_fasta(path)) == [("c1.1", letters.replace("R", "N").encode())]
    head, _, tail = path.read_text().partition("ORIGIN")
    write(path, head + "CONTIG      join(X:1..600)\n" + tail[tail.index("//") :])
    with pytest.raises(InputError, match=r"a\.gbk: cannot be read as GenBank"):
        list(iter_fasta(path))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(iter_fasta(tmp_path / "none.fa"))
    with pytest.raises(InputError, match="is a folder"):
        list(iter_fasta(tmp_path))


def test_prepare_keeps_long_contigs_and_counts_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fa", f">long\n{SEQUENCE}\n>short\n{SEQUENCE[:999]}\n")
    out, table = tmp_path / "out.fasta.gz", tmp_path / "out.tsv"
    result = prepare(name_samples([path]), out, table)
    assert (result.kept, result.kept_bp, result.dropped, result.dropped_bp) == (1, 1200, 1, 999)
    assert read_contigs(out).table.names == ("long",)
    gc = sum(c in "GC" for c in SEQUENCE) / len(SEQUENCE)
    assert table.read_text().splitlines()[1] == f"long\ta\t1200\t{gc:.4f}\t0\tno"


@pytest.mark.parametrize(("short_contigs", "limit"), [(0, 1000), (1, 1000), (40, 2500)])
def test_automatic_minimum_follows_the_share_of_short_contigs(
    tmp_path: Path, short_contigs: int, limit: int
) -> None:
    # 1.2 kb of 121.2 kb is below 5 %, 48 kb of 168 kb above.
    long = SEQUENCE * 100
    records = [f">long\n{long}\n"] + [f">s{i}\n{SEQUENCE}\n" for i in range(short_contigs)]
    path = write(tmp_path / "a.fa", "".join(records))
    result = prepare(name_samples([path]), tmp_path / "o.gz", tmp_path / "o.tsv", "auto")
    assert result.min_length == limit
    assert result.kept == (1 if limit == 2500 else 1 + short_contigs)


def test_several_assemblies_are_named_by_sample_in_sorted_order(tmp_path: Path) -> None:
    b = write(tmp_path / "b.fa", f">c1\n{SEQUENCE}\n")
    a = write(tmp_path / "a.contigs.fa.gz", gzip.compress(f">c1\n{SEQUENCE}\n".encode()))
    prepare(name_samples([b, a]), tmp_path / "o.gz", tmp_path / "o.tsv")
    assert read_contigs(tmp_path / "o.gz").table.names == ("a.contigs:c1", "b:c1")


def test_sample_names_that_cannot_serve(tmp_path: Path) -> None:
    paths = [tmp_path / "x.fa", tmp_path / "y.fa"]
    with pytest.raises(InputError, match="contains the separator ':'"):
        name_samples(paths, ["a:b", "c"])
    with pytest.raises(InputError, match="'a' belongs to several assemblies"):
        name_samples(paths, ["a", "a"])
    with pytest.raises(InputError, match="2 assemblies but 1 sample names"):
        name_samples(paths, ["a"])


def test_prepared_bytes_do_not_depend_on_time_or_name(tmp_path: Path) -> None:
    text = f">a\n{SEQUENCE}\n"
    one = prepare_bytes(tmp_path / "one", text)
    assert one == prepare_bytes(tmp_path / "two", text.replace("\n", "\r\n"))


def prepare_bytes(folder: Path, text: str) -> bytes:
    folder.mkdir()
    path = write(folder / "a.fa", text)
    prepare(name_samples([path]), folder / "o.gz", folder / "o.tsv")
    return (folder / "o.gz").read_bytes()


def test_digest_depends_on_names_lengths_and_order() -> None:
    table = ContigTable(("a", "b"), np.array([5, 7]))
    same = ContigTable(("a", "b"), np.array([5, 7]))
    swapped = ContigTable(("b", "a"), np.array([7, 5]))
    longer = ContigTable(("a", "b"), np.array([5, 8]))
    assert table.digest == same.digest
    assert len({table.digest, swapped.digest, longer.digest}) == 3
    assert table.first_difference(longer) == "contig 'b' has 7 bp in one and 8 bp in the other"
    assert "contig 1 is 'a' in one and 'b'" in table.first_difference(swapped)


def test_n50_on_a_worked_example() -> None:
    # 100 bp in all; 40 + 30 is the first sum to reach 50.
    assert n50(np.array([10, 40, 20, 30])) == 30
    assert n50(np.array([], dtype=np.int64)) == 0
