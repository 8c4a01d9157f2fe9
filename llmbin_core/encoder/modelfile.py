"""The model file: the weights of a binning encoder and what it was made from and for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from llmbin_core import __version__
from llmbin_core.encoder.features import FEATURES_VERSION, Sample
from llmbin_core.encoder.modelcard import KEY, SCHEMA, SCHEMA_VERSION, Card, kind_of, read_card
from llmbin_core.encoder.network import BinningEncoder, NetworkShape
from llmbin_core.encoder.train import EpochLog, TrainingOptions, choose_temperature
from llmbin_core.errors import InputError
from llmbin_core.files import atomic_path


def save_model(
    path: Path,
    encoder: BinningEncoder,
    samples: Sequence[Sample],
    options: TrainingOptions,
    curve: Sequence[EpochLog],
    *,
    half: bool = False,
    init: Card | None = None,
) -> None:
    """Write a model file atomically.

    Parameters
    ----------
    path : Path
    encoder : BinningEncoder
    samples : sequence of Sample
        What it was trained on; at least one.
    options : TrainingOptions
    curve : sequence of EpochLog
    half : bool
        Store weights in 16 bits: half the size; latents change by rounding.
    init : dict, optional
        Card of the model that the training began with.
    """
    first, views = samples[0], options.objective == "views"
    card: Card = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "llmbin_version": __version__,
        "kind": kind_of(first),
        "features_version": FEATURES_VERSION,
        "shape": asdict(encoder.shape),
        "embedder": first.embedder._asdict() if first.embedder else None,
        "alignments": list(first.alignments) if len(first.alignments) > 1 else None,
        "depths": len(first.alignments),
        "trained_on": [_summary(sample) for sample in samples],
        "init": init["digest"] if init else None,
        "options": asdict(options),
        "temperature": choose_temperature(samples, options) if views else None,
        "half": half,
        "epochs_run": len(curve),
        "first_loss": curve[0].loss,
        "final_loss": curve[-1].loss,
        "final_top1": curve[-1].top1,
    }
    weights = {name: tensor.cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    if half:
        weights = {n: t.half() if t.is_floating_point() else t for n, t in weights.items()}
    payload = save(weights, metadata={KEY: json.dumps(card, sort_keys=True)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(payload)


def _summary(sample: Sample) -> Card:
    labelled = None if sample.species is None else int((sample.species >= 0).sum())
    return {
        # Contigs of one sample do not name it; the reads that were mapped to them do.
        "name": sample.name or ", ".join(sample.alignments),
        "contigs": len(sample.contigs),
        "bp": int(sample.contigs.lengths.sum()),
        "digest": sample.contigs.digest,
        "alignments": list(sample.alignments),
        "with_species": labelled,
    }


def load_model(path: Path, device: torch.device) -> tuple[BinningEncoder, Card]:
    """Read a model file.

    Returns
    -------
    encoder : BinningEncoder
        In evaluation mode.
    card : dict
        What the file says of itself, with the digest of its weights.

    Raises
    ------
    InputError
        Not a model file, or a damaged one.
    """
    card = read_card(path)
    with safe_open(path, framework="pt", device=str(device)) as handle:
        weights = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    encoder = BinningEncoder(NetworkShape(**card["shape"])).to(device)
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{path}: its weights do not fit its own card ({error})") from None
    card["digest"] = _digest(weights)
    return encoder.eval(), card


def _digest(weights: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
