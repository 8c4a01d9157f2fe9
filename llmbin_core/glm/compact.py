"""The compact gLM: codons in their reading frame, made for binning and quick on a CPU.

Two hexamer spectra are counted in one pass over the bases: the canonical one (2080 classes, every
position) and the one of the translated frame (4096, every third position, on the strand that is
translated, see `llmbin_core.glm.frames`). Both are the same for a sequence and its reverse
complement, up to the cut of the blocks. A small network, trained so that fragments of one genome
attract and those of other genomes repel, maps the spectra of a stretch to its embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from llmbin_core.glm.alphabet import (
    Packed,
    canonical_index,
    complement_numbers,
    split_rows,
)
from llmbin_core.glm.base import Codes, Floats, every_block
from llmbin_core.glm.frames import HEXAMERS, N_GC, in_frame, learn_tables

_K = 6
N_CANONICAL = 2080
N_FEATURES = N_CANONICAL + HEXAMERS


@dataclass(frozen=True)
class CompactConfig:
    """Shape of a compact gLM.

    Attributes
    ----------
    hidden, dim : int
        Width of the hidden layer and of the embedding.
    dropout, input_dropout : float
        Share of hidden units and of spectrum entries left out in training.
    block : int
        Bases per block, a multiple of 3.
    reach : int
        Codons to either side that decide the translated frame of a codon.
    """

    hidden: int = 896
    dim: int = 128
    dropout: float = 0.4
    input_dropout: float = 0.3
    block: int = 96
    reach: int = 40

    def __post_init__(self) -> None:
        if self.block % 3 or self.block < 12:
            raise ValueError(f"block {self.block}: must be a multiple of 3, at least 12")


class CompactNet(nn.Module):
    """Spectra to embedding: log of scaled frequencies, then a linear map plus one hidden layer.

    Parameters
    ----------
    config : CompactConfig
    """

    tables: Tensor
    centre: Tensor

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("tables", torch.zeros(N_GC, HEXAMERS, dtype=torch.int16))
        self.register_buffer("centre", torch.zeros(N_FEATURES))
        self.thin = nn.Dropout(config.input_dropout)
        self.linear = nn.Linear(N_FEATURES, config.dim, bias=False)
        self.curved = nn.Sequential(
            nn.Linear(N_FEATURES, config.hidden),
            nn.LayerNorm(config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.dim),
        )

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.config.dim

    @property
    def gap(self) -> int:
        """Unknown bases that keep neighbouring sequences from seeing each other."""
        return 3 * self.config.reach + 6

    def prepare(self, sequences: Sequence[Codes]) -> Tensor:
        """Spectra of whole sequences, float32 [m, N_FEATURES]."""
        packed = Packed(sequences, self.config.block, self.gap)
        return torch.from_numpy(self._count(packed, packed.owner(), len(sequences)))

    def span_counts(
        self, sequences: Sequence[Codes], cuts: Sequence[NDArray[np.int64]]
    ) -> list[Floats]:
        """Spectra of spans of blocks, see `llmbin_core.glm.base.Embedder.span_sums`."""
        packed = Packed(sequences, self.config.block, self.gap)
        rows, ends = packed.spans(cuts)
        # The last row takes the blocks that are in no span.
        counts = self._count(packed, rows, int(ends[-1]) + 1)
        return split_rows(counts[:-1], ends)

    def initialise(self, genomes: Sequence[Codes], sample: Sequence[Codes]) -> None:
        """Learn the frame tables, and centre the input on the mean spectrum of a sample.

        Parameters
        ----------
        genomes : sequence of uint8 [L]
            A long stretch of each of many genomes.
        sample : sequence of uint8 [L]
            Fragments as they will be trained on.
        """
        self.tables.copy_(torch.from_numpy(learn_tables(genomes)))
        self.centre.copy_(_scaled(self.prepare(sample)).mean(0))

    def forward(self, spectra: Tensor) -> Tensor:
        """Embeddings [m, dim] of spectra [m, N_FEATURES] of any scale."""
        x = self.thin(_scaled(spectra) - self.centre)
        embedding: Tensor = self.linear(x) + self.curved(x)
        return embedding

    def _count(self, packed: Packed, rows: NDArray[np.int64], n_rows: int) -> Floats:
        """Add the hexamers of block i to row rows[i] of a [n_rows, N_FEATURES] table."""
        tables = self.tables.cpu().numpy()
        found = in_frame(packed.codes, tables, self.config.reach)
        offset = np.repeat(rows * N_FEATURES, packed.block)[: len(found.hexamers)]
        out = torch.zeros(n_rows * N_FEATURES)
        both = canonical_index(_K)
        inside = np.arange(HEXAMERS, dtype=np.int32) + N_CANONICAL
        for mask, column in (
            (found.known, both),
            (found.forward, inside),
            (found.reverse, inside[complement_numbers(_K)]),
        ):
            place = torch.from_numpy(offset[mask] + column[found.hexamers[mask]])
            out.index_add_(0, place, torch.ones(len(place)))
        table: Floats = out.numpy().reshape(n_rows, N_FEATURES)
        return table


class CompactEmbedder:
    """A trained `CompactNet` as an `Embedder`.

    Parameters
    ----------
    net : CompactNet
    name, digest : str
        Name and digest of the gLM.
    device : torch.device
        Where the network runs; the spectra are counted on the CPU.
    """

    def __init__(self, net: CompactNet, name: str, digest: str, device: torch.device) -> None:
        self.name, self.digest = name, digest
        self.device = device
        self.net = net.eval().to(device).float()
        self.dim, self.block = net.dim, net.config.block
        # A hexamer's frame depends on scores within the reach, and those on the GC as far again.
        self.context = 2 * net.gap
        self.cost = 80

    def span_sums(
        self, sequences: Sequence[Codes], cuts: Sequence[NDArray[np.int64]]
    ) -> list[Floats]:
        """Spectra of spans of blocks, float32 [s, 6176] per sequence."""
        return self.net.span_counts(sequences, cuts) if sequences else []

    def block_sums(self, sequences: Sequence[Codes]) -> list[Floats]:
        """Spectra of each block, float32 [ceil(L / block), 6176] per sequence."""
        return self.span_sums(sequences, every_block(sequences, self.block))

    @torch.inference_mode()
    def head(self, pooled: Floats) -> Floats:
        """Embeddings [m, dim]; rows without any hexamer become zero."""
        out = np.zeros((len(pooled), self.dim), dtype=np.float32)
        for begin in range(0, len(pooled), 4096):
            part = torch.from_numpy(np.ascontiguousarray(pooled[begin : begin + 4096]))
            out[begin : begin + 4096] = self.net(part.to(self.device)).cpu().numpy()
        out[pooled[:, :N_CANONICAL].sum(1) == 0] = 0
        return out


def _scaled(spectra: Tensor) -> Tensor:
    """log(1 + frequency relative to a uniform spectrum), each of the two spectra on its own."""
    parts = (spectra[:, :N_CANONICAL], spectra[:, N_CANONICAL:])
    scaled = [
        torch.log1p(part * (part.shape[1] / part.sum(1, keepdim=True).clamp_min(1e-6)))
        for part in parts
    ]
    return torch.cat(scaled, dim=1)
