"""Simulated communities: files that fit each other and what they are said to hold."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pysam
import pytest
from Bio.Seq import Seq

from llmbin_core.contigs import name_samples, prepare
from llmbin_core.fasta import iter_fasta
from llmbin_core.simulate import SimulatedCommunity, SimulateOptions, simulate
from llmbin_core.simulate.composition import RESIDUE_SHARES, RESIDUES

SMALL = {"n_genomes": 3, "samples": 2, "genome_size": (60_000, 80_000), "depth": 7.0}


def proteins() -> dict[str, str]:
    """Eight made-up proteins of 80 to 300 residues."""
    rng = np.random.default_rng(7)
    sizes = rng.integers(80, 300, 8)
    letters = [rng.choice(list(RESIDUES), size, p=RESIDUE_SHARES) for size in sizes]
    return {f"marker{i}": "M" + "".join(x) for i, x in enumerate(letters)}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def contigs_of(made: SimulatedCommunity) -> dict[str, str]:
    """Bases of all contigs by their names in the BAM and the gold standard."""
    several = len(made.contigs) > 1
    found: dict[str, str] = {}
    for path in made.contigs:
        prefix = f"{path.name.split('.')[0]}:" if several else ""
        found |= {f"{prefix}{name}": s.decode() for name, s in iter_fasta(path)}
    return found


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(folder: Path, **options: object) -> SimulatedCommunity:
    return simulate(folder, SimulateOptions(**{**SMALL, **options}), proteins())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SimulatedCommunity:
    return run(tmp_path_factory.mktemp("small"), write_genomes=True, strains=1)


@pytest.fixture(scope="module")
def multi(tmp_path_factory: pytest.TempPathFactory) -> SimulatedCommunity:
    return run(tmp_path_factory.mktemp("multi"), mode="multi", presence=1.0, depth_spread=0.3)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> SimulatedCommunity:
    return run(tmp_path_factory.mktemp("long"), reads="long", error_rate=0.02, depth=4.0)


@pytest.fixture(params=["small", "multi", "long"])
def community(request: pytest.FixtureRequest) -> SimulatedCommunity:
    made: SimulatedCommunity = request.getfixturevalue(request.param)
    return made


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run(tmp_path / name, seed=seed, write_genomes=True)
    first, second, third = (digests(tmp_path / name) for name in "abc")
    assert first == second
    assert sorted(first) == [
        "S1.bam",
        "S1.bam.bai",
        "S2.bam",
        "S2.bam.bai",
        "abundance.tsv",
        "contigs.fasta.gz",
        "genes.tsv",
        *(f"genomes/genome_{i}.fasta.gz" for i in (1, 2, 3)),
        "gold.tsv",
    ]
    assert all(first[name] != third[name] for name in first)


def test_gold_standard_covers_the_contigs(community: SimulatedCommunity) -> None:
    lengths = {name: len(s) for name, s in contigs_of(community).items()}
    gold = rows_of(community.gold)
    assert {r["contig"]: int(r["length"]) for r in gold} == lengths
    assert len(gold) == len(lengths) == community.n_contigs
    assert sum(lengths.values()) == community.assembled_bp
    assert min(lengths.values()) >= 1000
    assert {r["genome"] for r in gold} <= {r["genome"] for r in rows_of(community.abundance)}


def test_contigs_are_pieces_of_their_genomes(small: SimulatedCommunity) -> None:
    folder = small.gold.parent / "genomes"
    genomes = {
        path.name.split(".")[0]: next(iter_fasta(path))[1].decode() for path in folder.iterdir()
    }
    contigs = contigs_of(small)
    strands: Counter[str] = Counter()
    pieces = defaultdict(list)
    for row in rows_of(small.gold):
        contig, genome = contigs[row["contig"]], genomes[row["genome"]]
        turned = str(Seq(contig).reverse_complement())
        found = [(s, genome.find(c)) for s, c in (("+", contig), ("-", turned)) if c in genome]
        assert len(found) == 1, row
        strands[found[0][0]] += 1
        pieces[row["genome"]].append((found[0][1], found[0][1] + len(contig)))
    assert min(strands["+"], strands["-"]) > 0.25 * len(contigs)
    for genome, ranges in pieces.items():
        ranges.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(ranges)), genome


def test_alignments_fit_the_contigs(community: SimulatedCommunity) -> None:
    contigs = contigs_of(community)
    for path in community.bams:
        with pysam.AlignmentFile(str(path)) as bam:
            header = dict(zip(bam.references, bam.lengths, strict=True))
            assert header == {name: len(s) for name, s in contigs.items()}
            last = (0, 0)
            clipped = 0
            for read in bam:
                assert read.reference_name is not None
                assert read.query_alignment_sequence is not None
                assert (read.reference_id, read.reference_start) >= last
                last = (read.reference_id, read.reference_start)
                contig = contigs[read.reference_name]
                # The number of differences is counted here, letter by letter.
                here = contig[read.reference_start : read.reference_end]
                differences = sum(
                    a != b for a, b in zip(read.query_alignment_sequence, here, strict=True)
                )
                assert read.get_tag("NM") == differences
                if read.cigartuples is not None and len(read.cigartuples) > 1:
                    clipped += 1
                    at_end = read.reference_end == len(contig) or read.reference_start == 0
                    assert at_end, read
            assert clipped
            assert bam.check_index()


def test_index_finds_what_a_scan_finds(community: SimulatedCommunity) -> None:
    with pysam.AlignmentFile(str(community.bams[0])) as bam:
        everything = list(bam)
        for name, length in zip(bam.references[:5], bam.lengths[:5], strict=True):
            begin, end = length // 3, 2 * length // 3
            scanned = [
                r.query_name
                for r in everything
                if r.reference_name == name
                and r.reference_start < end
                and (r.reference_end or 0) > begin
            ]
            assert [r.query_name for r in bam.fetch(name, begin, end)] == scanned


def test_mates_know_each_other(small: SimulatedCommunity) -> None:
    pairs: dict[str, list[pysam.AlignedSegment]] = defaultdict(list)
    with pysam.AlignmentFile(str(small.bams[0])) as bam:
        for read in bam:
            pairs[read.query_name or ""].append(read)
    assert {len(p) for p in pairs.values()} <= {1, 2}
    inserts = []
    for reads in pairs.values():
        if len(reads) == 1:
            assert reads[0].mate_is_unmapped
            continue
        a, b = reads
        assert a.is_read1 != b.is_read1
        for me, mate in ((a, b), (b, a)):
            assert me.next_reference_id == mate.reference_id
            assert me.next_reference_start == mate.reference_start
            assert me.mate_is_reverse == mate.is_reverse
        if a.reference_id == b.reference_id:
            assert a.is_proper_pair
            assert a.template_length == -b.template_length
            left = a if a.template_length > 0 else b
            assert left.reference_start <= min(a.reference_start, b.reference_start)
            assert a.is_reverse != b.is_reverse
            inserts.append(abs(a.template_length))
    assert np.mean(inserts) == pytest.approx(350, abs=5)


def depth_by_genome(made: SimulatedCommunity, bam: Path) -> dict[str, float]:
    """Mean depth over the contigs of each genome, from a pileup of samtools."""
    genome = {r["contig"]: r["genome"] for r in rows_of(made.gold)}
    bases: Counter[str] = Counter()
    sizes: Counter[str] = Counter(dict.fromkeys(genome.values(), 0))
    for r in rows_of(made.gold):
        sizes[r["genome"]] += int(r["length"])
    text = str(pysam.depth(str(bam)))
    for line in text.splitlines():
        contig, _, depth = line.split("\t")
        bases[genome[contig]] += int(depth)
    return {g: bases[g] / size for g, size in sizes.items()}


def test_depth_is_that_of_the_abundance_table(small: SimulatedCommunity) -> None:
    wanted = {r["genome"]: r for r in rows_of(small.abundance)}
    for bam in small.bams:
        for genome, depth in depth_by_genome(small, bam).items():
            # Poisson noise of some 2000 reads, uneven windows, and reads lost at contig ends.
            assert depth == pytest.approx(float(wanted[genome][bam.stem]), rel=0.1, abs=0.2)


def test_depth_of_long_reads(long: SimulatedCommunity) -> None:
    wanted = {r["genome"]: r for r in rows_of(long.abundance)}
    for bam in long.bams:
        for genome, depth in depth_by_genome(long, bam).items():
            # About 35 reads of 8 kb each: a relative standard deviation near 20 %.
            assert depth == pytest.approx(float(wanted[genome][bam.stem]), rel=0.6, abs=0.5)


def test_tables_of_genes_and_abundance(small: SimulatedCommunity) -> None:
    folder = small.gold.parent
    abundance = rows_of(small.abundance)
    assert {r["genome"]: r["strain_of"] for r in abundance} == {
        "genome_1": "",
        "genome_2": "",
        "genome_3": "",
        "genome_1_strain_2": "genome_1",
    }
    markers = defaultdict(list)
    genomes = {r["genome"]: next(iter_fasta(folder / "genomes" / f"{r['genome']}.fasta.gz"))[1]
               for r in abundance}  # fmt: skip
    assert {g: len(s) for g, s in genomes.items()} == {
        r["genome"]: int(r["length"]) for r in abundance
    }
    for row in rows_of(folder / "genes.tsv"):
        gene = Seq(genomes[row["genome"]][int(row["begin"]) : int(row["end"])])
        gene = gene if row["strand"] == "+" else gene.reverse_complement()
        # Biopython raises an error unless this is a whole gene, from start codon to stop codon.
        gene.translate(table=11, cds=True)
        if row["marker"]:
            markers[row["genome"]].append(row["marker"])
    assert {g: sorted(m) for g, m in markers.items()} == dict.fromkeys(genomes, sorted(proteins()))


def test_several_assemblies_are_named_as_prepare_names_them(
    multi: SimulatedCommunity, tmp_path: Path
) -> None:
    fasta = tmp_path / "contigs.fasta.gz"
    prepare(name_samples(multi.contigs), fasta, tmp_path / "contigs.tsv")
    prepared = [(name, len(s)) for name, s in iter_fasta(fasta)]
    for path in multi.bams:
        with pysam.AlignmentFile(str(path)) as bam:
            assert list(zip(bam.references, bam.lengths, strict=True)) == prepared
    for path in multi.contigs:
        names = [name for name, _ in iter_fasta(path)]
        assert len(set(names)) == len(names)
        assert not any(":" in name for name in names)


def test_reads_that_fit_two_assemblies_are_shared_out(multi: SimulatedCommunity) -> None:
    where: Counter[str] = Counter()
    low: Counter[str] = Counter()
    with pysam.AlignmentFile(str(multi.bams[0])) as bam:
        for read in bam:
            sample = (read.reference_name or "").split(":")[0]
            where[sample] += 1
            low[sample] += read.mapping_quality < 10
    share = where["S1"] / where.total()
    assert 0.4 < share < 0.6
    assert low.total() > 0.7 * where.total()


def test_long_reads_are_split_where_contigs_end(long: SimulatedCommunity) -> None:
    by_name: dict[str, list[pysam.AlignedSegment]] = defaultdict(list)
    with pysam.AlignmentFile(str(long.bams[0])) as bam:
        for read in bam:
            by_name[read.query_name or ""].append(read)
    split = [reads for reads in by_name.values() if len(reads) > 1]
    assert split
    for reads in by_name.values():
        (primary,) = [r for r in reads if not r.is_supplementary]
        assert primary.query_alignment_length == max(r.query_alignment_length for r in reads)
        assert all(r.has_tag("SA") == (len(reads) > 1) for r in reads)
        for read in reads:
            assert read.infer_read_length() == primary.query_length
            others = str(read.get_tag("SA")).split(";")[:-1] if read.has_tag("SA") else []
            theirs = [r.reference_name or "" for r in reads if r is not read]
            assert sorted(o.split(",")[0] for o in others) == sorted(theirs)


def write_genome(path: Path, *lengths: int) -> None:
    rng = np.random.default_rng(len(path.name))
    shares = [0.3, 0.2, 0.2, 0.29, 0.01]
    sequences = ["".join(rng.choice(list("ACGTN"), n, p=shares)) for n in lengths]
    text = "".join(f">c{i}\n{s}\n" for i, s in enumerate(sequences)).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def test_genomes_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "genomes"
    folder.mkdir()
    write_genome(folder / "one.fa", 40_000, 30_000, 400)
    write_genome(folder / "second.fna.gz", 50_000)
    write_genome(folder / "the third.fasta", 45_000)
    (folder / "notes.txt").write_text("not a genome")
    options = SimulateOptions(genomes=folder, samples=1, depth=20, write_genomes=True)
    made = simulate(tmp_path / "out", options, {})
    assert made.genomes == 3
    test_alignments_fit_the_contigs(made)
    sources = {path.name.split(".")[0]: path for path in folder.iterdir()}
    contigs = contigs_of(made)
    for row in rows_of(made.gold):
        records = [s.decode() for _, s in iter_fasta(sources[row["genome"]])]
        contig = contigs[row["contig"]]
        turned = str(Seq(contig).reverse_complement())
        assert any(contig in s or turned in s for s in records)
    two = simulate(tmp_path / "two", SimulateOptions(genomes=folder, n_genomes=2), {})
    assert two.genomes == 2
