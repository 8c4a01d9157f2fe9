"""Samples for tests of the encoder, drawn and not computed from contigs."""

from __future__ import annotations

import numpy as np

from llmbin_core.contigs import ContigTable
from llmbin_core.encoder.features import Sample


def sample(n: int = 80, genomes: int = 4, seed: int = 0, noise: float = 0.5) -> Sample:
    """Contigs of a few genomes, whose number is the species; features are centres plus noise."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, genomes, n)
    centres = np.random.default_rng(99).normal(0, 1, (genomes, 20))
    features = centres[truth][:, None] + rng.normal(0, noise, (n, 6, 20))
    contigs = ContigTable(tuple(f"c{seed}_{i}" for i in range(n)), rng.integers(1000, 30_000, n))
    coverage = rng.normal(0, 1, (n, 6, 2)).astype(np.float32)
    return Sample(
        contigs,
        {"composition": features.astype(np.float32), "coverage": coverage},
        embedder=None,
        alignments=("a",),
        species=truth,
    )
