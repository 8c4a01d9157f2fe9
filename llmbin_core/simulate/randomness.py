"""Random numbers: each purpose has its own stream, so that no step disturbs another."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Generator of its own for a purpose (a word) and what it is about (genome, sample)."""
    key = [seed, zlib.crc32(purpose.encode()), *numbers]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
