"""Made-up genomes: composition, genes that another program finds, marker proteins, strains."""

from __future__ import annotations

import numpy as np
import pyrodigal
import pytest
from Bio.Seq import Seq
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbin_core.errors import InputError
from llmbin_core.simulate.community import cut_genomes, draw_depths
from llmbin_core.simulate.composition import (
    ANY,
    IS_STOP,
    RESIDUE_OF,
    RESIDUE_SHARES,
    RESIDUES,
    Codes,
    draw_background,
    draw_codons,
    make_profile,
    make_signature,
)
from llmbin_core.simulate.genomes import Genome, make_genome, make_strain, reverse_complement
from llmbin_core.simulate.options import SimulateOptions
from llmbin_core.simulate.proteins import diverge, encode_proteins
from llmbin_core.simulate.reads import choose_assembly


def proteins(n: int) -> dict[str, str]:
    """Made-up proteins of 80 to 300 residues."""
    rng = np.random.default_rng(7)
    sizes = rng.integers(80, 300, n)
    letters = [rng.choice(list(RESIDUES), size, p=RESIDUE_SHARES) for size in sizes]
    return {f"marker{i}": "M" + "".join(x) for i, x in enumerate(letters)}


def genome_of(gc: float, length: int = 150_000, seed: int = 3) -> Genome:
    rng = np.random.default_rng(seed)
    return make_genome(rng, "g", length, gc, encode_proteins(proteins(40)), 0.2)


def letters_of(codes: Codes) -> str:
    return codes.tobytes().translate(b"ACGTN" + bytes(251)).decode()


def marker_proteins(genome: Genome) -> dict[str, str]:
    """Proteins of the planted genes, translated by Biopython, which insists on whole genes."""
    found = {}
    letters = letters_of(genome.codes)
    for gene in genome.genes:
        bases = Seq(letters[gene.begin : gene.end])
        bases = bases if gene.forward else bases.reverse_complement()
        protein = str(bases.translate(table=11, cds=True))
        if gene.marker:
            found[gene.marker] = protein
    return found


def difference(one: dict[str, str], two: dict[str, str]) -> float:
    """Share of residues that differ between two versions of the same proteins."""
    pairs = [(a, b) for name in one for a, b in zip(one[name], two[name], strict=True)]
    return sum(a != b for a, b in pairs) / len(pairs)


@pytest.mark.parametrize("gc", [0.32, 0.5, 0.66])
def test_pyrodigal_finds_the_genes(gc: float) -> None:
    genome = genome_of(gc)
    assert np.isin(genome.codes, (1, 2)).mean() == pytest.approx(gc, abs=0.03)
    coding = sum(gene.end - gene.begin for gene in genome.genes) / len(genome)
    assert 0.8 < coding < 0.95
    predicted = pyrodigal.GeneFinder(meta=True).find_genes(letters_of(genome.codes).encode())
    size_at_stop = {
        (g.end if g.strand == 1 else g.begin - 1): g.end - g.begin + 1 for g in predicted
    }
    sizes = [size_at_stop.get(g.end if g.forward else g.begin) for g in genome.genes]
    found = [size is not None for size in sizes]
    assert np.mean(found) >= 0.97
    assert np.mean([f for f, g in zip(found, genome.genes, strict=True) if g.marker]) >= 0.97
    # Which of several start codons a gene begins with is a guess; measured: .53 to .75 are right.
    exact = [s == g.end - g.begin for s, g in zip(sizes, genome.genes, strict=True)]
    assert np.mean(exact) >= 0.5
    assert len(predicted) < 1.1 * len(genome.genes)


def test_marker_proteins_are_single_and_differ_between_genomes() -> None:
    given_ones = proteins(40)
    genomes = [genome_of(0.4, seed=1), genome_of(0.6, seed=2)]
    for genome in genomes:
        names = [gene.marker for gene in genome.genes if gene.marker]
        assert sorted(names) == sorted(given_ones)
        assert difference(given_ones, marker_proteins(genome)) == pytest.approx(0.2, abs=0.02)
    one, two = map(marker_proteins, genomes)
    assert 0.3 < difference(one, two) < 0.4


def test_codon_usage_is_the_genomes_own() -> None:
    """Genomes of one GC content differ in their 4-mers far more than two halves of one genome."""

    def spectrum(codes: Codes) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        words = np.convolve(codes, [1, 4, 16, 64], "valid")
        return np.bincount(words, minlength=256) / len(words)

    halves = [np.array_split(genome_of(0.5, 200_000, seed).codes, 2) for seed in range(4)]
    spectra = [[spectrum(half) for half in pair] for pair in halves]
    within = [np.abs(a - b).sum() for a, b in spectra]
    between = [
        np.abs(spectra[i][0] - spectra[j][1]).sum() for i in range(4) for j in range(4) if i != j
    ]
    assert min(between) > 1.5 * max(within)


@pytest.mark.parametrize("ani", [0.97, 0.99])
def test_strains(ani: float) -> None:
    origin = genome_of(0.45, 60_000)
    strain = make_strain(np.random.default_rng(0), origin, "s", ani)
    assert (strain.origin, strain.name) == ("g", "s")
    assert np.mean(strain.codes == origin.codes) == pytest.approx(ani, abs=1e-4)
    # Most changes are synonymous, and every gene can still be translated.
    changed = difference(marker_proteins(origin), marker_proteins(strain))
    assert 0 < changed < 1 - ani


@pytest.mark.parametrize("order", [1, 3, 5])
@pytest.mark.parametrize("gc", [0.3, 0.7])
def test_chains_keep_their_gc_content(order: int, gc: float) -> None:
    rng = np.random.default_rng(order)
    profile = make_profile(make_signature(rng, order), gc)
    bases = draw_background(rng, profile, 60_000)
    assert len(bases) == 60_000
    assert np.isin(bases, (1, 2)).mean() == pytest.approx(gc, abs=0.015)
    residues = np.full((40, 500), ANY, dtype=np.uint8)
    codons = draw_codons(rng, profile.codons[None], np.zeros(40, dtype=np.int64), residues)
    assert not IS_STOP[codons].any()
    digits = np.stack(np.unravel_index(codons, (4, 4, 4)))
    by_position = np.isin(digits, (1, 2)).mean(axis=(1, 2))
    assert by_position.mean() == pytest.approx(gc, abs=0.015)
    # As in real genomes, the third position follows the GC content of a genome most.
    assert (by_position[2] - 0.5) * np.sign(gc - 0.5) > (by_position[:2].mean() - 0.5) * np.sign(
        gc - 0.5
    )


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, ANY), min_size=1, max_size=20), min_size=1, max_size=6))
def test_codons_code_for_what_they_must(wanted: list[list[int]]) -> None:
    rng = np.random.default_rng(1)
    wanted.sort(key=len, reverse=True)
    residues = np.full((len(wanted), len(wanted[0])), 255, dtype=np.uint8)
    for row, gene in enumerate(wanted):
        residues[row, : len(gene)] = gene
    profiles = [make_profile(make_signature(rng, 3), gc) for gc in (0.4, 0.6)]
    chains = np.stack([p.codons for p in profiles])
    codons = draw_codons(rng, chains, rng.integers(0, 2, len(wanted)), residues)
    for row, gene in enumerate(wanted):
        for codon, residue in zip(codons[row], gene, strict=False):
            assert not IS_STOP[codon]
            assert residue in (ANY, RESIDUE_OF[codon])


@given(st.text(RESIDUES + RESIDUES.lower() + "X", min_size=1, max_size=60), st.floats(0, 1))
def test_divergence(text: str, rate: float) -> None:
    (protein,) = encode_proteins({"p": text}).values()
    assert RESIDUES[protein[0]] == "M"
    other = diverge(np.random.default_rng(0), protein, rate)
    assert len(other) == len(protein)
    assert other[0] == protein[0]
    assert other.max() < len(RESIDUES)
    if rate == 1:
        assert (other[1:] != protein[1:]).all()


@pytest.mark.parametrize("text", ["", "MA1", "M-A"])
def test_letters_that_are_no_amino_acids(text: str) -> None:
    with pytest.raises(InputError, match=r"marker protein 'p': '.?' is no amino acid"):
        encode_proteins({"p": text})


@given(st.lists(st.integers(0, 4), max_size=50))
def test_reverse_complement(codes: list[int]) -> None:
    array = np.array(codes, dtype=np.uint8)
    expected = str(Seq(letters_of(array)).reverse_complement())
    assert letters_of(reverse_complement(array)) == expected


@given(st.integers(1, 12), st.integers(1, 6), st.floats(0, 1), st.integers(0, 99))
def test_depths(genomes: int, samples: int, presence: float, seed: int) -> None:
    options = SimulateOptions(samples=samples, presence=presence, depth=12.0)
    depths = draw_depths(np.random.default_rng(seed), genomes, options)
    assert depths.shape == (genomes, samples)
    assert (depths.max(axis=1) > 0).all()
    assert depths.mean() == pytest.approx(12)


@given(st.integers(1000, 200_000), st.floats(0.5, 200), st.integers(0, 99))
def test_contigs_do_not_overlap(length: int, depth: float, seed: int) -> None:
    genome = Genome("g", np.zeros(length, dtype=np.uint8), np.array([0, length // 3, length]))
    rng = np.random.default_rng(seed)
    made = cut_genomes(rng, [genome], np.array([depth]), "", "short", 500)
    order = np.argsort(made.begin)
    begin, end = made.begin[order], made.end[order]
    assert (end - begin >= 500).all()
    assert (end[:-1] <= begin[1:]).all()
    assert not ((begin < length // 3) & (end > length // 3)).any()
    assert len(begin) == 0 or (begin[0] >= 0 and end[-1] <= length)


def test_deeper_genomes_have_longer_contigs_and_lose_less() -> None:
    genome = Genome("g", np.zeros(2_000_000, dtype=np.uint8), np.array([0, 2_000_000]))
    rng = np.random.default_rng(0)
    made = [cut_genomes(rng, [genome], np.array([d]), "", "short", 1000) for d in (3.0, 10.0, 50.0)]
    medians = [np.median(m.lengths) for m in made]
    assembled = [m.lengths.sum() / 2_000_000 for m in made]
    assert medians == sorted(medians)
    assert assembled == sorted(assembled)
    assert assembled[0] < 0.6
    assert assembled[2] > 0.95


def test_a_fragment_goes_to_one_of_its_candidates() -> None:
    candidates = np.random.default_rng(0).random((3000, 4)) < 0.4
    chosen, quality = choose_assembly(np.random.default_rng(1), candidates)
    number = candidates.sum(axis=1)
    assert ((chosen == -1) == (number == 0)).all()
    placed = np.flatnonzero(chosen >= 0)
    assert candidates[placed, chosen[placed]].all()
    assert ((quality == 60) == (number <= 1)).all()
    assert np.bincount(chosen[placed]).min() > 0.8 * len(placed) / 4
