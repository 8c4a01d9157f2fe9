"""Training of the binning encoder on the views of one or several samples."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
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
from llmbin_core.encoder.batches import Batch, batches, halves_of
from llmbin_core.encoder.checkpoint import CheckpointFile
from llmbin_core.encoder.features import Sample
from llmbin_core.encoder.loss import info_nce, pair_loss, top1_share
from llmbin_core.encoder.network import BinningEncoder, NetworkShape
from llmbin_core.errors import InputError, UsageError
from llmbin_core.files import write_text
from llmbin_core.precision import autocast
from llmbin_core.wording import counted

log = logging.getLogger("llmbin")

# Assemblies with an N50 above this are trained with the sharper temperature (METHOD of the field:
# long contigs have views that are easy to tell apart).
_LONG_N50 = 10_000
_SHARP, _SOFT = 0.07, 0.15
# Early stop: this share of anchors right, in this many epochs, after this epoch.
_CHECKPOINT_EPOCHS = 5
# Part of the squared length of a latent that is the gLM embedding as it is.
EMBEDDING_SHARE = 1 / 3
# Contigs from which 16-bit floats pay, where the device is quick with them. Small samples take
# seconds and give the same on any machine's processor, but for the last digits.
_SHORT_FLOATS_FROM = 5000
_TOP1_ENOUGH, _TOP1_EPOCHS, _FLAT_EPOCHS = 0.99, 3, 10

OBJECTIVES = ("views", "pairs")


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; validates itself.

    Attributes
    ----------
    objective : str
        ``views``: multi-view InfoNCE. ``pairs``: the two halves of a contig must link, random
        pairs of contigs cannot.
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

    objective: str = "views"
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
        if self.objective not in OBJECTIVES:
            raise UsageError(f"objective '{self.objective}': use one of {', '.join(OBJECTIVES)}")
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


def _precision(samples: Sequence[Sample]) -> str:
    """See `_SHORT_FLOATS_FROM`."""
    many = sum(len(sample.contigs) for sample in samples) >= _SHORT_FLOATS_FROM
    return "auto" if many else "fp32"


def make_plan(
    samples: Sequence[Sample], options: Mapping[str, Any]
) -> tuple[NetworkShape, TrainingOptions]:
    """Sort the options of a training run into network and training, for these samples.

    Raises
    ------
    InputError
        The samples differ in their features, or have too few views to contrast.
    UsageError
        An unknown option, or one out of range.
    """
    first = samples[0]
    for other in samples[1:]:
        _check_alike(first, other)
    inputs = {name: values.shape[2] for name, values in first.features.items()}
    of_network = {f.name for f in fields(NetworkShape)} - {"inputs"}
    shape = {k: v for k, v in options.items() if k in of_network}
    training = {k: v for k, v in options.items() if k not in of_network}
    try:
        plan = NetworkShape(inputs, **shape), TrainingOptions(**training)
    except TypeError as error:
        raise UsageError(str(error)) from None
    _check_views(first.n_views, plan[1].objective)
    return plan


def _check_views(n_views: int, objective: str) -> None:
    needed, why = {
        "views": (2, "training contrasts the whole contig with its fragments"),
        "pairs": (3, "--objective pairs takes two fragments for the halves of a contig"),
    }[objective]
    if n_views < needed:
        raise InputError(
            f"the features have {counted(n_views, 'view')}, and {why}; make them with --views "
            f"{needed} or more"
        )


def _check_alike(one: Sample, other: Sample) -> None:
    """Refuse to train one model on samples whose features mean different things."""
    first, second = (
        ", ".join(f"{name} {values.shape[2]}" for name, values in sorted(s.features.items()))
        for s in (one, other)
    )
    if first != second:
        raise InputError(
            f"the samples have different features ({first}; {second}); make them with the same "
            "gLM and the same number of alignments"
        )
    if one.embedder and other.embedder and one.embedder.digest != other.embedder.digest:
        raise InputError(
            f"the embeddings of the samples come from different gLMs ({one.embedder.name}, "
            f"{other.embedder.name}, or other weights); embed all samples with the same one"
        )
    if len(one.alignments) > 1 and one.alignments != other.alignments:
        raise InputError(
            f"the samples have coverage over different alignments ({', '.join(one.alignments)}; "
            f"{', '.join(other.alignments)}); with more than one alignment a model serves one set "
            "of them: train on samples with the same ones, or with one alignment each"
        )


def train_encoder(
    samples: Sequence[Sample],
    shape: NetworkShape,
    options: TrainingOptions,
    device: torch.device,
    checkpoint: Path | None = None,
    init: Mapping[str, Tensor] | None = None,
) -> tuple[BinningEncoder, list[EpochLog]]:
    """Train an encoder.

    The negatives of a batch come from one sample; samples alternate in proportion to their contigs.
    Where samples have `species`, those decide which contigs are negatives of each other.

    Parameters
    ----------
    samples : sequence of Sample
    shape : NetworkShape
    options : TrainingOptions
    device : torch.device
    checkpoint : Path, optional
        Written every few epochs; one of the same run is continued, with the same result.
    init : mapping, optional
        Weights to begin with.

    Returns
    -------
    encoder : BinningEncoder
        In evaluation mode.
    curve : list of EpochLog
    """
    torch.manual_seed(options.seed)
    encoder = BinningEncoder(shape).to(device)
    encoder.load_state_dict(init or encoder.state_dict())
    optimizer = torch.optim.AdamW(
        encoder.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    temperature, precision = choose_temperature(samples, options), _precision(samples)
    halves = [halves_of(sample) for sample in samples] if options.objective == "pairs" else None
    curve: list[EpochLog] = []
    state = CheckpointFile(checkpoint, samples, shape, options, init) if checkpoint else None
    if state:
        curve = [EpochLog(int(row[0]), *row[1:]) for row in state.restore(encoder, optimizer)]
    with progress.task("training", options.epochs, "epochs") as task:
        task.advance(len(curve))
        for epoch in range(len(curve), options.epochs):
            if _converged(curve):
                log.info("training converged after %d epochs", epoch)
                break
            rate = _begin_epoch(encoder, optimizer, options, epoch)
            steps = [
                _step(encoder, optimizer, batch, temperature, options, device, precision)
                for batch in batches(samples, options, epoch, halves)
            ]
            loss, top1 = np.mean(steps, axis=0).tolist() if steps else (0.0, 0.0)
            curve.append(EpochLog(epoch + 1, loss, top1, rate))
            log.debug("epoch %d: loss %.4f, top-1 %.4f", *curve[-1][:3])
            task.advance()
            if state and (epoch + 1) % _CHECKPOINT_EPOCHS == 0:
                state.save(encoder, optimizer, curve)
    return encoder.eval(), curve


def write_curve(path: Path, curves: Mapping[str, Sequence[EpochLog]]) -> None:
    """Write training curves as TSV.

    Parameters
    ----------
    path : Path
    curves : mapping
        Sample -> curve; a single one named ``""`` has no column for the sample.
    """
    named = list(curves) != [""]
    rows = ["epoch\tloss\ttop1\tlearning_rate" + ("\tsample" if named else "")]
    for sample, curve in curves.items():
        for e in curve:
            row = f"{e.epoch}\t{e.loss:.6f}\t{e.top1:.4f}\t{e.learning_rate:.6g}"
            rows.append(f"{row}\t{sample}" if named else row)
    write_text(path, "\n".join(rows) + "\n")


def _begin_epoch(
    encoder: BinningEncoder,
    optimizer: torch.optim.Optimizer,
    options: TrainingOptions,
    epoch: int,
) -> float:
    """Set the learning rate and the random numbers of an epoch; returns the rate."""
    rate = _learning_rate(epoch, options)
    for group in optimizer.param_groups:
        group["lr"] = rate
    # Seeding each epoch makes a resumed run equal to an uninterrupted one.
    torch.manual_seed(options.seed * 1_000_003 + epoch + 1)
    encoder.train()
    return rate


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


def _step(
    encoder: BinningEncoder,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    temperature: float,
    options: TrainingOptions,
    device: torch.device,
    precision: str,
) -> tuple[float, float]:
    features = {
        name: torch.from_numpy(values).to(device) for name, values in batch.features.items()
    }
    species = None if batch.species is None else torch.from_numpy(batch.species).to(device)

    def contrast(z: Tensor) -> Tensor:
        if options.objective == "pairs":
            return pair_loss(z, species)
        return info_nce(z, batch.n_views, temperature, species=species)

    with autocast(device, precision):
        latent, branches = encoder(features)
        loss = contrast(latent)
        weights = {"coverage": options.coverage_weight, "embedding": options.embedding_weight}
        for name, branch in branches.items():
            if weights[name]:
                loss = loss + weights[name] * contrast(branch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach()), top1_share(latent, batch.n_views)


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
