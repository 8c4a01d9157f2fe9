"""Search marker profiles in the genes of contigs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyhmmer.easel import DigitalSequenceBlock, TextSequence
from pyhmmer.hmmer import hmmsearch
from pyhmmer.plan7 import Hit

from llmbin_core.markers.genes import Gene, call_genes
from llmbin_core.markers.profiles import Model, Profiles, cutoff_of, information
from llmbin_core.markertable import MarkerHit

# Number of proteins that E-values refer to, fixed so that they do not depend on how many contigs
# are searched together: about the genes of three genomes.
DATABASE_SIZE = 10_000

# What a profile without a cutoff of its own asks for (METHOD: E-value and covered part).
EVALUE_WITHOUT_CUTOFF = 1e-5
LEAST_COVERED = 0.4

# Cutoff in bits, for a gene of which the contig shows next to nothing: what chance does not reach.
SMALLEST_CUTOFF = 25.0

# Weaker hits are not reported; far below what any cutoff asks for.
_REPORTED_EVALUE = 1e-3

# Stricter prefilters than HMMER's .02, .001 and 1e-5: a hit of 25 bits passes them (on 12,000 genes
# of fragmented genomes no such hit was lost) and the search takes a fifth less time.
_PREFILTERS = (0.005, 1e-4, 1e-6)

# A gene holds two markers (a fusion) when the second one lies beside the first: at most this share
# of the shorter one is common.
_FUSION_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Match:
    """A reported hit before it is judged.

    Attributes
    ----------
    gene, model : int
        Positions in the lists that were searched.
    first, last : int
        Columns of the profile, from the first to the last domain.
    residues : (int, int)
        Residues of the protein, likewise.
    """

    gene: int
    model: int
    score: float
    evalue: float
    first: int
    last: int
    residues: tuple[int, int]


def find_markers(
    contigs: Iterable[tuple[str, bytes]], profiles: Profiles, threads: int = 1
) -> list[MarkerHit]:
    """Find the marker genes of contigs.

    A whole gene is a marker when it reaches the cutoff of its profile. Of a gene cut by the end of
    its contig only a part can score, so the cutoff shrinks with the share of the profile's
    information in the columns that the cut leaves visible. Either way the hit covers at least 40 %
    of these columns.

    Parameters
    ----------
    contigs : iterable of (str, bytes)
        Name and sequence of each contig; read as it is needed.
    profiles : Profiles
    threads : int
        The result does not depend on it.

    Returns
    -------
    hits : list of MarkerHit
        In contig order, then by position.
    """
    judge = _Judge(profiles)
    return [
        hit
        for genes in call_genes(contigs, threads)
        for hit in judge.markers(genes, _search(genes, profiles, threads))
    ]


class _Judge:
    """Decides which matches are markers."""

    def __init__(self, profiles: Profiles) -> None:
        self.exclusive = profiles.exclusive
        self.models = profiles.models
        self.cutoffs = [cutoff_of(model) for model in profiles.models]
        self.shares: list[NDArray[np.float64]] = [information(model) for model in profiles.models]

    def markers(self, genes: Sequence[Gene], matches: Iterable[Match]) -> Iterator[MarkerHit]:
        """Markers of a batch of genes, in gene order."""
        by_gene: dict[int, list[Match]] = defaultdict(list)
        for match in matches:
            by_gene[match.gene].append(match)
        for number in sorted(by_gene):
            candidates = by_gene[number]
            if self.exclusive:
                candidates = best_apart(candidates)
            for match in candidates:
                if self.accepts(genes[number], match):
                    yield _hit(genes[number], match, self.models[match.model])

    def accepts(self, gene: Gene, match: Match) -> bool:
        """Whether a match is good enough for what the contig shows of the gene."""
        length = self.models[match.model].M
        start_cut, stop_cut = cut_ends(gene)
        first = match.first if start_cut else 1
        last = match.last if stop_cut else length
        if match.last - match.first + 1 < LEAST_COVERED * (last - first + 1):
            return False
        cutoff = self.cutoffs[match.model]
        if cutoff is None:
            return match.evalue <= EVALUE_WITHOUT_CUTOFF
        share = self.shares[match.model]
        visible = float(share[last] - share[first - 1])
        return match.score >= scaled_cutoff(cutoff, visible)


def scaled_cutoff(cutoff: float, visible: float) -> float:
    """Cutoff for a gene that shows a share of its profile's information, in bits.

    It falls in proportion from the profile's own cutoff to `SMALLEST_CUTOFF`; a cutoff that is
    smaller than this stays as it is.
    """
    return min(cutoff, SMALLEST_CUTOFF + (cutoff - SMALLEST_CUTOFF) * visible)


def cut_ends(gene: Gene) -> tuple[bool, bool]:
    """Whether the start and the stop of a gene lie beyond the ends of its contig."""
    left, right = gene.partial in ("left", "both"), gene.partial in ("right", "both")
    return (left, right) if gene.strand > 0 else (right, left)


def _search(genes: Sequence[Gene], profiles: Profiles, threads: int) -> Iterator[Match]:
    return match_proteins((gene.protein for gene in genes), profiles.models, threads)


def match_proteins(
    proteins: Iterable[str], models: Sequence[Model], threads: int
) -> Iterator[Match]:
    """Search all models in all proteins, reporting more than the cutoffs will let pass.

    Identical proteins, as strains have them, are searched once.
    """
    genes_of: dict[str, list[int]] = defaultdict(list)
    for gene, protein in enumerate(proteins):
        genes_of[protein].append(gene)
    owners = list(genes_of.values())
    alphabet = models[0].alphabet
    targets = DigitalSequenceBlock(
        alphabet,
        (
            TextSequence(name=str(number), sequence=protein).digitize(alphabet)
            for number, protein in enumerate(genes_of)
        ),
    )
    searches = hmmsearch(
        models,
        targets,
        cpus=threads,
        Z=DATABASE_SIZE,
        domZ=DATABASE_SIZE,
        E=_REPORTED_EVALUE,
        F1=_PREFILTERS[0],
        F2=_PREFILTERS[1],
        F3=_PREFILTERS[2],
    )
    for index, found in enumerate(searches):
        for hit in found.reported:
            for gene in owners[int(hit.name)]:
                yield _match(gene, index, hit)


def _match(gene: int, model: int, hit: Hit) -> Match:
    """Join the domains of a hit: the columns and residues from the first to the last of them."""
    domains = [domain for domain in hit.domains if domain.i_evalue <= _REPORTED_EVALUE]
    aligned = [domain.alignment for domain in domains or [hit.best_domain]]
    return Match(
        gene=gene,
        model=model,
        score=hit.score,
        evalue=hit.evalue,
        first=min(alignment.hmm_from for alignment in aligned),
        last=max(alignment.hmm_to for alignment in aligned),
        residues=(
            min(alignment.target_from for alignment in aligned),
            max(alignment.target_to for alignment in aligned),
        ),
    )


def best_apart(matches: Iterable[Match]) -> list[Match]:
    """The best match of a gene, then those beside it: families that overlap share no gene."""
    kept: list[Match] = []
    for match in sorted(matches, key=lambda match: (-match.score, match.model)):
        if all(_common(match.residues, other.residues) <= _FUSION_OVERLAP for other in kept):
            kept.append(match)
    return kept


def _common(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Overlap of two ranges as a share of the shorter one."""
    overlap = min(one[1], other[1]) - max(one[0], other[0]) + 1
    return overlap / (min(one[1] - one[0], other[1] - other[0]) + 1)


def _hit(gene: Gene, match: Match, model: Model) -> MarkerHit:
    return MarkerHit(
        contig=gene.contig,
        marker=model.name,
        # Rounded as in the table, so that a list read back equals the list written.
        score=round(match.score, 1),
        evalue=float(f"{match.evalue:.1e}"),
        profile_from=match.first,
        profile_to=match.last,
        profile_length=model.M,
        begin=gene.begin,
        end=gene.end,
        strand=gene.strand,
        partial=gene.partial,
        protein=gene.protein,
    )
