"""Genomes to simulate from: made up, or read from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmbin_core.contigs import read_contigs
from llmbin_core.errors import InputError
from llmbin_core.simulate import composition as comp
from llmbin_core.simulate.composition import Codes, Profile
from llmbin_core.simulate.proteins import diverge

UNKNOWN = 4

_ENDINGS = (".fa", ".fna", ".fasta", ".fas")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")

# Codons of a gene without its stop: a log-normal distribution, cut at both ends.
_GENE_MEDIAN, _GENE_SPREAD, _GENE_RANGE = 260, 0.55, (60, 1500)
_GAP_MEDIAN, _GAP_SPREAD, _GAP_RANGE = 90, 0.7, (30, 1000)
# Genes lie on one strand for some time (operons).
_SAME_STRAND = 0.7
_STARTS = np.array([0b001110, 0b101110, 0b111110])  # ATG, GTG, TTG
_START_SHARES = np.cumsum([0.8, 0.12, 0.08])
# Ribosome binding sites before the start codon, with their share; the rest of genes has none.
_SITES = ("AGGAGG", "GGAG", "GAGG", "AGGA")
_SITE_SHARES = np.cumsum([0.45, 0.2, 0.12, 0.1])
_SITE_DISTANCE = (5, 9)
# Regions of a genome: share, run of genes, distance in GC from the genome's own.
_SHIFTED_SHARE, _FOREIGN_SHARE, _REGION_GENES = 0.35, 0.06, (10, 40)
_SHIFT_GC, _FOREIGN_GC = 0.02, (0.03, 0.08)

# A strain changes mostly where the protein stays the same.
_MISSENSE_ACCEPTED = 0.12


@dataclass(frozen=True)
class Gene:
    """A gene at ``begin..end`` (bp, stop codon included) of a genome; marker is "" for most."""

    begin: int
    end: int
    forward: bool
    marker: str


@dataclass(frozen=True)
class Genome:
    """A genome.

    Attributes
    ----------
    codes : uint8 [bp]
        All sequences one after the other: A, C, G, T = 0..3, unknown = 4.
    bounds : int64 [m + 1]
        Sequence i is ``codes[bounds[i]:bounds[i + 1]]``.
    genes : tuple of Gene
        Of made-up genomes.
    origin : str
        The genome of which this one is a strain, else "".
    """

    name: str
    codes: Codes
    bounds: NDArray[np.int64]
    genes: tuple[Gene, ...] = ()
    origin: str = ""

    def __len__(self) -> int:
        return len(self.codes)


def reverse_complement(codes: Codes) -> Codes:
    """Reverse complement of codes; unknown bases stay unknown."""
    turned = codes[::-1]
    return np.where(turned < UNKNOWN, 3 - turned, turned).astype(np.uint8)


def read_genomes(folder: Path, n_genomes: int | None, rng: np.random.Generator) -> list[Genome]:
    """Read the FASTA files of a folder, or `n_genomes` of them drawn at random.

    Raises
    ------
    InputError
        No such folder, fewer genomes than asked for, two files of one name, files that are no
        nucleotide FASTA.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of FASTA files, one per genome")
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        stem = file.name
        for ending in _COMPRESSED:
            stem = stem.removesuffix(ending)
        if file.is_file() and not stem.startswith(".") and stem.endswith(_ENDINGS):
            name = stem.rsplit(".", 1)[0]
            if name in files:
                raise InputError(f"{file} and {files[name]}: two genomes '{name}'; rename one")
            files[name] = file
    wanted = len(files) if n_genomes is None else n_genomes
    if not files or wanted > len(files):
        raise InputError(
            f"{folder}: holds {len(files)} FASTA files ({', '.join(_ENDINGS)}, compressed or not)"
            f"; {max(wanted, 1)} are needed"
        )
    names = sorted(files)
    chosen = sorted(rng.permutation(len(names))[:wanted].tolist())
    genomes = []
    for name in (names[i] for i in chosen):
        contigs = read_contigs(files[name])
        genomes.append(Genome(name, contigs.codes, contigs.offsets))
    return genomes


def make_genome(
    rng: np.random.Generator,
    name: str,
    length: int,
    gc: float,
    proteins: Mapping[str, Codes],
    divergence: float,
) -> Genome:
    """Make up a genome of one chromosome.

    Parameters
    ----------
    length : int
        bp; the genome ends with the first gap that reaches it.
    gc : float
        GC content of genome and genes (share).
    proteins : mapping of str to uint8 arrays
        Marker proteins; the genome gets one gene for each, and as many other genes as fit.
    divergence : float
        Share of residues in which its marker proteins differ from the given ones.
    """
    markers = {name: diverge(rng, protein, divergence) for name, protein in proteins.items()}
    genes = _gene_lengths(rng, length, [len(p) for p in markers.values()])
    marker_of = _marker_places(rng, len(genes), len(markers))
    names = list(markers)
    wanted = [names[i] if i >= 0 else "" for i in marker_of]
    profiles, regions = _regions(rng, len(genes), gc)
    residues = _residues(genes, [markers.get(w) for w in wanted])
    lengths = (residues != 255).sum(axis=1)
    order = np.argsort(-lengths, kind="stable")
    chains = np.stack([p.codons for p in profiles])
    codons = np.empty_like(residues)
    codons[order] = comp.draw_codons(rng, chains, regions[order], residues[order])
    coding = [
        _finish_gene(rng, codons[i, : lengths[i]], profiles[regions[i]]) for i in range(len(genes))
    ]
    return _lay_out(rng, name, length, profiles[0], coding, wanted)


def _gene_lengths(rng: np.random.Generator, length: int, markers: list[int]) -> NDArray[np.int64]:
    """Codons of each gene; the first ones stand for the markers and are replaced by them."""
    most = length // (3 * _GENE_RANGE[0]) + len(markers)
    drawn = np.clip(rng.lognormal(np.log(_GENE_MEDIAN), _GENE_SPREAD, most), *_GENE_RANGE)
    drawn = drawn.astype(np.int64)
    gap = _GAP_MEDIAN * np.exp(_GAP_SPREAD**2 / 2)
    room = length - sum(3 * m + 3 + gap for m in markers)
    fit = int((np.cumsum(3 * drawn + 3 + gap) < room).sum())
    return np.concatenate((drawn[:fit], np.array(markers, dtype=np.int64)))


def _marker_places(rng: np.random.Generator, genes: int, markers: int) -> NDArray[np.int64]:
    """The marker of each gene, or -1. Markers lie in runs of 1 to 4 neighbours of the given order,
    as those of ribosomes do."""
    runs = []
    begin = 0
    while begin < markers:
        end = min(markers, begin + int(rng.integers(1, 5)))
        runs.append(list(range(begin, end)))
        begin = end
    singles: list[list[int]] = [[-1]] * (genes - markers)
    pieces = runs + singles
    order = rng.permutation(len(pieces))
    return np.array([marker for i in order for marker in pieces[i]], dtype=np.int64)


def _regions(
    rng: np.random.Generator, genes: int, gc: float
) -> tuple[list[Profile], NDArray[np.int64]]:
    """Profiles of a genome and which of them each gene follows.

    Most regions follow the genome's own signature at its own GC content; some at a slightly
    different one, and a few (acquired from elsewhere) another signature altogether.
    """
    signature = comp.make_signature(rng, int(rng.integers(3, 6)))
    profiles = [comp.make_profile(signature, gc + shift) for shift in (0, -_SHIFT_GC, _SHIFT_GC)]
    of_gene = np.zeros(genes, dtype=np.int64)
    begin = 0
    while begin < genes:
        end = begin + int(rng.integers(*_REGION_GENES))
        kind = rng.random()
        if kind < _FOREIGN_SHARE:
            shift = rng.uniform(*_FOREIGN_GC) * rng.choice([-1, 1])
            foreign = comp.make_signature(rng, 3)
            profiles.append(comp.make_profile(foreign, float(np.clip(gc + shift, 0.22, 0.78))))
            of_gene[begin:end] = len(profiles) - 1
        elif kind < _FOREIGN_SHARE + _SHIFTED_SHARE:
            of_gene[begin:end] = rng.integers(1, 3)
        begin = end
    return profiles, of_gene


def _residues(genes: NDArray[np.int64], markers: list[Codes | None]) -> Codes:
    """What every codon of every gene has to code for; see `composition.draw_codons`."""
    free = iter(genes.tolist())
    sizes = [len(m) if m is not None else next(free) for m in markers]
    table = np.full((len(sizes), max(sizes)), 255, dtype=np.uint8)
    for row, (size, marker) in enumerate(zip(sizes, markers, strict=True)):
        table[row, :size] = comp.ANY if marker is None else marker
    return table


def _finish_gene(rng: np.random.Generator, codons: Codes, profile: Profile) -> Codes:
    """Bases of a gene: a start codon in place of the first one, and a stop codon at the end."""
    whole = np.empty(len(codons) + 1, dtype=np.uint8)
    whole[:-1] = codons
    whole[0] = _STARTS[np.searchsorted(_START_SHARES, rng.random(), side="right")]
    whole[-1] = comp.STOPS[np.searchsorted(profile.stops, rng.random(), side="right")]
    return np.stack((whole >> 4, (whole >> 2) & 3, whole & 3), axis=1).reshape(-1)


def _lay_out(
    rng: np.random.Generator,
    name: str,
    length: int,
    profile: Profile,
    coding: list[Codes],
    markers: list[str],
) -> Genome:
    """Put genes, each with the gap before its start codon, one after the other."""
    n = len(coding)
    gaps = np.clip(rng.lognormal(np.log(_GAP_MEDIAN), _GAP_SPREAD, n), *_GAP_RANGE)
    gaps = gaps.astype(np.int64)
    rest = max(0, length - int(gaps.sum()) - sum(map(len, coding)))
    between = comp.draw_background(rng, profile, int(gaps.sum()) + rest)
    turns = rng.random(n) > _SAME_STRAND
    forward = (np.cumsum(turns) % 2).astype(bool)
    units, genes = [], []
    begin = used = 0
    for i, gene in enumerate(coding):
        gap = between[used : used + gaps[i]].copy()
        used += int(gaps[i])
        _put_binding_site(rng, gap)
        unit = np.concatenate((gap, gene))
        end = begin + len(unit)
        if forward[i]:
            genes.append(Gene(end - len(gene), end, True, markers[i]))
        else:
            unit = reverse_complement(unit)
            genes.append(Gene(begin, begin + len(gene), False, markers[i]))
        units.append(unit)
        begin = end
    codes = np.concatenate((*units, between[used:]))
    return Genome(name, codes, np.array([0, len(codes)], dtype=np.int64), tuple(genes))


def _put_binding_site(rng: np.random.Generator, gap: Codes) -> None:
    """Write a ribosome binding site near the end of the gap before a start codon."""
    kind = int(np.searchsorted(_SITE_SHARES, rng.random(), side="right"))
    distance = int(rng.integers(_SITE_DISTANCE[0], _SITE_DISTANCE[1] + 1))
    if kind < len(_SITES):
        site = ["ACGT".index(base) for base in _SITES[kind]]
        gap[len(gap) - distance - len(site) : len(gap) - distance] = site


def make_strain(rng: np.random.Generator, origin: Genome, name: str, ani: float) -> Genome:
    """A made-up genome with single bases changed, most of them without effect on proteins.

    Parameters
    ----------
    ani : float
        Share of positions that stay the same. Start and stop codons stay, no stop codon arises.
    """
    codes = origin.codes.copy()
    codon_at, forward = _codon_starts(origin)
    missing = round(len(codes) * (1 - ani))
    touched = np.zeros(len(codes), dtype=bool)
    while missing > 0:
        places = np.unique(rng.integers(0, len(codes), 3 * missing + 10))
        places = rng.permutation(places)
        new = ((codes[places] + rng.integers(1, 4, len(places))) % 4).astype(np.uint8)
        lucky = rng.random(len(places)) < _MISSENSE_ACCEPTED
        fine = _harmless(codes, codon_at, forward, places, new, lucky)
        # One change per codon, so that each can be judged on its own.
        where = np.where(codon_at[places] >= 0, codon_at[places], places)
        first = np.zeros(len(places), dtype=bool)
        first[np.unique(where, return_index=True)[1]] = True
        keep = np.flatnonzero(fine & first & ~touched[where])[:missing]
        codes[places[keep]] = new[keep]
        touched[where[keep]] = True
        missing -= len(keep)
    return Genome(name, codes, origin.bounds, origin.genes, origin.name)


def _codon_starts(genome: Genome) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Leftmost base of the codon that each base is part of (-1 outside of genes, -2 in start and
    stop codons), and whether it is read forward."""
    starts = np.full(len(genome), -1, dtype=np.int64)
    forward = np.ones(len(genome), dtype=bool)
    for gene in genome.genes:
        starts[gene.begin : gene.end] = np.repeat(np.arange(gene.begin, gene.end, 3), 3)
        starts[gene.begin : gene.begin + 3] = starts[gene.end - 3 : gene.end] = -2
        forward[gene.begin : gene.end] = gene.forward
    return starts, forward


def _harmless(
    codes: Codes,
    codon_at: NDArray[np.int64],
    forward: NDArray[np.bool_],
    places: NDArray[np.int64],
    new: Codes,
    lucky: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Whether a change is outside of genes, or synonymous, or one of the lucky others."""
    starts = codon_at[places]
    inside = starts >= 0
    triplets = codes[np.where(inside, starts, 0)[:, None] + np.arange(3)]
    after = triplets.copy()
    after[np.arange(len(places)), np.where(inside, places - starts, 0)] = new
    old_codon, new_codon = (_codon_index(t, forward[places]) for t in (triplets, after))
    same = comp.RESIDUE_OF[old_codon] == comp.RESIDUE_OF[new_codon]
    harmless = inside & (same | lucky) & ~comp.IS_STOP[new_codon]
    return np.asarray(harmless | (starts == -1))


def _codon_index(triplets: Codes, forward: NDArray[np.bool_]) -> NDArray[np.int64]:
    t = triplets.astype(np.int64)
    plus = 16 * t[:, 0] + 4 * t[:, 1] + t[:, 2]
    minus = 16 * (3 - t[:, 2]) + 4 * (3 - t[:, 1]) + (3 - t[:, 0])
    return np.where(forward, plus, minus)
