"""Caduceus-PS: bidirectional Mamba, equivariant to reverse complement (Schiff et al. 2024).

Every sequence is read twice with the same weights, as it is and as its reverse complement; each
reading is mixed in both directions by Mamba layers that share their projections. The two readings
meet in the prediction: the scores of a base are those of its complement in the other reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from llmbin_core.glm.characters import COMPLEMENT, VOCABULARY, CharacterModel, complement
from llmbin_core.glm.mamba import Mamba


@dataclass(frozen=True)
class CaduceusConfig:
    """Shape of a Caduceus-PS.

    Attributes
    ----------
    width : int
        Channels of each of the two readings.
    layers : int
    state, kernel, expand : int
        See `llmbin_core.glm.mamba.Mamba`.
    epsilon : float
        Of the root-mean-square norms.
    crossed : bool
        Each layer hands either reading, turned around in positions and channels, to the other. The
        fused norms of the published code do this, so published weights need it; it keeps the
        equivariance.
    max_length : int
        Longest window in bp, for embedding.
    """

    width: int = 256
    layers: int = 8
    state: int = 16
    kernel: int = 4
    expand: int = 2
    epsilon: float = 1e-5
    crossed: bool = False
    max_length: int = 32768


class BiMamba(nn.Module):
    """A Mamba layer for either direction, with common projections; their outputs are added."""

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__()
        shape = (config.width, config.state, config.kernel, config.expand)
        self.forward_mixer = Mamba(*shape)
        self.backward_mixer = Mamba(*shape, share=self.forward_mixer)

    def forward(self, hidden: Tensor) -> Tensor:
        """Mix positions with those on both sides, [B, L, D] -> [B, L, D]."""
        back: Tensor = self.backward_mixer(hidden.flip(1)).flip(1)
        mixed: Tensor = self.forward_mixer(hidden) + back
        return mixed


class RootMeanSquareNorm(nn.Module):
    """Scale to unit mean square over channels (Zhang and Sennrich 2019)."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        values = hidden.float()
        scale = torch.rsqrt(values.square().mean(-1, keepdim=True) + self.epsilon)
        return values * scale * self.weight


class CaduceusModel(CharacterModel):
    """The model, with its masked-nucleotide head tied to the token embedding."""

    rc_invariant = True

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(VOCABULARY, config.width)
        self.norms = nn.ModuleList(
            RootMeanSquareNorm(config.width, config.epsilon) for _ in range(config.layers + 1)
        )
        self.mixers = nn.ModuleList(BiMamba(config) for _ in range(config.layers))
        nn.init.normal_(self.embedding.weight, std=0.02)
        with torch.no_grad():
            for name, weight in self.mixers.named_parameters():
                if name.endswith("out_proj.weight"):
                    weight.div_(max(config.layers, 1) ** 0.5)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return 2 * self.config.width

    def strands(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden vectors of the readings, each in its own direction, [B, L] -> 2 x [B, L, D]."""
        # The two readings are stacked as two halves of a batch.
        residual = self.embedding(torch.cat((tokens, complement(tokens)))).float()
        for norm, mixer in zip(self.norms, self.mixers, strict=False):
            if self.config.crossed:
                residual = residual.roll(len(tokens), 0).flip(1, 2)
            residual = residual + mixer(norm(residual))
        first, second = self.norms[-1](residual).chunk(2)
        return first, second

    def features(self, tokens: Tensor) -> Tensor:
        """Sum and difference of the two readings at each base, [B, L] -> [B, L, 2D]."""
        own, other = self.strands(tokens)
        other = other.flip(1)
        return torch.cat((own + other, own - other), dim=-1) / 2

    def finish(self, pooled: Tensor) -> Tensor:
        """Absolute differences: the same for a sequence and its reverse complement."""
        mean, difference = pooled.chunk(2, dim=-1)
        return torch.cat((mean, difference.abs()), dim=-1)

    def logits(self, tokens: Tensor) -> Tensor:
        """Scores of the tokens, [B, L] -> [B, L, VOCABULARY]."""
        own, other = self.strands(tokens)
        weight = self.embedding.weight
        paired = weight[torch.tensor(COMPLEMENT, device=weight.device)]
        return functional.linear(own, weight) + functional.linear(other.flip(1), paired)
