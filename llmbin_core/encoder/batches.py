"""Batches of training: the contigs of one sample, and the views of them that are contrasted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llmbin_core.encoder.features import Sample
from llmbin_core.views import views

# Contigs from this length on have halves that are told apart from other contigs (SemiBin).
HALVES_FROM = 4000


@dataclass(frozen=True)
class Batch:
    """Contigs of one sample.

    Attributes
    ----------
    features : dict of float32 [V' * B, F]
        Row ``v * B + b`` is view v of contig b.
    n_views : int
        V'.
    species : int64 [B] or None
        See `Sample`.
    """

    features: dict[str, NDArray[np.float32]]
    n_views: int
    species: NDArray[np.int64] | None


class BatchOptions(Protocol):
    """Of the training options those that batches are made by.

    Attributes
    ----------
    batch_size : int
        Contigs per batch; fewer where a sample has fewer.
    views_per_step : int
        The whole contig and random other views; without effect on halves.
    seed : int
    """

    @property
    def batch_size(self) -> int: ...
    @property
    def views_per_step(self) -> int: ...
    @property
    def seed(self) -> int: ...


def batches(
    samples: Sequence[Sample],
    options: BatchOptions,
    epoch: int,
    halves: Sequence[NDArray[np.int64]] | None = None,
) -> Iterator[Batch]:
    """All contigs once, shuffled.

    A batch holds contigs of one sample: the negatives of a contig are contigs that it could be
    binned with. A sample gives batches in proportion to its contigs. Samples that share their
    contigs (alignments to one assembly) take turns: contigs of one genome are negatives of each
    other, and seeing all pairs once per sample drives them further apart than once.

    Parameters
    ----------
    samples : sequence of Sample
    options : BatchOptions
    epoch : int
        Number of the pass; each has an order of its own.
    halves : sequence of int64 [n, 2], optional
        Per sample, two views of each contig to take instead, see `halves_of`.
    """
    rng = np.random.default_rng([options.seed, epoch])
    plan: list[tuple[int, NDArray[np.int64]]] = []
    for group in _of_same_contigs(samples):
        order = rng.permutation(len(samples[group[0]].contigs))
        count = max(1, round(len(order) / options.batch_size))
        for turn, part in enumerate(np.array_split(order, count), epoch):
            if len(part) > 1:
                plan.append((group[turn % len(group)], part))
    for item in rng.permutation(len(plan)):
        number, rows = plan[item]
        sample = samples[number]
        if halves is None:
            wanted = min(options.views_per_step, sample.n_views)
            others = 1 + rng.permutation(sample.n_views - 1)[: wanted - 1]
            chosen = np.concatenate(([0], np.sort(others)))[None]
        else:
            chosen = halves[number][rows]
        yield Batch(
            {
                name: values[rows[:, None], chosen].transpose(1, 0, 2).reshape(-1, values.shape[2])
                for name, values in sample.features.items()
            },
            chosen.shape[1],
            None if sample.species is None else sample.species[rows],
        )


def _of_same_contigs(samples: Sequence[Sample]) -> list[list[int]]:
    """Numbers of the samples, those that share their contigs together."""
    groups: dict[str, list[int]] = {}
    for number, sample in enumerate(samples):
        groups.setdefault(sample.contigs.digest, []).append(number)
    return list(groups.values())


def halves_of(sample: Sample) -> NDArray[np.int64]:
    """Two views of each contig that stand for its halves.

    They are the two random views that share the fewest bases, of those the pair whose shorter one
    is longest. Contigs that are too short for halves have view 0 twice.

    Returns
    -------
    int64 [n, 2]
    """
    lengths, n_views = sample.contigs.lengths, sample.n_views
    starts, ends = views(lengths, sample.seed, n_views)
    best = np.full(len(lengths), -np.inf)
    chosen = np.zeros((len(lengths), 2), dtype=np.int64)
    for a in range(1, n_views):
        for b in range(a + 1, n_views):
            begin = np.maximum(starts[:, a], starts[:, b])
            shared = np.maximum(np.minimum(ends[:, a], ends[:, b]) - begin, 0)
            shorter = np.minimum(ends[:, a] - starts[:, a], ends[:, b] - starts[:, b])
            # Any shared base weighs more than the longest view.
            worth = shorter - shared * (lengths.max(initial=0) + 1.0)
            better = (worth > best) & (lengths >= HALVES_FROM)
            best[better] = worth[better]
            chosen[better] = (a, b)
    return chosen
