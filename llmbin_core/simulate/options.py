"""What a simulated community looks like; checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmbin_core.errors import UsageError

Mode = Literal["coassembly", "multi"]
Reads = Literal["short", "long"]

DEFAULT_GENOMES = 10


@dataclass(frozen=True)
class SimulateOptions:
    """Options of `simulate`.

    Attributes
    ----------
    genomes : Path, optional
        Folder of FASTA files, one genome each; without it genomes are made up.
    n_genomes : int, optional
        Number of genomes, strains not counted. Without it: all files of the folder, or 10.
    samples : int
        Number of samples.
    seed : int
        Random seed.
    genome_size : (int, int)
        Smallest and largest made-up genome (bp).
    strains : int
        Further genomes, each a strain of a made-up one.
    strain_ani : (float, float)
        Least and largest average nucleotide identity of a strain and its origin (%).
    divergence : (float, float)
        Share of residues in which a genome's marker proteins differ from the given ones, drawn
        once per genome between the two.
    depth : float
        Mean depth of a genome in a sample, over all genomes and samples.
    depth_spread : float
        Standard deviation of the natural logarithm of depth, between genomes and, independently,
        between the samples of a genome.
    presence : float
        Probability that a genome is in a sample; each is in one at least.
    mode : {"coassembly", "multi"}
        One assembly of all samples, or one of each sample with all reads mapped to all of them.
    reads : {"short", "long"}
        Pairs of short reads, or long reads with split alignments on longer contigs.
    read_length, insert_size : int
        Of short reads and their pairs (bp); insert sizes have a standard deviation of 50.
    error_rate : float
        Substitutions per base of a read.
    min_length : int
        Shorter contigs are lost (bp).
    circular : float
        Probability that a sequence which is deep enough becomes one circular contig.
    contig_errors : float
        Wrong, lost and doubled bases per base of a contig.
    write_genomes : bool
        Also write the genomes and, of made-up ones, their genes.
    """

    genomes: Path | None = None
    n_genomes: int | None = None
    samples: int = 3
    seed: int = 0
    genome_size: tuple[int, int] = (800_000, 2_500_000)
    strains: int = 0
    strain_ani: tuple[float, float] = (97.0, 99.0)
    divergence: tuple[float, float] = (0.10, 0.25)
    depth: float = 20.0
    depth_spread: float = 0.7
    presence: float = 0.9
    mode: Mode = "coassembly"
    reads: Reads = "short"
    read_length: int = 150
    insert_size: int = 350
    error_rate: float = 0.003
    min_length: int = 1000
    circular: float = 0.0
    contig_errors: float = 0.0
    write_genomes: bool = False

    def __post_init__(self) -> None:
        """Raise `UsageError` for what cannot be simulated."""
        _at_least("--n-genomes", 1 if self.n_genomes is None else self.n_genomes, 1)
        _at_least("--samples", self.samples, 1)
        _at_least("--seed", self.seed, 0)
        _at_least("--strains", self.strains, 0)
        _at_least("--depth-spread", self.depth_spread, 0)
        _range("--genome-size", self.genome_size, 20_000, 20_000_000, "bp")
        _range("--strain-ani", self.strain_ani, 90, 100, "%")
        _range("--divergence", self.divergence, 0, 0.6, "")
        _within("--presence", self.presence, 0, 1)
        _within("--error-rate", self.error_rate, 0, 0.2)
        _within("--circular", self.circular, 0, 1)
        _within("--contig-errors", self.contig_errors, 0, 0.2)
        _within("--depth", self.depth, 0.1, 10_000)
        _within("--read-length", self.read_length, 50, 300)
        _at_least("--insert-size", self.insert_size, self.read_length)
        _at_least("--min-length", self.min_length, 2 * self.read_length)
        if self.mode not in ("coassembly", "multi"):
            raise UsageError(f"--mode {self.mode}: give coassembly or multi")
        if self.reads not in ("short", "long"):
            raise UsageError(f"--reads {self.reads}: give short or long")
        if self.strains and self.genomes is not None:
            raise UsageError(
                "--strains is for made-up genomes, whose genes are known; "
                "put genomes of real strains into the folder instead"
            )

    @property
    def sample_names(self) -> tuple[str, ...]:
        """S1, S2, ... with leading zeros, so that their order as text is their order."""
        width = len(str(self.samples))
        return tuple(f"S{i:0{width}d}" for i in range(1, self.samples + 1))


def _at_least(option: str, value: float, least: float) -> None:
    if not value >= least:
        raise UsageError(f"{option} {value}: give at least {least}")


def _within(option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise UsageError(f"{option} {value}: give a value from {least} to {most}")


def _range(option: str, pair: tuple[float, float], least: float, most: float, unit: str) -> None:
    low, high = pair
    if not least <= low <= high <= most:
        raise UsageError(
            f"{option} {low} {high}: give two values from {least} to {most} {unit}, the smaller "
            "first"
        )
