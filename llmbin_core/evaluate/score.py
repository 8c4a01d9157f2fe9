"""The numbers of an evaluation; their definitions stand in the package's text."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, fsum

from llmbin_core.errors import InputError
from llmbin_core.evaluate.read import Binning, Gold

COMPLETENESS = (50, 70, 90)
CONTAMINATION = (10, 5)
LEVELS = tuple((complete, foreign) for complete in COMPLETENESS for foreign in CONTAMINATION)


@dataclass(frozen=True)
class BinScore:
    """One bin and the genome with most bp in it. Lengths in bp, shares 0..1."""

    bin: str
    genome: str
    length: int
    contigs: int
    true_length: int
    true_contigs: int
    purity_bp: float
    purity_seq: float
    completeness_bp: float
    completeness_seq: float


@dataclass(frozen=True)
class GenomeScore:
    """One genome and the bin with most of its bp (none: an empty name and zeros).

    ``purity_bp`` is the share of that bin which belongs to this genome.
    """

    genome: str
    length: int
    contigs: int
    bin: str
    completeness_bp: float
    completeness_seq: float
    purity_bp: float | None
    purity_seq: float | None


@dataclass(frozen=True)
class Evaluation:
    """All numbers of one binning; None where a number does not exist (no bins).

    Attributes, with the name of the same number in AMBER's ``results.tsv``
    ----------
    recovered : dict of (completeness, contamination) to int
        Genomes with a bin of more than that completeness and less than that contamination (%).
    average_purity_bp, average_purity_seq
        Mean over bins (``precision_avg_*``).
    average_completeness_bp, average_completeness_seq
        Mean over genomes, of the bin with most bp of the genome (``recall_avg_*``).
    f1_bp, f1_seq
        Harmonic mean of the two averages (``f1_score_*``).
    purity_bp, completeness_bp, f1_sample_bp
        Of the sample: every bp weighs the same (``precision_weighted_bp``,
        ``recall_weighted_bp``, ``f1_score_per_bp``).
    accuracy_bp
        bp of the main genomes of all bins among all bp of the sample (``accuracy_bp``).
    ari_bp, ari_seq
        Adjusted Rand index of the binned contigs (``adjusted_rand_index_*``).
    binned_bp_share, binned_seq_share
        Share of the sample in bins (``percentage_of_assigned_bps``, ``_seqs``).
    """

    name: str
    bins: tuple[BinScore, ...]
    genomes: tuple[GenomeScore, ...]
    binned_bp: int
    binned_contigs: int
    unknown_contigs: int
    short_contigs: int
    repeated_contigs: int
    recovered: Mapping[tuple[int, int], int]
    average_purity_bp: float | None
    average_purity_seq: float | None
    average_completeness_bp: float
    average_completeness_seq: float
    f1_bp: float | None
    f1_seq: float | None
    purity_bp: float | None
    completeness_bp: float
    f1_sample_bp: float | None
    accuracy_bp: float
    ari_bp: float | None
    ari_seq: float | None
    binned_bp_share: float
    binned_seq_share: float


@dataclass(frozen=True)
class _Confusion:
    """bp and contigs shared by each (bin, genome), with the sums over bins and over genomes."""

    bp: Counter[tuple[str, str]]
    seq: Counter[tuple[str, str]]
    bin_bp: Counter[str]
    bin_seq: Counter[str]
    genome_bp: Counter[str]
    genome_seq: Counter[str]


def evaluate(gold: Gold, binning: Binning, min_bin_size: int = 0) -> Evaluation:
    """Compare a binning with the gold standard; see the module's text for the definitions.

    Parameters
    ----------
    gold : Gold
    binning : Binning
        Contigs that the gold standard lacks are counted and left out.
    min_bin_size : int
        Smaller bins (bp, of contigs that the gold standard knows) count as unbinned.

    Raises
    ------
    InputError
        No contig of the binning is in the gold standard.
    """
    mentioned = {c for c, _ in binning.pairs}
    unknown = {c for c in mentioned if c not in gold.length and c not in gold.short}
    if mentioned and len(unknown) == len(mentioned):
        raise InputError(
            f"{binning.path}: none of its {len(mentioned)} contigs, such as "
            f"'{binning.pairs[0][0]}', is in {gold.path}, such as '{next(iter(gold.length))}'; "
            "give the files of one assembly, with the same contig names"
        )
    sizes: Counter[str] = Counter()
    for contig, group in binning.pairs:
        sizes[group] += gold.length.get(contig, 0)
    pairs = [(c, b) for c, b in binning.pairs if c in gold.length and sizes[b] >= min_bin_size]
    table = _confusion(gold, pairs)
    binned = {c for c, _ in pairs}
    return _summary(
        binning.name,
        table,
        binned_bp=sum(gold.length[c] for c in binned),
        binned_contigs=len(binned),
        unknown_contigs=len(unknown),
        short_contigs=len(mentioned & gold.short),
        repeated_contigs=len(pairs) - len(binned),
    )


def _confusion(gold: Gold, pairs: Iterable[tuple[str, str]]) -> _Confusion:
    table = _Confusion(Counter(), Counter(), Counter(), Counter(), Counter(), Counter())
    for contig, length in gold.length.items():
        table.genome_bp[gold.genome[contig]] += length
        table.genome_seq[gold.genome[contig]] += 1
    for contig, group in pairs:
        key, length = (group, gold.genome[contig]), gold.length[contig]
        table.bp[key] += length
        table.seq[key] += 1
        table.bin_bp[group] += length
        table.bin_seq[group] += 1
    return table


def _summary(name: str, table: _Confusion, **counts: int) -> Evaluation:
    bins, genomes = _score_bins(table), _score_genomes(table)
    total = table.genome_bp.total()
    purity_bp = _mean([b.purity_bp for b in bins])
    purity_seq = _mean([b.purity_seq for b in bins])
    complete_bp = fsum(g.completeness_bp for g in genomes) / len(genomes)
    complete_seq = fsum(g.completeness_seq for g in genomes) / len(genomes)
    true_bp = sum(b.true_length for b in bins)
    sample_purity = true_bp / table.bin_bp.total() if bins else None
    best = {g.genome: table.bp[g.bin, g.genome] for g in genomes}
    sample_completeness = sum(best.values()) / total
    return Evaluation(
        name=name,
        bins=bins,
        genomes=genomes,
        **counts,
        recovered={level: _recovered(table, bins, *level) for level in LEVELS},
        average_purity_bp=purity_bp,
        average_purity_seq=purity_seq,
        average_completeness_bp=complete_bp,
        average_completeness_seq=complete_seq,
        f1_bp=_harmonic(purity_bp, complete_bp),
        f1_seq=_harmonic(purity_seq, complete_seq),
        purity_bp=sample_purity,
        completeness_bp=sample_completeness,
        f1_sample_bp=_harmonic(sample_purity, sample_completeness),
        accuracy_bp=true_bp / total,
        ari_bp=_adjusted_rand(table.bp),
        ari_seq=_adjusted_rand(table.seq),
        binned_bp_share=counts["binned_bp"] / total,
        binned_seq_share=counts["binned_contigs"] / table.genome_seq.total(),
    )


def _score_bins(table: _Confusion) -> tuple[BinScore, ...]:
    """Bins by falling completeness."""
    genomes_of: dict[str, list[str]] = defaultdict(list)
    for group, genome in table.bp:
        genomes_of[group].append(genome)
    scores = []
    for group, candidates in genomes_of.items():
        # Most bp; a tie falls to more contigs, then to the genome of which it is the larger part.
        genome = min(
            candidates,
            key=lambda g: (-table.bp[group, g], -table.seq[group, g], table.genome_bp[g], g),
        )
        bp, seq = table.bp[group, genome], table.seq[group, genome]
        scores.append(
            BinScore(
                bin=group,
                genome=genome,
                length=table.bin_bp[group],
                contigs=table.bin_seq[group],
                true_length=bp,
                true_contigs=seq,
                purity_bp=bp / table.bin_bp[group],
                purity_seq=seq / table.bin_seq[group],
                completeness_bp=bp / table.genome_bp[genome],
                completeness_seq=seq / table.genome_seq[genome],
            )
        )
    return tuple(sorted(scores, key=lambda s: (-s.completeness_bp, s.genome, s.bin)))


def _score_genomes(table: _Confusion) -> tuple[GenomeScore, ...]:
    """Genomes by name; on equal bp the bin with more contigs, then the smaller bin counts."""
    bins_of: dict[str, list[str]] = defaultdict(list)
    for group, genome in table.bp:
        bins_of[genome].append(group)
    scores = []
    for genome in sorted(table.genome_bp):
        best = min(
            bins_of[genome],
            key=lambda b: (-table.bp[b, genome], -table.seq[b, genome], table.bin_bp[b], b),
            default="",
        )
        bp, seq = table.bp[best, genome], table.seq[best, genome]
        scores.append(
            GenomeScore(
                genome=genome,
                length=table.genome_bp[genome],
                contigs=table.genome_seq[genome],
                bin=best,
                completeness_bp=bp / table.genome_bp[genome],
                completeness_seq=seq / table.genome_seq[genome],
                purity_bp=bp / table.bin_bp[best] if best else None,
                purity_seq=seq / table.bin_seq[best] if best else None,
            )
        )
    return tuple(scores)


def _recovered(table: _Confusion, bins: Sequence[BinScore], complete: int, foreign: int) -> int:
    """Genomes above a completeness and below a contamination (%), in whole numbers: no rounding."""
    found = {
        b.genome
        for b in bins
        if b.true_length * 100 > complete * table.genome_bp[b.genome]
        and (b.length - b.true_length) * 100 < foreign * b.length
    }
    return len(found)


def _adjusted_rand(shared: Mapping[tuple[str, str], int]) -> float | None:
    """Adjusted Rand index (Hubert & Arabie 1985) from the sizes of the intersections.

    1 where chance leaves nothing to adjust (for example one bin and one genome), as in AMBER.
    """
    if not shared:
        return None
    rows: Counter[str] = Counter()
    columns: Counter[str] = Counter()
    for (group, genome), size in shared.items():
        rows[group] += size
        columns[genome] += size
    together = sum(comb(n, 2) for n in shared.values())
    in_bins = sum(comb(n, 2) for n in rows.values())
    in_genomes = sum(comb(n, 2) for n in columns.values())
    pairs = comb(rows.total(), 2)
    if not pairs:
        return 1.0
    # Whole numbers to the end: the pairs of bp of a large sample exceed what a double resolves.
    chance = Fraction(in_bins * in_genomes, pairs)
    room = Fraction(in_bins + in_genomes, 2) - chance
    return float((together - chance) / room) if room else 1.0


def _mean(values: Sequence[float]) -> float | None:
    return fsum(values) / len(values) if values else None


def _harmonic(purity: float | None, completeness: float) -> float | None:
    if purity is None or purity + completeness == 0:
        return None
    return 2 * purity * completeness / (purity + completeness)
