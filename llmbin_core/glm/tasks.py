"""Objectives as the training loop sees them: make a batch, compute its loss, validate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from llmbin_core.glm import objectives, retrieval
from llmbin_core.glm.sampling import Sampler

LENGTHS = (1000, 2000, 5000, 10000)
_PER_GENOME = 20
_VALIDATION_WINDOWS = 64
_VALIDATION_SEED = 1

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class TaskOptions:
    """What a step sees; see `llmbin_core.glm.pretrain.PretrainOptions`."""

    genomes: int
    views: int
    lengths: tuple[int, int]
    error_rate: float
    temperature: float
    window: int
    windows: int
    mask_share: float


class Task(Protocol):
    """One objective."""

    def batch(self, sampler: Sampler, step: int) -> Batch:
        """Inputs and targets of a step, on the CPU."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of a batch that was moved to the model's device."""
        ...

    def validate(
        self, model: nn.Module, sampler: Sampler, device: torch.device
    ) -> dict[str, float]:
        """Figures on genomes that are not trained on."""
        ...


class Contrastive:
    """Fragments of one genome attract, those of other genomes of the batch repel."""

    def __init__(self, model: nn.Module, options: TaskOptions) -> None:
        self._model: Any = model
        self._options = options

    def batch(self, sampler: Sampler, step: int) -> Batch:
        o = self._options
        drawn = sampler.views(step, o.genomes, o.views, o.lengths, o.error_rate)
        return self._model.prepare(drawn.sequences), torch.from_numpy(drawn.labels)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return objectives.contrastive_loss(model(batch[0]), batch[1], self._options.temperature)

    def validate(
        self, model: nn.Module, sampler: Sampler, device: torch.device
    ) -> dict[str, float]:
        figures = {}
        for length in LENGTHS:
            chosen = [int(g) for g in sampler.genomes]
            sequences, labels = retrieval.fragments(
                sampler.corpus, chosen, length, _PER_GENOME, _VALIDATION_SEED
            )
            if len(np.unique(labels)) < 2:
                continue
            vectors = []
            for begin in range(0, len(sequences), 64):
                inputs = self._model.prepare(sequences[begin : begin + 64]).to(device)
                vectors.append(model(inputs).float().cpu().numpy())
            table = np.concatenate(vectors)
            figures[f"auc_{length}"] = retrieval.pair_auc(table, labels)
            figures[f"nearest_{length}"] = retrieval.nearest_accuracy(table, labels)
        return figures


class NextBase:
    """Each base from those before it."""

    def __init__(self, model: nn.Module, options: TaskOptions) -> None:
        self._model: Any = model
        self._options = options

    def batch(self, sampler: Sampler, step: int) -> Batch:
        tokens = self._tokens(sampler, step)
        return tokens, tokens.masked_fill(~self._model.is_base(tokens), objectives.IGNORED)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return objectives.next_loss(self._model, *batch)

    def validate(
        self, model: nn.Module, sampler: Sampler, device: torch.device
    ) -> dict[str, float]:
        losses = []
        rounds = max(_VALIDATION_WINDOWS // self._options.windows, 1)
        for step in range(rounds):
            inputs, targets = self.batch(sampler, step)
            losses.append(self.loss(model, (inputs.to(device), targets.to(device))).item())
        mean = sum(losses) / len(losses)
        return {"valid_loss": mean, "perplexity": math.exp(mean)}

    def _tokens(self, sampler: Sampler, step: int) -> Tensor:
        sequences = sampler.windows(step, self._options.windows, self._options.window)
        tokens: Tensor = self._model.prepare(sequences)
        return tokens


class MaskedBase(NextBase):
    """Hidden bases from those on both sides."""

    def batch(self, sampler: Sampler, step: int) -> Batch:
        tokens = self._tokens(sampler, step)
        inputs, targets = objectives.mask_bases(
            tokens.numpy(),
            self._model.is_base(tokens).numpy(),
            self._model.base_tokens.cpu().numpy(),
            self._model.mask_token,
            self._options.mask_share,
            sampler.rng(step, stream=1),
        )
        return torch.from_numpy(inputs), torch.from_numpy(targets)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return objectives.masked_loss(self._model, *batch)


TASKS: dict[str, type[Contrastive] | type[NextBase]] = {
    "contrastive": Contrastive,
    "next": NextBase,
    "masked": MaskedBase,
}
