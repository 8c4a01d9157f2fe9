"""Circular contigs: how they are told, and the bins that whole genomes become."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmbin_core.bins.circular import circular_bins, without
from llmbin_core.bins.markerindex import index_markers
from llmbin_core.bins.selection import choose_bins
from llmbin_core.circularity import (
    circular_contigs,
    ends_overlap,
    read_circular_names,
    says_circular,
)
from llmbin_core.contigs import ContigTable, name_samples, prepare, read_contigs
from llmbin_core.errors import InputError
from llmbin_core.markertable import MarkerHit


@pytest.mark.parametrize(
    ("header", "circular"),
    [
        # As the assemblers write them, each with its linear twin.
        ("s3.ctg000012c", True),
        ("s3.ctg000012l", False),
        ("ptg000001c", True),
        ("ctg12_20x_c", True),
        ("ctg12_20x_l", False),
        ("ctg7 length=7013 coverage=6 circular=yes", True),
        ("ctg7 length=7013 coverage=6 circular=no", False),
        ("1 length=5231428 depth=1.00x circular=true", True),
        ("tig00000001 len=100 reads=3 class=contig suggestRepeat=no suggestCircular=yes", True),
        ("tig00000001 len=100 reads=3 class=contig suggestRepeat=yes suggestCircular=no", False),
        ("u20ctg_len-38_circular-yes_depth-12-12-12_duplicated-no", True),
        ("u20ctg_len-38_circular-no_depth-12-12-12_duplicated-no", False),
        ("x [organism=E. coli] [topology=circular] [completeness=complete]", True),
        ("x [topology=linear]", False),
        ("contig_1", False),
        ("NODE_1_length_100_cov_3.2", False),
        ("k141_1 flag=1 multi=2.0000 len=312", False),
        ("x semicircular=yes", False),
        ("abc", False),
    ],
)
def test_what_assemblers_say(header: str, circular: bool) -> None:
    name, _, description = header.partition(" ")
    assert says_circular(name, description) is circular


def sequence(length: int, seed: int = 0) -> bytes:
    letters = np.frombuffer(b"ACGT", np.uint8)
    return letters[np.random.default_rng(seed).integers(0, 4, length)].tobytes()


def test_ends_that_are_one_place() -> None:
    whole = sequence(20_000)
    assert not ends_overlap(whole)
    assert ends_overlap(whole + whole[:100])
    assert not ends_overlap(whole + whole[:99])
    assert ends_overlap(whole + whole[:8000])
    # One error in 200 bp is within 1 %, ten are not.
    tail = bytearray(whole[:2000])
    tail[500:2000:200] = bytes(b"ACGT"[b"CGTA".index(b)] for b in tail[500:2000:200])
    assert ends_overlap(whole + bytes(tail))
    tail[40:2000:20] = bytes(b"ACGT"[b"CGTA".index(b)] for b in tail[40:2000:20])
    assert not ends_overlap(whole + bytes(tail))
    # Tandem repeats and short contigs say nothing.
    assert not ends_overlap(b"A" * 5000)
    assert not ends_overlap(whole[:20] * 60)
    assert not ends_overlap(whole[:150])


def test_names_from_flye_and_from_a_list(tmp_path: Path) -> None:
    info = tmp_path / "assembly_info.txt"
    info.write_text(
        "#seq_name\tlength\tcov.\tcirc.\trepeat\tmult.\talt_group\tgraph_path\n"
        "contig_1\t5000\t20\tY\tN\t1\t*\t1\ncontig_2\t4000\t20\tN\tY\t1\t*\t2\n"
    )
    assert read_circular_names(info) == {"contig_1"}
    names = tmp_path / "names.txt"
    names.write_text("a\n\nb\n")
    assert read_circular_names(names) == {"a", "b"}
    names.write_text("a\nb 5000\n")
    with pytest.raises(InputError, match=r"names.txt: 'b 5000' is more than a name; give Flye"):
        read_circular_names(names)


def test_headers_and_table_of_contigs_carry_it(tmp_path: Path) -> None:
    source = tmp_path / "a.fa"
    parts = {
        "one": sequence(3000, 1),
        "two circular=true": sequence(3000, 2),
        "three": sequence(3000, 3) + sequence(3000, 3)[:300],
        "four": sequence(3000, 4),
    }
    source.write_bytes(b"".join(b">%s\n%s\n" % (k.encode(), v) for k, v in parts.items()))
    fasta, table = tmp_path / "contigs.fasta.gz", tmp_path / "contigs.tsv"
    prepare(name_samples([source]), fasta, table, circular={"four"})
    contigs = read_contigs(fasta).table
    assert contigs.names == ("one", "two", "three", "four")
    assert circular_contigs(fasta) == {"two", "three", "four"}
    assert _shapes(table) == ["no", "yes", "yes", "yes"]
    # Assemblies of samples are joined, and the joined contigs are prepared again for a run.
    other = tmp_path / "b.fa"
    other.write_bytes(b">ptg000001c\n" + sequence(3000, 5) + b"\n")
    prepare(name_samples([fasta, other], ["S1", "S2"]), joined := tmp_path / "j.fa.gz", table)
    prepare(name_samples([joined]), again := tmp_path / "again.fa.gz", table, joined=True)
    assert _shapes(table) == ["no", "yes", "yes", "yes", "yes"]
    assert circular_contigs(again) == {"S1:two", "S1:three", "S1:four", "S2:ptg000001c"}
    # Names alone are enough where a sample stands in front of them.
    plain = tmp_path / "plain.fa"
    plain.write_bytes(b">S1:ptg000001c\n" + sequence(3000, 6) + b"\n>S1:x\n" + sequence(3000, 7))
    prepare(name_samples([plain]), again, table, joined=True, circular={"S1:x"})
    assert circular_contigs(again) == {"S1:ptg000001c", "S1:x"}


def _shapes(table: Path) -> list[str]:
    with table.open(newline="") as handle:
        return [row["circular"] for row in csv.DictReader(handle, delimiter="\t")]


MARKERS = tuple("ABCDEFGHIJKLMNOPQRST")
CONTIGS = ContigTable(tuple(f"c{i}" for i in range(8)), np.full(8, 300_000))


def hits(contig: int, markers: str, seed: int) -> list[MarkerHit]:
    letters = "ACDEFGHIKLMNPQRSTVWY"
    rng = np.random.default_rng(seed)
    return [
        MarkerHit(f"c{contig}", m, 99.0, 1e-9, 1, 100, 100, 1, 300, 1, "",
                  "".join(letters[i] for i in rng.integers(0, 20, 100)))
        for m in markers
    ]  # fmt: skip


def test_whole_circles_are_bins_and_take_their_replicons() -> None:
    every = "".join(MARKERS)
    # 0: a whole genome; 1: whole but linear; 2: circular with two genomes' markers; 3: circular,
    # 17 of 20 markers (85 %, and more than 90 % is asked); 4: a plasmid of 0 by two of three
    # partitions; 5: a plasmid with 0 in one only; 6: linear, always with 0.
    found = hits(0, every, 1) + hits(1, every, 2) + hits(2, every, 3) + hits(2, every, 4)
    found += hits(3, every[:17], 5)
    index = index_markers(found, CONTIGS, {"bacteria": (MARKERS,)})
    circular = np.array([1, 0, 1, 1, 1, 1, 0, 0], bool)
    labels = np.array(
        [[0, 1, 2, 3, 0, 4, 0, 1], [0, 1, 2, 3, 0, 4, 0, 1], [0, 1, 2, 3, 4, 0, 0, -1]], np.int32
    )
    bins = circular_bins(circular, labels, index, 200_000)
    assert [rows.tolist() for rows in bins] == [[0, 4]]
    left = without(labels, bins)
    assert (left[:, [0, 4]] == -1).all()
    others = [1, 2, 3, 5, 6, 7]
    assert (left[:, others] == labels[:, others]).all()
    chosen = choose_bins(labels, index, 200_000, circular=circular)
    assert chosen[0].tolist() == [0, 4]
    rows = np.concatenate(chosen)
    assert len(rows) == len(set(rows.tolist()))
    # Unless it is said that they are circles, contigs are clustered as ever.
    assert [0, 4, 6] in [sorted(rows.tolist()) for rows in
                         choose_bins(labels, index, 200_000)]  # fmt: skip


def test_twins_each_become_a_bin() -> None:
    """Two strains that every partition puts together: both are whole, so both are bins."""
    every = "".join(MARKERS)
    index = index_markers(hits(0, every, 1) + hits(1, every, 2), CONTIGS, {"bacteria": (MARKERS,)})
    circular = np.array([1, 1, 1, 0, 0, 0, 0, 0], bool)
    labels = np.zeros((3, 8), np.int32)
    bins = circular_bins(circular, labels, index, 200_000)
    assert sorted(len(rows) for rows in bins) == [1, 2]
    assert circular_bins(np.zeros(8, bool), labels, index, 200_000) == []
    assert circular_bins(circular, labels, index, 300_001) == []
    short = replace(index, lengths=np.full(8, 199_999))
    assert circular_bins(circular, labels, short, 1) == []
