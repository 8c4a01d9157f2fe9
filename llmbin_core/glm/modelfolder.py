"""Model folders: saving, checking and loading the weights of gLMs.

A gLM folder holds ``config.json`` (format, name, architecture, settings, sha256 of the weights),
``model.safetensors`` and a model card ``README.md``. Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from llmbin_core.errors import InputError
from llmbin_core.files import atomic_folder, open_input
from llmbin_core.glm import models
from llmbin_core.glm.identity import CONFIG, FORMAT, digest_of, read_config

VERSION = 1
WEIGHTS, CARD = "model.safetensors", "README.md"


def load_model(path: Path) -> tuple[nn.Module, str]:
    """The model in a gLM folder and the digest of its configuration and weights.

    Raises
    ------
    InputError
        See `load_embedder`.
    """
    config = read_config(path)
    if config.get("format") != FORMAT:
        raise InputError(f"{path}: config.json is not that of a gLM written by llmbin-pretrain")
    if config["version"] > VERSION:
        raise InputError(
            f"{path}: gLM format {config['version']}, this program reads up to {VERSION}; "
            "use a newer version of LLMBin"
        )
    with open_input(path / WEIGHTS) as handle:
        blob = handle.read()
    found = hashlib.sha256(blob).hexdigest()
    if found != config["sha256"]:
        raise InputError(
            f"{path / WEIGHTS}: sha256 is {found}, config.json expects {config['sha256']}; "
            "the file was cut short or replaced, fetch the gLM again"
        )
    model = models.build(config["architecture"], config["settings"])
    fill(model, parse_weights(blob, path / WEIGHTS), path / WEIGHTS)
    return model, digest_of(config, found)


def save_model(model: nn.Module, path: Path, *, name: str, card: str, half: bool = False) -> str:
    """Write a gLM folder, replacing it as a whole.

    Parameters
    ----------
    model : nn.Module
        One of `models.ARCHITECTURES`.
    path : Path
    name : str
        Name of the gLM.
    card : str
        Text of its README.md.
    half : bool
        Store floating-point weights in 16 bits.

    Returns
    -------
    str
        sha256 of the weights file.
    """
    architecture, settings = models.describe(model)
    # Cloned, because safetensors refuses parameters that share memory.
    tensors = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}
    if half:
        tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    blob = save_tensors(tensors)
    config = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "architecture": architecture,
        "settings": settings,
        "sha256": hashlib.sha256(blob).hexdigest(),
    }
    with atomic_folder(path) as folder:
        (folder / WEIGHTS).write_bytes(blob)
        (folder / CARD).write_text(card, encoding="utf-8")
        (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return str(config["sha256"])


def parse_weights(blob: bytes, path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file that was read."""
    try:
        tensors: dict[str, Tensor] = load_tensors(blob)
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error}); fetch the gLM again") from None
    return tensors


def fill(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put weights into a model; names and shapes must be exactly those of the model.

    Raises
    ------
    InputError
        Names the first parameter that is missing, superfluous or of another shape.
    """
    wanted = model.state_dict()
    for name, tensor in wanted.items():
        if name not in tensors:
            raise InputError(
                f"{path}: lacks the parameter '{name}'; not weights of this architecture"
            )
        if tensors[name].shape != tensor.shape:
            raise InputError(
                f"{path}: '{name}' has shape {list(tensors[name].shape)}, "
                f"the configuration asks for {list(tensor.shape)}"
            )
        if not torch.isfinite(tensors[name].float()).all():
            raise InputError(f"{path}: '{name}' holds values that are not finite numbers")
    strange = sorted(set(tensors) - set(wanted))
    if strange:
        raise InputError(f"{path}: has an unknown parameter '{strange[0]}'")
    model.load_state_dict({k: tensors[k].to(v.dtype) for k, v in wanted.items()})
