"""Small genomes for the gLM tests, made from nothing but a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
# Codons without a stop, in base-4 numbers.
SENSE = np.array([c for c in range(64) if c not in (48, 50, 56)])


def random_bases(length: int, seed: int, gc: float = 0.5) -> NDArray[np.uint8]:
    """Independent bases."""
    p = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    return np.random.default_rng(seed).choice(4, size=length, p=p).astype(np.uint8)


def coding_bases(codons: int, seed: int, usage_seed: int = 0) -> NDArray[np.uint8]:
    """A gene of random sense codons, some far more frequent than others, then a stop codon."""
    usage = np.random.default_rng(usage_seed).dirichlet(np.full(len(SENSE), 0.3))
    drawn = np.random.default_rng(seed).choice(SENSE, size=codons, p=usage)
    numbers = np.append(drawn, 48)
    return (
        np.stack([numbers >> 4, numbers >> 2 & 3, numbers & 3], axis=1).reshape(-1).astype(np.uint8)
    )


def fasta(path: Path, sequences: dict[str, NDArray[np.uint8]], width: int = 70) -> Path:
    """Write a FASTA file."""
    lines = []
    for name, codes in sequences.items():
        text = LETTERS[codes].tobytes().decode()
        lines += [f">{name}", *(text[i : i + width] for i in range(0, len(text), width))]
    path.write_text("\n".join(lines) + "\n")
    return path
