"""The model file: the weights of a binning encoder and what it was made from and for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from llmbin_core import __version__
from llmbin_core.encoder.features import Sample
from llmbin_core.encoder.network import BinningEncoder, NetworkShape
from llmbin_core.encoder.train import EpochLog, TrainingOptions
from llmbin_core.errors import InputError
from llmbin_core.files import atomic_path, compression_of

_KEY = "llmbin"
_SCHEMA, _SCHEMA_VERSION = "encoder", 1

Card = dict[str, Any]


def save_model(
    path: Path,
    encoder: BinningEncoder,
    samples: Sequence[Sample],
    options: TrainingOptions,
    curve: Sequence[EpochLog],
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
    """
    card: Card = {
        "schema": _SCHEMA,
        "schema_version": _SCHEMA_VERSION,
        "llmbin_version": __version__,
        "shape": asdict(encoder.shape),
        "embedder": samples[0].embedder,
        "depths": samples[0].depths,
        "trained_on": {s.contigs.digest: len(s.contigs) for s in samples},
        "options": asdict(options),
        "epochs_run": len(curve),
        "final_loss": curve[-1].loss,
        "final_top1": curve[-1].top1,
    }
    weights = {name: tensor.cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    payload = save(weights, metadata={_KEY: json.dumps(card, sort_keys=True)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(payload)


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
    compression_of(path)  # a missing or unreadable file is reported as such
    remedy = "give the output of llmbin-train"
    try:
        with safe_open(path, framework="pt", device=str(device)) as handle:
            text = (handle.metadata() or {}).get(_KEY)
            weights = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: not a model file, or cut short ({error}); {remedy}") from None
    card: Card = json.loads(text) if text else {}
    if card.get("schema") != _SCHEMA or card.get("schema_version", 0) > _SCHEMA_VERSION:
        raise InputError(f"{path}: not a model of this version of LLMBin; {remedy}")
    encoder = BinningEncoder(NetworkShape(**card["shape"])).to(device)
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"{path}: its weights do not fit its own card ({error})") from None
    card["digest"] = _digest(weights)
    return encoder.eval(), card


def check_fit(path: Path, card: Card, sample: Sample) -> None:
    """Refuse a model whose inputs are not those of a sample.

    Raises
    ------
    InputError
        Says which side to change.
    """
    expected = card["shape"]["inputs"]
    found = {name: values.shape[2] for name, values in sample.features.items()}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise InputError(
                f"{path}: the model needs {name}, which the features lack; add the {name} file"
            )
        if name not in expected:
            raise InputError(
                f"{path}: the model was trained without {name}; leave the {name} file out or "
                "train a model with it"
            )
    if expected.get("coverage") != found.get("coverage"):
        raise InputError(
            f"{path}: the model was trained with {card['depths']} coverage samples, the features "
            f"have {sample.depths}; use the same number of alignments or train a model on these"
        )
    if card["embedder"] != sample.embedder:
        raise InputError(
            f"{path}: the model was trained on embeddings of {card['embedder']}, the features come "
            f"from {sample.embedder}; embed with the gLM of the model or train a model on these"
        )


def _digest(weights: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
