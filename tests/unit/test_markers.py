"""Marker genes: gene calling, profile search, marker sets.

The genomes here are made in the tests: proteins written by a profile, translated back with the
commonest codons of *Escherichia coli*, between random spacers. So the right answer is known.
"""

from __future__ import annotations

import gzip
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyhmmer.easel import Alphabet, TextMSA, TextSequence
from pyhmmer.plan7 import Background, Builder

from llmbin_core.bins.markerindex import index_markers
from llmbin_core.bins.quality import estimate
from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.markers.genes import Gene, call_genes
from llmbin_core.markers.profiles import (
    Profiles,
    bundled_profiles,
    consensus_proteins,
    cutoff_of,
    information,
    load_profiles,
    read_checkm_sets,
)
from llmbin_core.markers.search import cut_ends, find_markers

CODONS = {
    "A": "GCG", "C": "TGC", "D": "GAT", "E": "GAA", "F": "TTT", "G": "GGC", "H": "CAT", "I": "ATT",
    "K": "AAA", "L": "CTG", "M": "ATG", "N": "AAC", "P": "CCG", "Q": "CAG", "R": "CGT", "S": "AGC",
    "T": "ACC", "V": "GTG", "W": "TGG", "Y": "TAT",
}  # fmt: skip
COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")
SPACER = 150


def reverse_complement(sequence: bytes) -> bytes:
    return sequence.translate(COMPLEMENT)[::-1]


def gene_of(protein: str) -> bytes:
    """The protein as an open reading frame with start and stop codon."""
    body = protein if protein.startswith("M") else "M" + protein
    return ("".join(CODONS[residue] for residue in body) + "TAA").encode()


def spacer(seed: int, length: int = SPACER) -> bytes:
    """Random bases without an open frame that could be taken for a gene."""
    rng = random.Random(seed)
    bases = "".join(rng.choice("ACGT") for _ in range(length - 22))
    return b"TTAGTTAGTTAG" + bases.encode()[: length - 36] + b"CTAACTAACTAA" + b"AGGAGGTATATA"


def genome_of(proteins: list[str]) -> tuple[bytes, list[tuple[int, int]]]:
    """A contig of genes on the forward strand, and begin and end of each (counted from 1)."""
    sequence, places = b"", []
    for number, protein in enumerate(proteins):
        sequence += spacer(number)
        gene = gene_of(protein)
        places.append((len(sequence) + 1, len(sequence) + len(gene)))
        sequence += gene
    return sequence + spacer(len(proteins)), places


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return bundled_profiles()


@pytest.fixture(scope="module")
def some(profiles: Profiles) -> Profiles:
    """Ten bundled profiles of proteins long enough to be cut in two."""
    models = tuple(model for model in profiles.models if 150 < model.M < 400)[:10]
    return Profiles(models, {"all": tuple((model.name,) for model in models)}, True)


@pytest.fixture(scope="module")
def contig(some: Profiles) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """A contig with one gene for each of the ten profiles, and where each lies."""
    proteins = consensus_proteins(some)
    sequence, places = genome_of(list(proteins.values()))
    return sequence, dict(zip(proteins, places, strict=True))


def write_models(path: Path, profiles: Profiles, *, cutoffs: bool) -> Path:
    with path.open("wb") as handle:
        for model in profiles.models:
            plain = model.copy()
            if not cutoffs:
                plain.cutoffs.gathering = None
                plain.cutoffs.trusted = None
            plain.write(handle)
    return path


# ------------------------------------------------------------------------------ the bundled data


def test_every_bundled_profile_has_a_cutoff_and_a_place_in_a_set(profiles: Profiles) -> None:
    assert len(set(profiles.names)) == len(profiles.models)
    assert all((cutoff_of(model) or 0) >= 20 for model in profiles.models)
    in_sets = {name for sets in profiles.sets.values() for group in sets for name in group}
    assert in_sets == set(profiles.names)


def test_bundled_sets_share_no_marker_within_a_domain(profiles: Profiles) -> None:
    assert set(profiles.sets) == {"bacteria", "archaea", "reduced"}
    for domain, groups in profiles.sets.items():
        counts = Counter(name for group in groups for name in group)
        assert max(counts.values()) == 1, domain
        assert sum(counts.values()) >= 30, domain


def test_consensus_of_a_bundled_profile_reaches_its_own_cutoff(profiles: Profiles) -> None:
    proteins = consensus_proteins(profiles)
    sequence, places = genome_of(list(proteins.values()))
    found = {hit.marker: hit for hit in find_markers([("c", sequence)], profiles)}
    assert set(found) == set(proteins)
    for name, place in zip(proteins, places, strict=True):
        assert found[name].end == place[1]


def test_information_grows_from_nothing_to_all(profiles: Profiles) -> None:
    model = profiles.models[0]
    share = information(model)
    assert share.shape == (model.M + 1,)
    assert share[0] == 0
    assert share[-1] == pytest.approx(1)
    assert (np.diff(share) >= 0).all()


# ------------------------------------------------------------------------------------- the search


@pytest.mark.parametrize("strand", [1, -1])
def test_genes_are_found_at_their_place_on_both_strands(
    some: Profiles, contig: tuple[bytes, dict[str, tuple[int, int]]], strand: int
) -> None:
    sequence, places = contig
    length = len(sequence)
    if strand < 0:
        sequence = reverse_complement(sequence)
        places = {
            name: (length - end + 1, length - begin + 1) for name, (begin, end) in places.items()
        }
    hits = find_markers([("one", sequence)], some)
    assert {hit.marker: (hit.begin, hit.end) for hit in hits} == places
    assert {hit.strand for hit in hits} == {strand}
    assert {hit.partial for hit in hits} == {""}
    assert all(hit.profile_to - hit.profile_from + 1 > 0.95 * hit.profile_length for hit in hits)
    assert [hit.begin for hit in hits] == sorted(hit.begin for hit in hits)


@pytest.mark.parametrize("strand", [1, -1])
@pytest.mark.parametrize("side", ["left", "right"])
def test_gene_cut_by_the_contig_end_is_found_with_a_scaled_cutoff(
    some: Profiles, strand: int, side: str
) -> None:
    name, protein = next(iter(consensus_proteins(some).items()))
    model = some.models[0]
    # Make the cutoff one that only the whole gene reaches.
    strict = model.copy()
    whole = find_markers([("w", genome_of([protein])[0])], some)[0]
    strict.cutoffs.gathering = (0.75 * whole.score, 0.75 * whole.score)
    profiles = Profiles((strict,), {"all": ((name,),)}, True)
    sequence, [(begin, end)] = genome_of([protein])
    if strand < 0:
        sequence = reverse_complement(sequence)
        begin, end = len(sequence) - end + 1, len(sequence) - begin + 1
    middle = (begin + end) // 2
    piece = sequence[middle:] if side == "left" else sequence[:middle]

    (hit,) = find_markers([("cut", piece)], profiles)
    assert hit.partial == side
    assert hit.score < 0.75 * whole.score
    stop_is_missing = (side == "right") == (strand > 0)
    if stop_is_missing:
        assert hit.profile_from <= 3
        assert hit.profile_to < 0.6 * hit.profile_length
    else:
        assert hit.profile_from > 0.4 * hit.profile_length
        assert hit.profile_to >= hit.profile_length - 2


def test_a_whole_gene_that_holds_half_of_the_profile_is_no_marker(some: Profiles) -> None:
    protein = next(iter(consensus_proteins(some).values()))
    model = some.models[0].copy()
    sequence, _ = genome_of([protein])
    (whole,) = find_markers([("w", sequence)], Profiles((model,), {"all": ((model.name,),)}, True))
    model.cutoffs.gathering = (0.7 * whole.score, 0.7 * whole.score)
    half, _ = genome_of([protein[: len(protein) // 2]])
    assert find_markers([("h", half)], Profiles((model,), {"all": ((model.name,),)}, True)) == []


def test_a_gene_of_two_overlapping_families_belongs_to_the_better_one(some: Profiles) -> None:
    model = some.models[0]
    protein = consensus_proteins(some)[model.name]
    rival = built_from("rival", [mutated(protein, seed, 0.4) for seed in range(5)])
    rival.cutoffs.gathering = (25.0, 25.0)
    sets = {"all": ((model.name,), ("rival",))}
    sequence, _ = genome_of([protein])
    both = find_markers([("c", sequence)], Profiles((rival, model), sets, False))
    assert {hit.marker for hit in both} == {model.name, "rival"}
    best = max(both, key=lambda hit: hit.score)
    assert find_markers([("c", sequence)], Profiles((rival, model), sets, True)) == [best]


def test_a_fusion_of_two_markers_counts_for_both(some: Profiles) -> None:
    names = some.names[:2]
    proteins = consensus_proteins(some)
    sequence, _ = genome_of([proteins[names[0]] + proteins[names[1]]])
    assert {hit.marker for hit in find_markers([("c", sequence)], some)} == set(names)


def test_no_genes_no_markers(some: Profiles) -> None:
    assert find_markers([], some) == []
    assert find_markers([("n", b"N" * 3000), ("short", b"ACGT"), ("empty", b"")], some) == []


def test_thread_count_and_batches_do_not_change_the_result(
    some: Profiles,
    contig: tuple[bytes, dict[str, tuple[int, int]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contigs = [(f"c{start}", contig[0][start : start + 2500]) for start in range(0, 6000, 1500)]
    expected = find_markers(contigs, some, threads=1)
    assert expected
    assert find_markers(contigs, some, threads=3) == expected
    monkeypatch.setattr("llmbin_core.markers.genes.BATCH_BASES", 1)
    assert find_markers(iter(contigs), some, threads=2) == expected


def test_genes_come_in_contig_order(contig: tuple[bytes, dict[str, tuple[int, int]]]) -> None:
    contigs = [("b", contig[0]), ("a", contig[0])]
    genes = [gene for batch in call_genes(contigs, 2) for gene in batch]
    assert list(dict.fromkeys(gene.contig for gene in genes)) == ["b", "a"]
    assert all(len(gene.protein) * 3 <= gene.end - gene.begin + 1 for gene in genes)


def test_identical_genes_are_markers_wherever_they_lie(
    some: Profiles, contig: tuple[bytes, dict[str, tuple[int, int]]]
) -> None:
    one = find_markers([("one", contig[0])], some)
    both = find_markers([("one", contig[0]), ("two", contig[0])], some)
    assert one
    assert both == one + [replace(hit, contig="two") for hit in one]


def test_cut_ends_follow_the_strand() -> None:
    def gene(strand: int, partial: str) -> Gene:
        return Gene("c", 1, 9, strand, partial, "MMM")

    assert cut_ends(gene(1, "left")) == cut_ends(gene(-1, "right")) == (True, False)
    assert cut_ends(gene(1, "right")) == cut_ends(gene(-1, "left")) == (False, True)
    assert cut_ends(gene(1, "both")) == cut_ends(gene(-1, "both")) == (True, True)
    assert cut_ends(gene(1, "")) == (False, False)


# ------------------------------------------------------------------------------- a user's profiles


def mutated(protein: str, seed: int, rate: float) -> str:
    rng = random.Random(seed)
    residues = "ACDEFGHIKLMNPQRSTVWY"
    return "".join(rng.choice(residues) if rng.random() < rate else kept for kept in protein)


def built_from(name: str, proteins: list[str]):  # type: ignore[no-untyped-def]
    amino = Alphabet.amino()
    rows = [TextSequence(name=f"s{n}", sequence=protein) for n, protein in enumerate(proteins)]
    alignment = TextMSA(name=name, sequences=rows).digitize(amino)
    return Builder(amino).build_msa(alignment, Background(amino))[0]


@pytest.mark.parametrize("compressed", [False, True])
def test_models_without_cutoffs_work(
    tmp_path: Path,
    some: Profiles,
    contig: tuple[bytes, dict[str, tuple[int, int]]],
    compressed: bool,
) -> None:
    path = write_models(tmp_path / "mine.hmm", some, cutoffs=False)
    if compressed:
        path.with_name("mine.bin").write_bytes(gzip.compress(path.read_bytes()))
        path = path.with_name("mine.bin")
    mine = load_profiles(path)
    assert [cutoff_of(model) for model in mine.models] == [None] * len(some.models)
    assert mine.sets == {"all": tuple((name,) for name in some.names)}
    hits = find_markers([("c", contig[0])], mine)
    assert Counter(hit.marker for hit in hits) == Counter(some.names)
    assert all(hit.evalue <= 1e-5 for hit in hits)


def test_without_a_cutoff_a_gene_must_cover_40_percent_of_the_model(
    tmp_path: Path, some: Profiles
) -> None:
    mine = load_profiles(write_models(tmp_path / "mine.hmm", some, cutoffs=False))
    name, protein = max(consensus_proteins(some).items(), key=lambda item: len(item[1]))
    for share, expected in ((0.3, []), (0.5, [name])):
        sequence, _ = genome_of([protein[: int(share * len(protein))]])
        assert [hit.marker for hit in find_markers([("c", sequence)], mine)] == expected


def test_cutoffs_of_a_file_are_read(tmp_path: Path, some: Profiles) -> None:
    mine = load_profiles(write_models(tmp_path / "mine.hmm", some, cutoffs=True))
    assert [cutoff_of(model) for model in mine.models] == pytest.approx(
        [cutoff_of(model) for model in some.models], abs=0.01
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "holds no profile"),
        (b"not a profile\n", "is not a valid HMM file"),
        (b"HMMER3/f [3.3]\nNAME x\nLENG 5\nALPH amino\n", "ends within a profile"),
        (gzip.compress(b"HMMER3/f")[:-6], "damaged or cut short"),
    ],
)
def test_malformed_profiles_name_the_file(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "bad profiles.hmm"
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as raised:
        load_profiles(path)
    assert str(path) in str(raised.value)


def test_profiles_cut_in_the_middle_of_a_model(tmp_path: Path, some: Profiles) -> None:
    path = write_models(tmp_path / "mine.hmm", some, cutoffs=True)
    text = path.read_bytes()
    path.write_bytes(text[:-500])
    with pytest.raises(InputError, match="is not a valid HMM file"):
        load_profiles(path)
    path.write_bytes(text[: text.rindex(b"HMMER3/") + 50])
    with pytest.raises(InputError, match="ends within a profile"):
        load_profiles(path)


def test_profiles_of_nucleotides_and_double_names_are_refused(
    tmp_path: Path, some: Profiles
) -> None:
    dna = Alphabet.dna()
    rows = [TextSequence(name=f"s{n}", sequence="ACGTACGTACGTACGGGT") for n in range(3)]
    model = Builder(dna).build_msa(TextMSA(name="d", sequences=rows).digitize(dna), Background(dna))
    path = tmp_path / "dna.hmm"
    with path.open("wb") as handle:
        model[0].write(handle)
    with pytest.raises(InputError, match="profile d is not of proteins"):
        load_profiles(path)
    twice = Profiles((some.models[0], some.models[0]), {}, True)
    with pytest.raises(InputError, match="occurs twice"):
        load_profiles(write_models(tmp_path / "twice.hmm", twice, cutoffs=True))


def test_missing_profiles(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.hmm: no such file"):
        load_profiles(tmp_path / "none.hmm")


# ---------------------------------------------------------------------------- CheckM marker sets


def test_checkm_sets_old_and_new_notation(tmp_path: Path) -> None:
    path = tmp_path / "sets.ms"
    path.write_text(
        "# [Taxon Marker File]\n"
        "Bacteria\t1\t2\tk__Bacteria\t5449\t[set(['B', 'A']), set(['C'])]\n"
        "Archaea\t1\t3\tk__Archaea\t207\t[{'D', 'C'}]\n"
        "x\t1\t4\tother lineage\t9\t[{'E'}]\n"
    )
    assert read_checkm_sets(path) == {
        "bacteria": (("A", "B"), ("C",)),
        "archaea": (("C", "D"),),
        "other lineage": (("E",),),
    }


@pytest.mark.parametrize("line", ["Bacteria\t1\t2", "Bacteria\t1\t2\tk__Bacteria\t5\tnothing", ""])
def test_malformed_checkm_sets(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sets.ms"
    path.write_text(f"# [Taxon Marker File]\n{line}\n")
    with pytest.raises(InputError, match=r"sets\.ms: (line 2 is not|holds no marker set)"):
        read_checkm_sets(path)


def test_sets_are_limited_to_the_profiles_given(tmp_path: Path, some: Profiles) -> None:
    models = write_models(tmp_path / "mine.hmm", some, cutoffs=True)
    sets = tmp_path / "sets.ms"
    one, two = some.names[:2]
    listed = f"[{{'{one}', 'PF1'}}, {{'{two}'}}, {{'PF2'}}]"
    sets.write_text(f"# [x]\nb\t1\t2\tk__Bacteria\t9\t{listed}\n")
    assert load_profiles(models, sets).sets == {"bacteria": ((one,), (two,))}
    # A domain without a marker among the profiles is left out; its completeness would be 0 / 0.
    sets.write_text(
        f"# [x]\nb\t1\t2\tk__Bacteria\t9\t{listed}\na\t1\t3\tk__Archaea\t9\t[{{'PF3'}}]\n"
    )
    found = load_profiles(models, sets).sets
    assert found == {"bacteria": ((one,), (two,))}
    contigs = ContigTable(("c",), np.array([1000]))
    quality = estimate(index_markers([], contigs, found), [np.array([0])])
    assert np.isfinite(quality.error).all()
    sets.write_text("# [x]\nb\t1\t2\tk__Bacteria\t9\t[{'PF1'}]\n")
    with pytest.raises(InputError, match="none of its markers"):
        load_profiles(models, sets)
