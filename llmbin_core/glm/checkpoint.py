"""Training state on disk: weights, optimizer, step and options, without pickle.

The random numbers of a step depend on (seed, rank, step) alone, so the step is all the random state
there is: a run that was killed and resumed gives the same weights as one that was not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from llmbin_core.errors import InputError
from llmbin_core.files import atomic_folder, open_input
from llmbin_core.glm import modelfolder, models

_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class TrainingState:
    """What `load` brings back besides weights and optimizer.

    Attributes
    ----------
    step : int
        Steps done.
    options : dict
        Those of the run that was interrupted.
    """

    step: int
    options: dict[str, Any]


def save(
    path: Path, model: nn.Module, optimizer: torch.optim.AdamW, step: int, options: dict[str, Any]
) -> None:
    """Write a checkpoint folder, replacing the one before as a whole."""
    architecture, settings = models.describe(model)
    state = {"step": step, "options": options, "architecture": architecture, "settings": settings}
    moments: dict[str, Tensor] = {}
    for number, entry in optimizer.state_dict()["state"].items():
        moments |= {f"{number}.{key}": entry[key].contiguous() for key in (*_MOMENTS, "step")}
    with atomic_folder(path) as folder:
        weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
        save_file(weights, folder / "model.safetensors")
        save_file(moments, folder / "optimizer.safetensors")
        (folder / "state.json").write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")


def load(path: Path, model: nn.Module, optimizer: torch.optim.AdamW) -> TrainingState:
    """Fill model and optimizer from a checkpoint.

    Raises
    ------
    InputError
        Damaged, or of another architecture or shape.
    """
    try:
        with open_input(path / "state.json") as handle:
            state = json.loads(handle.read())
        weights = load_file(path / "model.safetensors")
        moments = load_file(path / "optimizer.safetensors")
    except (json.JSONDecodeError, SafetensorError, FileNotFoundError) as error:
        raise InputError(f"{path}: damaged checkpoint ({error}); remove it to start anew") from None
    if (state["architecture"], state["settings"]) != models.describe(model):
        raise InputError(
            f"{path}: is a checkpoint of another model ({state['architecture']} "
            f"{state['settings']}); give the same options or another output folder"
        )
    modelfolder.fill(model, weights, path / "model.safetensors")
    entries: dict[int, dict[str, Tensor]] = {}
    for name, tensor in moments.items():
        number, _, key = name.partition(".")
        entries.setdefault(int(number), {})[key] = tensor
    document = optimizer.state_dict()
    document["state"] = entries
    optimizer.load_state_dict(document)
    return TrainingState(int(state["step"]), state["options"])
