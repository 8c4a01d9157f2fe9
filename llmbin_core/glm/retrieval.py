"""How well embeddings tell genomes apart: pairs, nearest neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmbin_core.glm.base import Codes, Floats
from llmbin_core.glm.corpus import Corpus


def cosine(vectors: Floats) -> Floats:
    """Cosine similarity of all pairs, float32 [n, n]; a zero vector is similar to none."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    similarity: Floats = unit @ unit.T
    return similarity


def pair_auc(vectors: Floats, labels: NDArray[np.int64]) -> float:
    """Area under the ROC curve of cosine similarity for "same label" over all pairs.

    The chance that a pair of one genome is more similar than a pair of two (ties count half);
    Mann and Whitney's rank sum.
    """
    i, j = np.triu_indices(len(labels), 1)
    scores, same = cosine(vectors)[i, j], labels[i] == labels[j]
    _, position, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[position]
    n_same = int(same.sum())
    n_other = len(same) - n_same
    if not n_same or not n_other:
        return float("nan")
    return float((ranks[same].sum() - n_same * (n_same + 1) / 2) / (n_same * n_other))


def nearest_accuracy(vectors: Floats, labels: NDArray[np.int64]) -> float:
    """Share of vectors whose most similar other vector has the same label."""
    similarity = cosine(vectors)
    np.fill_diagonal(similarity, -np.inf)
    return float((labels[similarity.argmax(1)] == labels).mean())


def fragments(
    corpus: Corpus, genomes: list[int], length: int, per_genome: int, seed: int
) -> tuple[list[Codes], NDArray[np.int64]]:
    """``per_genome`` fragments of ``length`` bp of each genome, and the number of its genome.

    Genomes without a run of that length are left out.
    """
    rng = np.random.default_rng((seed, length))
    found: list[Codes] = []
    labels: list[int] = []
    for genome in genomes:
        drawn = [corpus.fragment(genome, length, rng) for _ in range(per_genome)]
        if len(drawn[0]) == length:
            found += drawn
            labels += [genome] * per_genome
    return found, np.array(labels, dtype=np.int64)
