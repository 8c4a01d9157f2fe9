"""Which families are markers: members, score cutoffs, prevalence, collocated sets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llmbin_core.markers.build.genomes import Genome, TrainingGene
from llmbin_core.markers.profiles import Model
from llmbin_core.markers.search import Match, best_apart, match_proteins

GROUPS = ("bacteria", "archaea", "reduced")

# A cutoff is never smaller than this, in bits.
LOWEST_CUTOFF = 25.0
# A family found once in this share of Bacteria and of Archaea gets a cutoff that suits both.
UNIVERSAL_SHARE = 0.8
# Place of the cutoff between the best paralogue (0) and the weakest member (1).
_CUTOFF_PLACE = 0.3


@dataclass
class Family:
    """A profile and the genes it fits best, with their scores; `cutoff` parts off the members."""

    model: Model
    genes: NDArray[np.int64]
    scores: NDArray[np.float64]
    cutoff: float = 0.0

    @property
    def members(self) -> list[int]:
        """Genes that reach the cutoff."""
        return [int(gene) for gene in self.genes[self.scores >= self.cutoff]]

    def aligned(self, genes: Sequence[TrainingGene]) -> list[int]:
        """The best member of each genome, from which the profile is built anew."""
        best: dict[int, tuple[float, int]] = {}
        for number, score in zip(self.genes, self.scores, strict=True):
            genome = genes[number].genome
            if score >= self.cutoff:
                best[genome] = max(best.get(genome, (0.0, 0)), (score, int(number)))
        return sorted(number for _, number in best.values())


class Census:
    """Counts copies per genome and says what is present once, and in which share of a group."""

    def __init__(
        self,
        genes: Sequence[TrainingGene],
        genomes: Sequence[Genome],
        weight: NDArray[np.float64],
        counted: Iterable[int],
    ) -> None:
        self.genome_of = np.array([gene.genome for gene in genes])
        self.size = len(genomes)
        self.weight = weight
        inside = np.zeros(len(genomes), bool)
        inside[list(counted)] = True
        self.groups = {
            group: np.where(
                inside & np.array([genome.group == group for genome in genomes]), weight, 0.0
            )
            for group in GROUPS
        }

    def copies(self, genes: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the given genes in each genome."""
        return np.bincount(self.genome_of[np.asarray(genes, int)], minlength=self.size)

    def share(self, wanted: NDArray[np.bool_], group: str) -> float:
        """Weighted share of a group's genomes for which `wanted` holds, 0 in an empty group."""
        weight = self.groups[group]
        return float(weight[wanted].sum() / weight.sum()) if weight.any() else 0.0

    def without(self, genomes: Iterable[int]) -> None:
        """Leave some genomes out of every count."""
        for weight in self.groups.values():
            weight[list(genomes)] = 0.0


def frequent(
    clusters: Iterable[list[int]], census: Census, share: float, single: float
) -> list[list[int]]:
    """Clusters found in at least `share` of Bacteria or Archaea, in `single` of these once."""
    kept = []
    for members in clusters:
        copies = census.copies(members)
        for group in ("bacteria", "archaea"):
            present = census.share(copies > 0, group)
            if present >= share and census.share(copies == 1, group) >= single * present:
                kept.append(members)
                break
    return kept


def match_clusters(
    models: Sequence[Model],
    clusters: Mapping[int, list[int]],
    genes: Sequence[TrainingGene],
    threads: int,
) -> list[Family]:
    """Search the models in the representatives of clusters; the members share their score."""
    heads = list(clusters)
    found: list[tuple[list[int], list[float]]] = [([], []) for _ in models]
    for match in match_proteins((genes[head].protein for head in heads), models, threads):
        members = clusters[heads[match.gene]]
        found[match.model][0].extend(members)
        found[match.model][1].extend([match.score] * len(members))
    return _families(models, found)


def match_genes(
    models: Sequence[Model],
    genes: Sequence[TrainingGene],
    chosen: Iterable[int],
    threads: int,
) -> list[Match]:
    """Search the models in the complete genes of some genomes.

    Returns
    -------
    matches : list of Match
        Their `gene` is the position in `genes`, their `model` that in `models`.
    """
    wanted = set(chosen)
    numbers = [n for n, gene in enumerate(genes) if gene.genome in wanted and not gene.partial]
    found = match_proteins((genes[number].protein for number in numbers), models, threads)
    return [replace(match, gene=numbers[match.gene]) for match in found]


def assign(matches: Iterable[Match], models: Sequence[Model]) -> list[Family]:
    """Give each gene to the model that fits it best, as the search of contigs does."""
    by_gene: dict[int, list[Match]] = defaultdict(list)
    for match in matches:
        by_gene[match.gene].append(match)
    found: list[tuple[list[int], list[float]]] = [([], []) for _ in models]
    for gene in sorted(by_gene):
        for match in best_apart(by_gene[gene]):
            found[match.model][0].append(gene)
            found[match.model][1].append(match.score)
    return _families(models, found)


def without(
    matches: Iterable[Match], models: Sequence[Model], kept: Iterable[Model]
) -> list[Family]:
    """Assign the genes anew to the models that are kept."""
    kept = list(kept)
    place = {model.name: number for number, model in enumerate(kept)}
    left = (
        replace(match, model=place[models[match.model].name])
        for match in matches
        if models[match.model].name in place
    )
    return assign(left, kept)


def _families(
    models: Sequence[Model], found: Iterable[tuple[list[int], list[float]]]
) -> list[Family]:
    return [
        Family(model, np.array(members, np.int64), np.array(scores))
        for model, (members, scores) in zip(models, found, strict=True)
    ]


def set_cutoff(family: Family, census: Census) -> None:
    """Choose the cutoff that parts the members of a family from its paralogues.

    The best cutoff gives the most genomes exactly one copy: in Bacteria and Archaea together, or,
    when the family is not single in most of both, in the domain it suits better, and as few as
    possible in the other. Between the best paralogue and the weakest member at that optimum the
    cutoff lies nearer to the paralogue, because relatives that training never saw score lower than
    those it saw.
    """
    order = np.argsort(-family.scores, kind="stable")
    order = order[family.scores[order] >= LOWEST_CUTOFF]
    scores = np.append(family.scores[order], LOWEST_CUTOFF)
    homes = census.genome_of[family.genes[order]]
    options = []
    for value, single in (
        _single_copies(homes, census, ("bacteria", "archaea"), ()),
        _single_copies(homes, census, ("bacteria",), ("archaea",)),
        _single_copies(homes, census, ("archaea",), ("bacteria",)),
    ):
        place = len(value) - 1 - int(np.argmax(value[::-1] >= value.max() - 1e-9))
        gap = (scores[place] - scores[place + 1]) / scores[0] if len(order) else 0.0
        options.append((round(single[place], 6), gap, place))
    both, *domains = options
    universal = both[0] >= UNIVERSAL_SHARE and both[1] >= max(option[1] for option in domains) / 4
    place = both[2] if universal else max(domains)[2]
    upper, lower = scores[place], scores[min(place + 1, len(scores) - 1)]
    family.cutoff = float(lower + _CUTOFF_PLACE * (upper - lower))


def _single_copies(
    homes: NDArray[np.int64], census: Census, wanted: Sequence[str], unwanted: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a cutoff below the first, the second... gene is worth.

    Returns
    -------
    value : array, shape (genes or 1,)
        Share of the wanted groups with exactly one copy, less a tenth of the share of the
        unwanted ones with any.
    single : array, same shape
        Smallest of the wanted groups' shares with exactly one copy.
    """
    shares = {group: census.groups[group] for group in census.groups}
    shares = {group: w / w.sum() if w.any() else w for group, w in shares.items()}
    copies = np.zeros(census.size, int)
    count = dict.fromkeys(census.groups, 0.0)
    value, single = np.zeros(max(len(homes), 1)), np.zeros(max(len(homes), 1))
    for position, genome in enumerate(homes):
        copies[genome] += 1
        change = {1: 1, 2: -1}.get(int(copies[genome]), 0)
        for group, share in shares.items():
            step = change if group not in unwanted else int(copies[genome] == 1)
            count[group] += step * share[genome]
        single[position] = min(count[group] for group in wanted)
        value[position] = sum(count[group] for group in wanted) + 0.01 * count["reduced"]
        value[position] -= 0.1 * sum(count[group] for group in unwanted)
        # Genomes cut to a part tell of paralogues too, though not of absence.
        value[position] -= 1e-4 * (copies > 1).sum()
    return value, single


def drop_doubles(families: Iterable[Family], census: Census) -> list[Family]:
    """Keep one of the families that share most of their members, the most widespread first."""

    def prevalence(family: Family) -> float:
        present = census.copies(family.members) > 0
        return sum(census.share(present, group) for group in ("bacteria", "archaea"))

    kept: list[Family] = []
    owned: set[int] = set()
    for family in sorted(families, key=prevalence, reverse=True):
        members = family.members
        if members and sum(member in owned for member in members) < 0.5 * len(members):
            kept.append(family)
            owned.update(members)
    return kept


def is_marker(family: Family, census: Census, share: float) -> dict[str, bool]:
    """Groups in which at least `share` of the genomes hold the family exactly once."""
    once = census.copies(family.members) == 1
    return {group: census.share(once, group) >= share for group in GROUPS}


def is_distinct(family: Family, census: Census, gap: float, repeated: float) -> bool:
    """Whether a family stands apart from its paralogues and is hardly ever there twice.

    Parameters
    ----------
    gap : float
        Least distance between the weakest member and the best other gene, as a share of the
        median score of the members.
    repeated : float
        Largest share (weighted) of the genomes with the family, of all groups and also those cut
        to a part, that hold it more than once.
    """
    inside = family.scores >= family.cutoff
    members, others = family.scores[inside], family.scores[~inside]
    best_other = others.max() if len(others) else 0.0
    copies = census.copies(family.members)
    doubled = census.weight[copies > 1].sum() / census.weight[copies > 0].sum()
    return bool(members.min() - best_other >= gap * np.median(members) and doubled <= repeated)


def incomplete(families: Sequence[Family], census: Census, share: float, least: float) -> list[int]:
    """Genomes that lack too many markers of their group: unfinished, or a part of a genome.

    Returns
    -------
    genomes : list of int
        Those that hold less than `least` of the markers present once in `share` of their group.
    """
    present = np.array([census.copies(family.members) > 0 for family in families])
    markers = [is_marker(family, census, share) for family in families]
    lacking = []
    for group, weight in census.groups.items():
        chosen = np.array([marker[group] for marker in markers])
        if not chosen.any():
            continue
        held = present[chosen].mean(axis=0)
        lacking += np.flatnonzero((weight > 0) & (held < least)).tolist()
    return sorted(lacking)


def collocated(
    families: Sequence[Family],
    genes: Sequence[TrainingGene],
    census: Census,
    group: str,
    *,
    distance: int,
    share: float,
) -> list[list[int]]:
    """Group markers that lie together in most genomes of a group that hold both.

    Two markers are linked when the bases between them are at most `distance` in at least `share`
    (weighted) of the genomes in which both are single; sets are the connected components
    (Parks et al. 2015, collocated marker sets).

    Returns
    -------
    sets : list of list of int
        Positions in `families`, each in one set.
    """
    places: list[dict[int, TrainingGene]] = []
    for family in families:
        single = census.copies(family.members) == 1
        places.append(
            {
                genes[member].genome: genes[member]
                for member in family.members
                if single[genes[member].genome]
            }
        )
    weight = census.groups[group]
    label = list(range(len(families)))
    for one in range(len(families)):
        for other in range(one):
            both = [genome for genome in places[one] if genome in places[other]]
            near = [g for g in both if _gap(places[one][g], places[other][g]) <= distance]
            if weight[both].sum() > 0 and weight[near].sum() >= share * weight[both].sum():
                old, new = label[one], label[other]
                label = [new if name == old else name for name in label]
    sets: dict[int, list[int]] = defaultdict(list)
    for position, name in enumerate(label):
        sets[name].append(position)
    return sorted(sets.values())


def _gap(one: TrainingGene, other: TrainingGene) -> float:
    """Bases between two genes, infinite on different sequences."""
    if one.contig != other.contig:
        return np.inf
    return max(one.begin, other.begin) - min(one.end, other.end)
