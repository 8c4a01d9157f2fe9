"""Baselines without a model: k-mer frequencies as embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmbin_core.glm.alphabet import (
    Packed,
    canonical_index,
    canonical_size,
    kmer_numbers,
    split_rows,
)
from llmbin_core.glm.base import Codes, Floats, every_block
from llmbin_core.glm.identity import digest_of_spectrum

_BLOCK = 96


class SpectrumEmbedder:
    """Canonical k-mer frequencies, each k summing to one; k-mers with unknown bases are skipped.

    Parameters
    ----------
    lengths : tuple of int
        The k; (4,) is TNF with 136 entries, (4, 5, 6) has 2728.
    name : str
    """

    def __init__(self, lengths: tuple[int, ...], name: str) -> None:
        self.name, self._lengths = name, lengths
        self._sizes = [canonical_size(k) for k in lengths]
        self.dim, self.block = sum(self._sizes), _BLOCK
        self.digest = digest_of_spectrum(lengths)
        # k-mers belong to the block they start in and reach into the next one.
        self.context = max(lengths)
        self.cost = 60

    def span_sums(
        self, sequences: Sequence[Codes], cuts: Sequence[NDArray[np.int64]]
    ) -> list[Floats]:
        """k-mer counts of spans of blocks, float32 [s, dim] per sequence."""
        if not sequences:
            return []
        packed = Packed(sequences, self.block, max(self._lengths))
        spans, ends = packed.spans(cuts)
        rows = np.repeat(spans, self.block)
        n_rows = int(ends[-1]) + 1
        tables = []
        for k, size in zip(self._lengths, self._sizes, strict=True):
            numbers, known = kmer_numbers(packed.codes, k)
            place = rows[: len(numbers)] * size + canonical_index(k)[numbers]
            counts = np.bincount(place[known], minlength=n_rows * size)
            tables.append(counts.reshape(n_rows, size).astype(np.float32))
        return split_rows(np.concatenate(tables, axis=1)[:-1], ends)

    def block_sums(self, sequences: Sequence[Codes]) -> list[Floats]:
        """k-mer counts of each block, float32 [ceil(L / block), dim] per sequence."""
        return self.span_sums(sequences, every_block(sequences, self.block))

    def head(self, pooled: Floats) -> Floats:
        """Frequencies of counts, [m, dim]."""
        parts = np.split(pooled, np.cumsum(self._sizes)[:-1], axis=1)
        shares = [p / np.maximum(p.sum(1, keepdims=True), 1e-12) for p in parts]
        frequencies: Floats = np.concatenate(shares, axis=1).astype(np.float32)
        return frequencies
