"""Training genomes: the catalogue, their genes, and how much each genome weighs."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pyrodigal
from numpy.typing import NDArray

from llmbin_core.files import open_decompressed

# Genomes below this size are judged apart: symbionts and epibionts lost genes that every
# free-living prokaryote keeps, and must not veto a marker of Bacteria or Archaea.
REDUCED_BP = 1_000_000

# Part of a genome on which its genetic code is chosen: 11, or 4 (UGA = Trp) of Mycoplasma.
_PROBE_BP = 100_000


@dataclass(frozen=True)
class Genome:
    """One row of the catalogue.

    Attributes
    ----------
    whole : bool
        False for genomes cut to their first part: they lend sequences, not prevalence.
    metagenomic : bool
        Assembled from a metagenome or a single cell, so an absent gene may be a gap.
    """

    name: str
    species: str
    genus: str
    phylum: str
    domain: str
    bp: int
    whole: bool
    metagenomic: bool

    @property
    def group(self) -> str:
        """Class in which prevalence is counted: bacteria, archaea or reduced."""
        return "reduced" if self.bp < REDUCED_BP else self.domain.lower()


@dataclass(frozen=True)
class TrainingGene:
    """A called gene; `rank` is its place along the sequence `contig`."""

    genome: int
    contig: int
    rank: int
    begin: int
    end: int
    strand: int
    partial: bool
    protein: str = field(repr=False)


def read_catalog(path: Path) -> list[Genome]:
    """Training genomes of a catalogue, sorted by name; genomes of other splits never leave here."""
    with path.open(newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle, delimiter="\t") if row["split"] == "train"]
    return sorted(
        (
            Genome(
                name=row["id"],
                species=row["species"],
                genus=row["genus"],
                phylum=row["phylum"],
                domain=row["domain"],
                bp=int(row["genome_bp"]),
                whole=row["whole"] == "yes",
                metagenomic="MAG/SAG" in row["note"],
            )
            for row in rows
        ),
        key=lambda genome: genome.name,
    )


def read_sequences(path: Path) -> list[bytes]:
    """Sequences of a FASTA file, upper case, without their names."""
    with open_decompressed(path) as handle:
        records = handle.read().upper().split(b">")[1:]
    return [b"".join(record.split(b"\n")[1:]).replace(b"\r", b"") for record in records]


def call_genes(genomes: list[Genome], folder: Path, threads: int) -> list[TrainingGene]:
    """Genes of all genomes, each genome with a gene model trained on itself."""
    with ThreadPool(threads) as pool:
        called = pool.imap(
            lambda job: _genes_of(job[0], read_sequences(folder / f"{job[1].name}.fna")),
            enumerate(genomes),
        )
        return [gene for genes in called for gene in genes]


def _genes_of(genome: int, sequences: list[bytes]) -> list[TrainingGene]:
    finder = _trained_finder(sequences)
    genes = []
    for contig, sequence in enumerate(sequences):
        for rank, gene in enumerate(finder.find_genes(sequence)):
            genes.append(
                TrainingGene(
                    genome=genome,
                    contig=contig,
                    rank=rank,
                    begin=gene.begin,
                    end=gene.end,
                    strand=gene.strand,
                    partial=gene.partial_begin or gene.partial_end,
                    protein=gene.translate(include_stop=False),
                )
            )
    return genes


def _trained_finder(sequences: list[bytes]) -> pyrodigal.GeneFinder:
    """Gene finder trained on a genome, with the genetic code that metagenomic mode chooses.

    Comparing gene lengths would not do: genomes rich in GC end most genes with UGA, so that reading
    it as Trp always lengthens them.
    """
    probe = pyrodigal.GeneFinder(meta=True).find_genes(max(sequences, key=len)[:_PROBE_BP])
    codes = Counter(gene.translation_table for gene in probe)
    finder = pyrodigal.GeneFinder()
    finder.train(*sequences, translation_table=codes.most_common(1)[0][0])
    return finder


def weights(genomes: Iterable[Genome]) -> NDArray[np.float64]:
    """Weight of each genome, shape (genomes,), so that abundant clades do not dominate.

    A phylum weighs the square root of its number of genera; its genera share that weight equally,
    and so do the genomes of a genus.
    """
    genomes = list(genomes)
    per_genus = Counter((genome.phylum, genome.genus) for genome in genomes)
    genera = Counter(phylum for phylum, _ in per_genus)
    return np.array(
        [
            1 / np.sqrt(genera[genome.phylum]) / per_genus[genome.phylum, genome.genus]
            for genome in genomes
        ]
    )
