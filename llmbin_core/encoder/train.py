"""Training of the binning encoder on the views of one or several samples."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from llmbin_core import progress
from llmbin_core.contigs import n50
from llmbin_core.encoder.checkpoint import CheckpointFile
from llmbin_core.encoder.features import Sample
from llmbin_core.encoder.loss import info_nce, top1_share
from llmbin_core.encoder.network import BinningEncoder, NetworkShape
from llmbin_core.errors import InputError, UsageError
from llmbin_core.files import write_text

log = logging.getLogger("llmbin")

# Assemblies with an N50 above this are trained with the sharper temperature (METHOD of the field:
# long contigs have views that are easy to tell apart).
_LONG_N50 = 10_000
_SHARP, _SOFT = 0.07, 0.15
# Early stop: this share of anchors right, in this many epochs, after this epoch.
_CHECKPOINT_EPOCHS = 5
# Part of the squared length of a latent that is the gLM embedding as it is.
EMBEDDING_SHARE = 1 / 3
_TOP1_ENOUGH, _TOP1_EPOCHS, _FLAT_EPOCHS = 0.99, 3, 10


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; validates itself.

    Attributes
    ----------
    epochs, batch_size : int
        Passes over the contigs; contigs per batch (fewer when the sample has fewer).
    learning_rate, weight_decay : float
        Of AdamW.
    temperature : float or None
        Of InfoNCE; None chooses by the N50 of the contigs.
    views_per_step : int
        Views of each contig in a batch, at least 2: the whole contig and random others.
    coverage_weight, embedding_weight : float
        Weights of additional InfoNCE losses on the coverage and embedding branches.
    seed : int
        Random seed of initial weights, batches and dropout.
    """

    epochs: int = 30
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    temperature: float | None = None
    views_per_step: int = 3
    coverage_weight: float = 0.0
    embedding_weight: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise UsageError("training needs at least 1 epoch and batches of at least 2 contigs")
        if self.views_per_step < 2:
            raise UsageError("contrastive training needs at least 2 views per step")
        if min(self.coverage_weight, self.embedding_weight) < 0:
            raise UsageError("the weights of the branch losses must not be below 0")
        if self.temperature is not None and self.temperature <= 0:
            raise UsageError(f"temperature {self.temperature} must be above 0")


class EpochLog(NamedTuple):
    """One row of the training curve."""

    epoch: int
    loss: float
    top1: float
    learning_rate: float


def choose_temperature(samples: Sequence[Sample], options: TrainingOptions) -> float:
    """The given temperature, or by N50: .07 above 10 kb, else .15."""
    if options.temperature is not None:
        return options.temperature
    lengths = np.concatenate([s.contigs.lengths for s in samples])
    return _SHARP if n50(lengths) > _LONG_N50 else _SOFT


def make_plan(
    samples: Sequence[Sample], options: Mapping[str, Any]
) -> tuple[NetworkShape, TrainingOptions]:
    """Sort the options of a training run into network and training, for these samples.

    Raises
    ------
    InputError
        The samples differ in their features.
    UsageError
        An unknown option, or one out of range.
    """
    first = samples[0]
    inputs = {name: values.shape[2] for name, values in first.features.items()}
    for other in samples[1:]:
        theirs = {name: values.shape[2] for name, values in other.features.items()}
        if (theirs, other.embedder) != (inputs, first.embedder):
            raise InputError(
                f"the samples have different features: {inputs} from {first.embedder} and "
                f"{theirs} from {other.embedder}; make them with the same gLM and number of BAMs"
            )
    of_network = {f.name for f in fields(NetworkShape)} - {"inputs"}
    shape = {k: v for k, v in options.items() if k in of_network}
    training = {k: v for k, v in options.items() if k not in of_network}
    try:
        return NetworkShape(inputs, **shape), TrainingOptions(**training)
    except TypeError as error:
        raise UsageError(str(error)) from None


def train_encoder(
    samples: Sequence[Sample],
    shape: NetworkShape,
    options: TrainingOptions,
    device: torch.device,
    checkpoint: Path | None = None,
) -> tuple[BinningEncoder, list[EpochLog]]:
    """Train an encoder.

    The negatives of a batch come from one sample; samples alternate in proportion to their contigs.

    Parameters
    ----------
    samples : sequence of Sample
    shape : NetworkShape
    options : TrainingOptions
    device : torch.device
    checkpoint : Path, optional
        Written every few epochs; where it exists and stems from the same run it is continued, with
        the result that an uninterrupted run would have had.

    Returns
    -------
    encoder : BinningEncoder
        In evaluation mode.
    curve : list of EpochLog
    """
    torch.manual_seed(options.seed)
    encoder = BinningEncoder(shape).to(device)
    optimizer = torch.optim.AdamW(
        encoder.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    temperature = choose_temperature(samples, options)
    curve: list[EpochLog] = []
    state = CheckpointFile(checkpoint, samples, shape, options) if checkpoint else None
    if state:
        curve = [EpochLog(int(row[0]), *row[1:]) for row in state.restore(encoder, optimizer)]
    with progress.task("training", options.epochs, "epochs") as task:
        task.advance(len(curve))
        for epoch in range(len(curve), options.epochs):
            if _converged(curve):
                log.info("training converged after %d epochs", epoch)
                break
            curve.append(_epoch(encoder, optimizer, samples, temperature, options, device, epoch))
            log.debug("epoch %d: loss %.4f, top-1 %.4f", *curve[-1][:3])
            task.advance()
            if state and (epoch + 1) % _CHECKPOINT_EPOCHS == 0:
                state.save(encoder, optimizer, curve)
    return encoder.eval(), curve


def write_curve(path: Path, curve: Sequence[EpochLog]) -> None:
    """Write the training curve as TSV."""
    rows = [f"{e.epoch}\t{e.loss:.6f}\t{e.top1:.4f}\t{e.learning_rate:.6g}\n" for e in curve]
    write_text(path, "epoch\tloss\ttop1\tlearning_rate\n" + "".join(rows))


def _epoch(
    encoder: BinningEncoder,
    optimizer: torch.optim.Optimizer,
    samples: Sequence[Sample],
    temperature: float,
    options: TrainingOptions,
    device: torch.device,
    epoch: int,
) -> EpochLog:
    rate = _learning_rate(epoch, options)
    for group in optimizer.param_groups:
        group["lr"] = rate
    # Seeding each epoch makes a resumed run equal to an uninterrupted one.
    torch.manual_seed(options.seed * 1_000_003 + epoch + 1)
    encoder.train()
    steps = [
        _step(encoder, optimizer, batch, temperature, options, device)
        for batch in _batches(samples, options, epoch)
    ]
    loss, top1 = np.mean(steps, axis=0) if steps else (0.0, 0.0)
    return EpochLog(epoch + 1, float(loss), float(top1), rate)


def _converged(curve: Sequence[EpochLog]) -> bool:
    last = curve[-_TOP1_EPOCHS:]
    return len(curve) >= _FLAT_EPOCHS + _TOP1_EPOCHS and all(e.top1 > _TOP1_ENOUGH for e in last)


def _learning_rate(epoch: int, options: TrainingOptions) -> float:
    """Constant for the first tenth (at most 10 epochs), then a half cosine to 0."""
    flat = min(_FLAT_EPOCHS, options.epochs // 4)
    if epoch < flat:
        return options.learning_rate
    share = (epoch - flat) / max(1, options.epochs - flat)
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


Batch = dict[str, NDArray[np.float32]]


def _batches(samples: Sequence[Sample], options: TrainingOptions, epoch: int) -> Iterator[Batch]:
    """Batches of one sample each, shuffled; every array is [V' * B, F] with view-major rows."""
    rng = np.random.default_rng([options.seed, epoch])
    plan: list[tuple[int, NDArray[np.int64]]] = []
    for number, sample in enumerate(samples):
        order = rng.permutation(len(sample.contigs))
        count = max(1, round(len(order) / options.batch_size))
        plan += [(number, part) for part in np.array_split(order, count) if len(part) > 1]
    for item in rng.permutation(len(plan)):
        number, rows = plan[item]
        sample = samples[number]
        wanted = min(options.views_per_step, sample.n_views)
        others = 1 + rng.permutation(sample.n_views - 1)[: wanted - 1]
        chosen = np.concatenate(([0], np.sort(others)))
        yield {
            name: values[rows][:, chosen].transpose(1, 0, 2).reshape(-1, values.shape[2])
            for name, values in sample.features.items()
        }


def _step(
    encoder: BinningEncoder,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    temperature: float,
    options: TrainingOptions,
    device: torch.device,
) -> tuple[float, float]:
    features = {name: torch.from_numpy(values).to(device) for name, values in batch.items()}
    n_views = options.views_per_step
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        latent, branches = encoder(features)
    loss: Tensor = info_nce(latent, n_views, temperature)
    weights = {"coverage": options.coverage_weight, "embedding": options.embedding_weight}
    for name, branch in branches.items():
        if weights[name]:
            loss = loss + weights[name] * info_nce(branch, n_views, temperature)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach()), top1_share(latent, n_views)


@torch.no_grad()
def encode(encoder: BinningEncoder, sample: Sample, device: torch.device) -> NDArray[np.float32]:
    """Latents of the whole contigs (view 0).

    The trained latent tells contigs apart; where contigs of one genome are concerned it tells too
    much, since in training they repel each other like any two contigs. The gLM was trained to see
    the genome, so its embedding joins the latent with a share of its own.

    Returns
    -------
    float32 [n, latent + D]
        Unit vectors; D is 0 without an embedding.
    """
    encoder.eval()
    rows = 16384
    parts = []
    for begin in range(0, len(sample.contigs), rows):
        features = {
            name: torch.from_numpy(values[begin : begin + rows, 0]).to(device)
            for name, values in sample.features.items()
        }
        latent = functional.normalize(encoder(features)[0], dim=1)
        if "embedding" in features:
            own = functional.normalize(features["embedding"], dim=1)
            joined = (latent * (1 - EMBEDDING_SHARE) ** 0.5, own * EMBEDDING_SHARE**0.5)
            latent = functional.normalize(torch.cat(joined, dim=1), dim=1)
        parts.append(latent.cpu().numpy())
    return np.concatenate(parts) if parts else np.empty((0, encoder.shape.latent), np.float32)
