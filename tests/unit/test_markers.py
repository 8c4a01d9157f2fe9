"""Marker genes: gene calling, profile search, marker sets.

The genomes here are made of marker genes (`marker_genes.py`), so the right answer is known.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from marker_genes import contig_of, genome_of, reverse_complement, ten_profiles
from pyhmmer.easel import Alphabet, TextMSA, TextSequence
from pyhmmer.plan7 import Background, Builder

from llmbin_core.markers.genes import Gene, call_genes
from llmbin_core.markers.profiles import (
    Profiles,
    bundled_profiles,
    consensus_proteins,
    cutoff_of,
    information,
)
from llmbin_core.markers.search import cut_ends, find_markers


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return bundled_profiles()


@pytest.fixture(scope="module")
def some() -> Profiles:
    return ten_profiles()


@pytest.fixture(scope="module")
def contig(some: Profiles) -> tuple[bytes, dict[str, tuple[int, int]]]:
    return contig_of(some)


def mutated(protein: str, seed: int, rate: float) -> str:
    rng = random.Random(seed)
    residues = "ACDEFGHIKLMNPQRSTVWY"
    return "".join(rng.choice(residues) if rng.random() < rate else kept for kept in protein)


def built_from(name: str, proteins: list[str]):  # type: ignore[no-untyped-def]
    amino = Alphabet.amino()
    rows = [TextSequence(name=f"s{n}", sequence=protein) for n, protein in enumerate(proteins)]
    alignment = TextMSA(name=name, sequences=rows).digitize(amino)
    return Builder(amino).build_msa(alignment, Background(amino))[0]


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
