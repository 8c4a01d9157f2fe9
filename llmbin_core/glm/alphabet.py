"""Bases as numbers: codes, reverse complements, k-mer numbers and their canonical classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from llmbin_core.glm.base import Codes

UNKNOWN = 4

_LETTERS = np.full(256, UNKNOWN, dtype=np.uint8)
for _code, _pair in enumerate(("Aa", "Cc", "Gg", "Tt")):
    for _letter in _pair:
        _LETTERS[ord(_letter)] = _code


def encode(text: bytes) -> Codes:
    """Codes of a sequence of letters; anything but ACGT (either case) becomes 4."""
    return _LETTERS[np.frombuffer(text, dtype=np.uint8)]


def decode(codes: Codes) -> bytes:
    """Letters of codes."""
    return np.frombuffer(b"ACGTN", dtype=np.uint8)[codes].tobytes()


def reverse_complement(codes: Codes) -> Codes:
    """The other strand, read in its own direction."""
    flipped = codes[::-1]
    return np.where(flipped < UNKNOWN, np.uint8(3) - flipped, flipped).astype(np.uint8)


def kmer_numbers(codes: Codes, k: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The number (base 4, first base most significant) of the k-mer starting at each position.

    Parameters
    ----------
    codes : uint8 [L]
    k : int
        At most 15.

    Returns
    -------
    numbers : int32 [max(L - k + 1, 0)]
        0 where the k-mer holds an unknown base.
    known : bool [max(L - k + 1, 0)]
    """
    n = max(len(codes) - k + 1, 0)
    numbers = np.zeros(n, dtype=np.int32)
    clean = codes & 3
    for j in range(k):
        numbers <<= 2
        numbers |= clean[j : j + n]
    known = np.ones(n, dtype=bool)
    good = codes < UNKNOWN
    for j in range(k):
        known &= good[j : j + n]
    numbers[~known] = 0
    return numbers, known


@lru_cache(maxsize=16)
def complement_numbers(k: int) -> NDArray[np.int32]:
    """For each k-mer number that of its reverse complement, int32 [4^k]."""
    numbers = np.arange(4**k)
    other = np.zeros(4**k, dtype=np.int64)
    for j in range(k):
        other = other * 4 + (3 - (numbers >> (2 * j)) % 4)
    return other.astype(np.int32)


@lru_cache(maxsize=16)
def canonical_index(k: int) -> NDArray[np.int32]:
    """For each k-mer number the rank of its canonical class (k-mer or reverse complement).

    Classes are ranked by their smaller number: 136 of them for k = 4, 512 for 5, 2080 for 6.
    """
    smaller = np.minimum(np.arange(4**k), complement_numbers(k))
    return np.unique(smaller, return_inverse=True)[1].astype(np.int32)


def canonical_size(k: int) -> int:
    """Number of canonical k-mers."""
    return int(canonical_index(k).max()) + 1


class Packed:
    """Sequences laid end to end, each followed by unknown bases that fill whole blocks.

    Parameters
    ----------
    sequences : sequence of uint8 [L]
    block : int
        Bases per block.
    gap : int
        Unknown bases before and after each sequence at the least.

    Attributes
    ----------
    codes : uint8 [n_blocks * block]
    first, size : int64 [n]
        First block of each sequence, and the number of blocks with bases of its own.
    """

    def __init__(self, sequences: Sequence[Codes], block: int, gap: int = 0) -> None:
        lengths = np.array([len(s) for s in sequences], dtype=np.int64)
        taken = -(-(lengths + gap) // block)
        self.block = block
        self.size = -(-lengths // block)
        # A gap stands before the first sequence too, so that all have the same surroundings.
        lead = -(-gap // block)
        self.first = lead + np.cumsum(taken) - taken
        self.n_blocks = lead + int(taken.sum())
        self.codes = np.full(self.n_blocks * block, UNKNOWN, dtype=np.uint8)
        for begin, sequence in zip(self.first * block, sequences, strict=True):
            self.codes[begin : begin + len(sequence)] = sequence

    def owner(self) -> NDArray[np.int64]:
        """Index of the sequence of each block (0 before the first), int64 [n_blocks]."""
        edges = np.concatenate(([0], self.first[1:], [self.n_blocks]))
        return np.repeat(np.arange(len(self.first)), np.diff(edges))

    def spans(
        self, cuts: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number the spans of all sequences and say which one each block belongs to.

        Parameters
        ----------
        cuts : sequence of int64 [s + 1]
            See `llmbin_core.glm.base.Embedder.span_sums`.

        Returns
        -------
        row : int64 [n_blocks]
            Number of a block's span; the total number of spans where it is in none.
        ends : int64 [n]
            For each sequence one past the number of its last span.
        """
        ends = np.cumsum([len(c) - 1 for c in cuts], dtype=np.int64)
        total = int(ends[-1]) if len(ends) else 0
        row = np.full(self.n_blocks, total, dtype=np.int64)
        for first, end, cut in zip(self.first, ends, cuts, strict=True):
            numbers = np.arange(end - len(cut) + 1, end)
            row[first + cut[0] : first + cut[-1]] = np.repeat(numbers, np.diff(cut))
        return row, ends


def split_rows(table: NDArray[np.float32], ends: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """Consecutive groups of rows; group i ends before row ends[i]."""
    begins = np.concatenate(([0], ends[:-1]))
    return [table[a:b] for a, b in zip(begins, ends, strict=True)]
