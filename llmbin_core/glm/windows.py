"""Models that read windows of bases, as embedders: equal batches, pooled by masked means."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llmbin_core.errors import EnvironmentFault
from llmbin_core.glm.alphabet import UNKNOWN, reverse_complement
from llmbin_core.glm.base import Codes, Floats, every_block
from llmbin_core.glm.characters import PAD, CharacterModel
from llmbin_core.precision import autocast

log = logging.getLogger("llmbin")

BLOCK = 64
_WINDOW = 4096
_BATCH_BP = 1 << 16
# Windows are padded to a multiple of this, whatever else is in their batch, so that a contig's
# embedding does not depend on its neighbours.
_GRAIN = 256


class WindowEmbedder:
    """A character model as an `Embedder`.

    A contig is cut into windows side by side, so every base is read once (twice by models that are
    not invariant to reverse complement: their features are averaged over both strands).

    Parameters
    ----------
    model : CharacterModel
    name, digest : str
    device : torch.device
    window : int, optional
        Bases per window, a multiple of BLOCK; the smaller of 4096 and what the model takes.
    """

    def __init__(
        self,
        model: CharacterModel,
        name: str,
        digest: str,
        device: torch.device,
        window: int | None = None,
    ) -> None:
        self.name, self.digest, self.device = name, digest, device
        self.model = model.eval().to(device)
        longest = int(model.config.max_length)  # type: ignore[union-attr, arg-type]
        self.window = window or min(_WINDOW, longest // _GRAIN * _GRAIN)
        self.dim, self.block = int(model.dim), BLOCK  # type: ignore[arg-type]
        # Windows must not be moved, so contigs are never cut.
        self.context = 0
        self.cost = 64
        self._batch_bp = _BATCH_BP

    def span_sums(
        self, sequences: Sequence[Codes], cuts: Sequence[NDArray[np.int64]]
    ) -> list[Floats]:
        """Feature sums and, in the last column, known bases of spans, float32 [s, H + 1]."""
        sums = self.block_sums(sequences)
        return [span_of_blocks(table, cut) for table, cut in zip(sums, cuts, strict=True)]

    def block_sums(self, sequences: Sequence[Codes]) -> list[Floats]:
        """Feature sums and known bases of each block, float32 [ceil(L / block), H + 1]."""
        tables: list[list[Floats]] = [[] for _ in sequences]
        owners = [i for i, s in enumerate(sequences) for _ in range(0, len(s), self.window)]
        windows = [s[a : a + self.window] for s in sequences for a in range(0, len(s), self.window)]
        groups: dict[int, list[int]] = defaultdict(list)
        for k, window in enumerate(windows):
            groups[-(-len(window) // _GRAIN) * _GRAIN].append(k)
        results: dict[int, Floats] = {}
        for length in sorted(groups):
            for chosen, sums in self._batches(windows, groups[length], length):
                results |= dict(zip(chosen, sums, strict=True))
        for k, owner in enumerate(owners):
            tables[owner].append(results[k][: -(-len(windows[k]) // BLOCK)])
        empty = np.zeros((0, 1), dtype=np.float32)
        return [np.concatenate(t) if t else empty for t in tables]

    @torch.inference_mode()
    def head(self, pooled: Floats) -> Floats:
        """Embeddings of feature sums with counts, [m, H + 1] -> [m, D]."""
        counts = pooled[:, -1:]
        mean = torch.from_numpy(pooled[:, :-1] / np.maximum(counts, 1e-12)).to(self.device)
        out: Floats = self.model.finish(mean).float().cpu().numpy()
        out[counts[:, 0] == 0] = 0
        return out

    def _batches(
        self, windows: list[Codes], chosen: list[int], length: int
    ) -> Iterator[tuple[list[int], Floats]]:
        """Block sums of windows of one padded length; batches shrink when memory runs out."""
        at = 0
        while at < len(chosen):
            size = max(self._batch_bp // length, 1)
            part = chosen[at : at + size]
            try:
                sums = self._sums([windows[k] for k in part], length)
            except torch.OutOfMemoryError as error:
                if len(part) == 1:
                    raise EnvironmentFault(
                        f"out of GPU memory for one window of {length} bp; use --device cpu or a "
                        "smaller gLM"
                    ) from error
                sums = None
            if sums is None:
                torch.cuda.empty_cache()
                self._batch_bp = length * (len(part) // 2)
                log.warning("out of GPU memory; batches of %d bp from here on", self._batch_bp)
                continue
            yield part, sums
            at += len(part)

    @torch.inference_mode()
    def _sums(self, windows: list[Codes], length: int) -> Floats:
        """Sums over the blocks of windows padded to ``length``, [w, length / BLOCK, H + 1]."""
        with autocast(self.device, "auto"):
            features = self._features(windows, length)
            if not self.model.rc_invariant:
                other = self._features([reverse_complement(w) for w in windows], length)
                features = (features + _turned(other, [len(w) for w in windows])) / 2
        known = np.zeros((len(windows), length), dtype=np.float32)
        for row, window in zip(known, windows, strict=True):
            row[: len(window)] = window < UNKNOWN
        weight = torch.from_numpy(known).to(self.device)[..., None]
        full = torch.cat((features * weight, weight), dim=-1)
        blocks = full.reshape(len(windows), length // BLOCK, BLOCK, -1).sum(2)
        sums: Floats = blocks.cpu().numpy()
        return sums

    def _features(self, windows: list[Codes], length: int) -> Tensor:
        tokens = torch.full((len(windows), length), PAD)
        prepared = self.model.prepare(windows)
        tokens[:, : prepared.shape[1]] = prepared
        return self.model.features(tokens.to(self.device)).float()


class VectorEmbedder:
    """A model that gives one vector per window of bases, as an `Embedder`.

    Parameters
    ----------
    encode : callable
        Windows -> float32 [w, D].
    name, digest : str
    dim : int
    window : int
        Bases per window, a multiple of BLOCK.
    """

    def __init__(
        self,
        encode: Callable[[list[Codes]], Floats],
        name: str,
        digest: str,
        dim: int,
        window: int,
    ) -> None:
        self.name, self.digest, self.dim, self.window = name, digest, dim, window
        self.block, self.context, self.cost = BLOCK, 0, 64
        self._encode = encode

    def span_sums(
        self, sequences: Sequence[Codes], cuts: Sequence[NDArray[np.int64]]
    ) -> list[Floats]:
        """As `WindowEmbedder.span_sums`."""
        sums = self.block_sums(sequences)
        return [span_of_blocks(table, cut) for table, cut in zip(sums, cuts, strict=True)]

    def block_sums(self, sequences: Sequence[Codes]) -> list[Floats]:
        """Each block: the vector of its window times its known bases, and those bases."""
        tables = []
        for codes, cut in zip(sequences, every_block(sequences, BLOCK), strict=True):
            windows = [codes[a : a + self.window] for a in range(0, len(codes), self.window)]
            vectors = self._encode(windows) if windows else np.zeros((0, self.dim), np.float32)
            padded = np.full((len(cut) - 1) * BLOCK, UNKNOWN, dtype=np.uint8)
            padded[: len(codes)] = codes
            known = (padded < UNKNOWN).reshape(-1, BLOCK).sum(1).astype(np.float32)[:, None]
            rows = np.repeat(vectors, self.window // BLOCK, axis=0)[: len(known)]
            table: Floats = np.concatenate((rows * known, known), axis=1).astype(np.float32)
            tables.append(table)
        return tables

    def head(self, pooled: Floats) -> Floats:
        """Means weighted by known bases, [m, D + 1] -> [m, D]."""
        mean: Floats = (pooled[:, :-1] / np.maximum(pooled[:, -1:], 1e-12)).astype(np.float32)
        return mean


def span_of_blocks(table: Floats, cut: NDArray[np.int64]) -> Floats:
    """Sums of rows cut[i]..cut[i+1]-1, float32 [s, H]."""
    spans = np.zeros((len(cut) - 1, table.shape[1]), dtype=np.float32)
    for i, (a, b) in enumerate(pairwise(cut)):
        spans[i] = table[a:b].sum(0, dtype=np.float64).astype(np.float32)
    return spans


def _turned(features: Tensor, lengths: list[int]) -> Tensor:
    """Features of reverse complements put at the positions of the forward strand."""
    place = torch.tensor(lengths)[:, None] - 1 - torch.arange(features.shape[1])
    index = place.clamp_min(0).to(features.device)[..., None].expand(-1, -1, features.shape[2])
    return features.gather(1, index)
