"""How markers are chosen: weights, cutoffs, single copies, collocated sets, names.

Toy families on toy genomes, so that each right answer can be seen by eye.
"""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from pyhmmer.easel import Alphabet
from pyhmmer.plan7 import HMM

from llmbin_core.markers.build.genomes import Genome, TrainingGene, weights
from llmbin_core.markers.build.names import NAMES_FILE
from llmbin_core.markers.build.select import (
    LOWEST_CUTOFF,
    Census,
    Family,
    assign,
    collocated,
    drop_doubles,
    frequent,
    incomplete,
    is_distinct,
    is_marker,
    set_cutoff,
)
from llmbin_core.markers.profiles import DATA, SETS_FILE, bundled_profiles, cutoff_of
from llmbin_core.markers.search import Match


def genome(name: str, *, genus: str = "", phylum: str = "P", domain: str = "Bacteria") -> Genome:
    return Genome(name, name, genus or name, phylum, domain, 3_000_000, True, False)


def gene(genome: int, begin: int = 1, contig: int = 0) -> TrainingGene:
    return TrainingGene(genome, contig, 0, begin, begin + 899, 1, False, "M")


def family(genes: list[int], scores: list[float], name: str = "f") -> Family:
    model = HMM(Alphabet.amino(), 10, name)
    return Family(model, np.array(genes, np.int64), np.array(scores, float))


# Six bacteria and two archaea; gene n lies in genome n % 8, so genes 0..7 are one copy each.
GENOMES = [genome(f"b{n}") for n in range(6)] + [
    genome(f"a{n}", phylum="A", domain="Archaea") for n in range(2)
]
GENES = [gene(number % 8, 1 + 2000 * (number // 8)) for number in range(24)]


def census() -> Census:
    return Census(GENES, GENOMES, np.ones(8), range(8))


def test_weights_temper_large_clades() -> None:
    genomes = [
        genome("g1", genus="x", phylum="P"),
        genome("g2", genus="x", phylum="P"),
        *(genome(f"h{n}", genus=f"y{n}", phylum="P") for n in range(3)),
        genome("q", phylum="Q"),
    ]
    weight = weights(genomes)
    assert weight[0] == weight[1] == pytest.approx(weight[2] / 2)
    assert weight[:5].sum() == pytest.approx(2)  # the root of four genera
    assert weight[5] == 1


def test_reduced_genomes_are_a_group_of_their_own() -> None:
    small = Genome("s", "s", "s", "P", "Bacteria", 600_000, True, False)
    assert small.group == "reduced"
    assert GENOMES[0].group == "bacteria"
    assert GENOMES[7].group == "archaea"


def test_cutoff_lies_between_members_and_paralogues_nearer_to_these() -> None:
    # Members score 200..270, paralogues (second copies) at most 100.
    found = family([*range(8), *range(8, 16)], [*range(200, 280, 10), *range(65, 105, 5)])
    set_cutoff(found, census())
    assert 100 < found.cutoff < 150
    assert sorted(found.members) == list(range(8))
    assert is_marker(found, census(), 0.95) == {"bacteria": True, "archaea": True, "reduced": False}


def test_cutoff_without_paralogues_leaves_room_for_unseen_relatives() -> None:
    found = family(list(range(8)), [200.0] * 8)
    set_cutoff(found, census())
    assert LOWEST_CUTOFF <= found.cutoff < 0.5 * 200


def test_a_family_of_one_domain_ignores_the_other_domain() -> None:
    # Bacterial members at 200; archaeal paralogues (twice each) at 150.
    found = family([*range(6), 6, 7, 14, 15], [200.0] * 6 + [150.0] * 4)
    set_cutoff(found, census())
    assert found.cutoff > 150
    assert is_marker(found, census(), 0.95)["bacteria"]
    assert not is_marker(found, census(), 0.95)["archaea"]


def test_distinct_needs_a_gap_and_single_copies() -> None:
    clear = family([*range(8), 8], [200.0] * 8 + [100.0])
    close = family([*range(8), 8], [200.0] * 8 + [196.0])
    for found in (clear, close):
        set_cutoff(found, census())
    assert is_distinct(clear, census(), gap=0.05, repeated=0.05)
    assert not is_distinct(close, census(), gap=0.05, repeated=0.05)
    twice = family([*range(8), 8], [200.0] * 9)
    twice.cutoff = 100.0
    assert not is_distinct(twice, census(), gap=0.05, repeated=0.05)
    assert is_distinct(twice, census(), gap=0.05, repeated=0.2)


def test_doubles_are_dropped_and_the_widespread_one_stays() -> None:
    wide = family(list(range(8)), [100.0] * 8, "wide")
    narrow = family(list(range(4)), [100.0] * 4, "narrow")
    other = family(list(range(8, 14)), [100.0] * 6, "other")
    kept = drop_doubles([narrow, wide, other], census())
    assert [f.model.name for f in kept] == ["wide", "other"]


def test_frequent_clusters_are_widespread_and_mostly_single() -> None:
    single = list(range(6))
    doubled = [*range(6), *range(8, 14)]
    rare = [0, 1]
    assert frequent([single, doubled, rare], census(), 0.5, 0.7) == [single]


def test_unfinished_genomes_are_named() -> None:
    # Ten families; genome 5 has just one of them, the others have all.
    families = []
    for number in range(10):
        members = [0, 1, 2, 3, 4, *([5] if number == 0 else [])]
        families.append(family(members, [100.0] * len(members), f"f{number}"))
    assert incomplete(families, census(), 0.8, 0.85) == [5]


def test_genes_go_to_the_best_of_two_families() -> None:
    def match(gene: int, model: int, score: float, residues: tuple[int, int]) -> Match:
        return Match(gene, model, score, 1e-20, 1, 90, residues)

    models = [HMM(Alphabet.amino(), 90, name) for name in ("one", "two")]
    matches = [
        match(3, 0, 80.0, (1, 90)),
        match(3, 1, 90.0, (5, 95)),
        match(4, 0, 80.0, (1, 90)),
        match(4, 1, 90.0, (100, 190)),
    ]
    one, two = assign(matches, models)
    assert one.genes.tolist() == [4]
    assert two.genes.tolist() == [3, 4]


def test_collocated_markers_form_sets() -> None:
    genes = []
    for number in range(8):
        near = 1000 if number else 90_000  # neighbours in seven of eight genomes
        genes += [gene(number, 1), gene(number, 1 + near), gene(number, 1, contig=1)]
    counted = Census(genes, GENOMES, np.ones(8), range(8))
    families = [family([24 // 8 * n + k for n in range(8)], [99.0] * 8, str(k)) for k in range(3)]
    found = collocated(families, genes, counted, "bacteria", distance=5000, share=0.8)
    assert found == [[0, 1], [2]]
    found = collocated(families, genes, counted, "bacteria", distance=5000, share=0.95)
    assert found == [[0], [1], [2]]


def test_anchors_have_one_name_each() -> None:
    with NAMES_FILE.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    places = [(row["genome"], row["sequence"], row["stop"]) for row in rows]
    assert len(set(places)) == len(places)
    assert all(row["name"] and row["product"] for row in rows)


def test_bundled_statistics_belong_to_the_bundled_profiles() -> None:
    profiles = bundled_profiles()
    described = json.loads((DATA / SETS_FILE).read_text())["profiles"]
    assert [row["name"] for row in described] == list(profiles.names)
    for row, model in zip(described, profiles.models, strict=True):
        assert row["length"] == model.M
        assert cutoff_of(model) == pytest.approx(row["cutoff"], abs=0.06)
        for domain in row["marker_of"]:
            assert row[domain]["single"] >= 0.95
            assert any(row["name"] in group for group in profiles.sets[domain])
