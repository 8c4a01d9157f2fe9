"""Which stretches of which genomes a training step sees: a pure function of (seed, step, rank)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmbin_core.errors import InputError
from llmbin_core.glm.alphabet import reverse_complement
from llmbin_core.glm.base import Codes
from llmbin_core.glm.corpus import Corpus

TAXA = ("phylum", "genus", "species")


@dataclass(frozen=True)
class Fragments:
    """A batch: stretches of bases and the number of the species (or genome) each comes from."""

    sequences: list[Codes]
    labels: NDArray[np.int64]


class Sampler:
    """Draws fragments from the genomes of a corpus.

    Parameters
    ----------
    corpus : Corpus
    genomes : sequence of int
        Those that may be drawn; the ones without a run are left out.
    seed, rank : int
        Random seed, and number of this process among those that train together.
    balance : float
        0: every genome is equally likely. 1: every phylum, within it every genus, within it every
        species is equally likely. Between: in between (weights are raised to it).

    Attributes
    ----------
    genomes : int64 [n]
        Those with bases.
    weights : float64 [n]
        Their probabilities.
    """

    def __init__(
        self, corpus: Corpus, genomes: Sequence[int], seed: int, rank: int = 0, balance: float = 0.5
    ) -> None:
        self.corpus = corpus
        self.genomes = np.array([g for g in genomes if corpus.genomes[g].n_runs], dtype=np.int64)
        if self.genomes.size == 0:
            raise InputError(f"{corpus.path}: no genome with bases is left to sample from")
        self._key = (seed, rank)
        self.weights = _weights(corpus, self.genomes, balance)
        self._species = _species(corpus)

    def rng(self, step: int, stream: int = 0) -> np.random.Generator:
        """The random numbers of a step; other streams of a step are independent."""
        return np.random.default_rng((*self._key, step, stream))

    def views(
        self,
        step: int,
        n_genomes: int,
        n_views: int,
        lengths: tuple[int, int],
        error_rate: float,
    ) -> Fragments:
        """Several fragments of each of several genomes, for the contrastive objective.

        Parameters
        ----------
        step : int
        n_genomes : int
            Different genomes of a batch (all, if there are fewer).
        n_views : int
            Fragments of each.
        lengths : (int, int)
            Shortest and longest fragment in bp; lengths are log-uniform.
        error_rate : float
            Mean of the exponential distribution of the substitution rate of a fragment.
        """
        rng = self.rng(step)
        size = min(n_genomes, int((self.weights > 0).sum()))
        chosen = rng.choice(self.genomes, size=size, replace=False, p=self.weights)
        sequences = []
        for genome in np.repeat(chosen, n_views):
            length = int(np.exp(rng.uniform(np.log(lengths[0]), np.log(lengths[1]))))
            codes = self.corpus.fragment(int(genome), length, rng)
            if rng.random() < 0.5:
                codes = reverse_complement(codes)
            sequences.append(_with_errors(codes, rng, error_rate))
        return Fragments(sequences, np.repeat(self._species[chosen], n_views))

    def windows(self, step: int, n: int, length: int) -> list[Codes]:
        """``n`` stretches of ``length`` bp (less where a genome is shorter), either strand."""
        rng = self.rng(step)
        chosen = rng.choice(self.genomes, size=n, p=self.weights)
        found = [self.corpus.fragment(int(g), length, rng) for g in chosen]
        return [reverse_complement(c) if rng.random() < 0.5 else c for c in found]


def held_out(corpus: Corpus, column: str, value: str) -> list[int]:
    """Genomes whose catalog label ``column`` equals ``value``.

    Raises
    ------
    InputError
        No genome has it.
    """
    found = [i for i, g in enumerate(corpus.genomes) if g.labels.get(column) == value]
    if not found:
        raise InputError(f"{corpus.path}: no genome has '{value}' in catalog column '{column}'")
    return found


def _with_errors(codes: Codes, rng: np.random.Generator, mean_rate: float) -> Codes:
    """Substitutions at a rate of its own for each fragment."""
    if mean_rate <= 0:
        return codes
    n = int(rng.binomial(len(codes), min(rng.exponential(mean_rate), 0.2)))
    if n == 0:
        return codes
    changed = codes.copy()
    places = rng.integers(len(codes), size=n)
    changed[places] = (changed[places] + rng.integers(1, 4, size=n).astype(np.uint8)) % 4
    return changed


def _weights(corpus: Corpus, genomes: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """Probability of each genome; each level of the taxonomy shares its weight out equally."""
    weights = np.ones(len(genomes))
    path = [""] * len(genomes)
    for level in TAXA:
        parents = path
        path = [
            f"{p}\t{corpus.genomes[g].labels.get(level) or corpus.genomes[g].name}"
            for p, g in zip(path, genomes, strict=True)
        ]
        children = Counter(p for p, _ in set(zip(parents, path, strict=True)))
        weights /= np.array([children[p] for p in parents])
    members = Counter(path)
    weights /= np.array([members[p] for p in path])
    weights **= balance
    total: NDArray[np.float64] = weights / weights.sum()
    return total


def _species(corpus: Corpus) -> NDArray[np.int64]:
    """A number per genome; genomes of one species share it."""
    names = [g.labels.get("species") or f"\t{g.name}" for g in corpus.genomes]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
