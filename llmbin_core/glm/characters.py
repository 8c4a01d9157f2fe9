"""Character tokens, shared by the architectures that read single bases.

The numbers are those of the published tokenizers of HyenaDNA and Caduceus: seven special tokens,
then A, C, G, T, N; embeddings are padded to 16 rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from llmbin_core.glm.base import Codes

MASK, PAD = 3, 4
FIRST_BASE = 7
UNKNOWN_BASE = 11
VOCABULARY = 16
# Token of the complement: A <-> T, C <-> G, all others are their own.
COMPLEMENT = (0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11, 12, 13, 14, 15)


class CharacterModel(nn.Module):
    """Base of the models over character tokens."""

    mask_token = MASK
    rc_invariant = False

    @property
    def base_tokens(self) -> Tensor:
        """Tokens of A, C, G, T, int64 [4]."""
        return torch.arange(FIRST_BASE, FIRST_BASE + 4)

    def prepare(self, sequences: Sequence[Codes]) -> Tensor:
        """Tokens of sequences, padded on the right, int64 [m, longest]."""
        longest = max((len(s) for s in sequences), default=0)
        tokens = np.full((len(sequences), longest), PAD, dtype=np.int64)
        for row, codes in zip(tokens, sequences, strict=True):
            row[: len(codes)] = codes
            row[: len(codes)] += FIRST_BASE
        return torch.from_numpy(tokens)

    @staticmethod
    def is_base(tokens: Tensor) -> Tensor:
        """Where a known base stands, bool of the same shape."""
        return (tokens >= FIRST_BASE) & (tokens < UNKNOWN_BASE)

    def features(self, tokens: Tensor) -> Tensor:
        """Vectors to be summed over positions, [B, L] -> [B, L, H]."""
        raise NotImplementedError

    def finish(self, pooled: Tensor) -> Tensor:
        """Embedding of mean features, [m, H] -> [m, D]."""
        return pooled

    def logits(self, tokens: Tensor) -> Tensor:
        """Scores of the tokens, [B, L] -> [B, L, VOCABULARY]."""
        raise NotImplementedError

    def forward(self, tokens: Tensor) -> Tensor:
        """Embeddings: features averaged over the known bases, [B, L] -> [B, D]."""
        known = self.is_base(tokens)[..., None]
        total = (self.features(tokens).float() * known).sum(1)
        return self.finish(total / known.sum(1).clamp_min(1))


def complement(tokens: Tensor) -> Tensor:
    """The other strand of tokens, read in its own direction (padding comes first then)."""
    table = torch.tensor(COMPLEMENT, device=tokens.device)
    return table[tokens].flip(-1)
