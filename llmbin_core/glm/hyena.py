"""HyenaDNA: a causal model of long convolutions (Poli et al. 2023, Nguyen et al. 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from llmbin_core.glm.characters import VOCABULARY, CharacterModel

# Exponential windows reach this value after a share of the longest sequence that runs from SLOW to
# FAST over the channels; SHIFT keeps them from vanishing (Poli et al. 2023, section 3.3).
_TARGET, _FAST, _SLOW, _SHIFT = 1e-2, 0.3, 1.5, 0.05


@dataclass(frozen=True)
class HyenaConfig:
    """Shape of a HyenaDNA.

    Attributes
    ----------
    width, layers, inner : int
        Channels, blocks, and hidden units of the position-wise network.
    max_length : int
        Longest sequence, which also scales the positions of the filters.
    filter_width, filter_features, filter_layers : int
        Hidden units of the filter network, its positional features (odd), its inner layers.
    sine_frequency : float
        First frequency of the sine activations, which is learned.
    short_kernel : int
        Positions of the short convolution.
    """

    width: int = 256
    layers: int = 4
    inner: int = 1024
    max_length: int = 32770
    filter_width: int = 64
    filter_features: int = 5
    filter_layers: int = 2
    sine_frequency: float = 10.0
    short_kernel: int = 3

    def __post_init__(self) -> None:
        if self.filter_features < 3 or self.filter_features % 2 == 0:
            raise ValueError(f"filter_features {self.filter_features}: must be odd, at least 3")


def long_convolution(values: Tensor, kernel: Tensor, skip: Tensor) -> Tensor:
    """Causal convolution along the last dimension by FFT, plus ``skip`` times the input.

    Parameters
    ----------
    values : float [B, D, L]
    kernel : float [D, L]
    skip : float [D]
    """
    size = 2 * values.shape[-1]
    spectrum = torch.fft.rfft(values.float(), n=size) * torch.fft.rfft(kernel.float(), n=size)
    result = torch.fft.irfft(spectrum, n=size)[..., : values.shape[-1]]
    filtered: Tensor = (result + values * skip[:, None]).to(values.dtype)
    return filtered


class ImplicitFilter(nn.Module):
    """A convolution kernel of any length, given by a small network over the position."""

    positions: Tensor
    times: Tensor
    decay: Tensor

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        n, bands = config.max_length, (config.filter_features - 1) // 2
        times = torch.linspace(0, 1, n)[:, None]
        angles = 2 * math.pi * torch.arange(n)[:, None] / n * torch.linspace(1e-4, bands - 1, bands)
        self.positions = nn.Parameter(torch.cat((times, angles.cos(), -angles.sin()), dim=1))
        rates = torch.linspace(math.log(_TARGET) / _SLOW, math.log(_TARGET) / _FAST, config.width)
        self.register_buffer("times", times)
        self.register_buffer("decay", rates.abs())
        sizes = [config.filter_features] + [config.filter_width] * (config.filter_layers + 1)
        self.inner = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.frequency = nn.Parameter(torch.full((config.filter_width,), config.sine_frequency))
        self.last = nn.Linear(config.filter_width, config.width, bias=False)

    def forward(self, length: int) -> Tensor:
        """The kernel for sequences of a length, [D, length]."""
        hidden = self.positions[:length]
        for layer in self.inner:
            hidden = torch.sin(self.frequency * layer(hidden))
        window = torch.exp(-self.times[:length] * self.decay) + _SHIFT
        kernel: Tensor = (self.last(hidden) * window).T
        return kernel


class HyenaMixer(nn.Module):
    """The order-2 Hyena operator: gate, long convolution, gate."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        width = config.width
        self.in_proj = nn.Linear(width, 3 * width)
        self.short = nn.Conv1d(
            3 * width, 3 * width, config.short_kernel, groups=3 * width,
            padding=config.short_kernel - 1,
        )  # fmt: skip
        self.filter = ImplicitFilter(config)
        self.skip = nn.Parameter(torch.randn(width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Mix positions, each with those before it, [B, L, D] -> [B, L, D]."""
        length = hidden.shape[1]
        mixed = self.short(self.in_proj(hidden).transpose(1, 2))[..., :length]
        after, before, values = mixed.chunk(3, dim=1)
        values = long_convolution(values * before, self.filter(length), self.skip)
        out: Tensor = self.out_proj((values * after).transpose(1, 2))
        return out


class HyenaBlock(nn.Module):
    """Norm, mixer, norm, position-wise network, with residual connections."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.mixer = HyenaMixer(config)
        self.norm2 = nn.LayerNorm(config.width)
        self.fc1 = nn.Linear(config.width, config.inner)
        self.fc2 = nn.Linear(config.inner, config.width)

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        hidden = hidden + self.mixer(self.norm1(hidden))
        inner = functional.gelu(self.fc1(self.norm2(hidden)), approximate="tanh")
        out: Tensor = hidden + self.fc2(inner)
        return out


class HyenaModel(CharacterModel):
    """The model, with its next-nucleotide head tied to the token embedding."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(VOCABULARY, config.width)
        self.blocks = nn.ModuleList(HyenaBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.config.width

    def features(self, tokens: Tensor) -> Tensor:
        """Hidden vectors, [B, L] -> [B, L, D]."""
        hidden = self.embedding(tokens)
        for block in self.blocks:
            hidden = block(hidden)
        out: Tensor = self.norm(hidden)
        return out

    def logits(self, tokens: Tensor) -> Tensor:
        """Scores of the token after each position, [B, L] -> [B, L, VOCABULARY]."""
        return functional.linear(self.features(tokens), self.embedding.weight)
