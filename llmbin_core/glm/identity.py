"""What tells gLMs apart, from the configuration alone: no weights are read, nor is torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llmbin_core import defaults
from llmbin_core.errors import InputError
from llmbin_core.registry import GLM, find

FORMAT = "llmbin-glm"
CONFIG = "config.json"
# Lengths of the k-mers of the baselines.
SPECTRA = {"tnf": (4,), "spectrum": (4, 5, 6)}


class Identity(NamedTuple):
    """Name and digest that an embedder has."""

    name: str
    digest: str


def identify(name: str) -> Identity | None:
    """The name and digest that the embedder of a gLM will have.

    Parameters
    ----------
    name : str
        As `hub.load_embedder` takes it.

    Returns
    -------
    Identity or None
        None where only the weights tell: published checkpoints.

    Raises
    ------
    InputError
        Unknown name; a folder without configuration.
    """
    if name in SPECTRA:
        return Identity(name, digest_of_spectrum(SPECTRA[name]))
    if name.startswith(defaults.HUB_PREFIX):
        return None
    path = find(name, GLM)
    config = read_config(path)
    if config.get("format") != FORMAT:
        return None
    return Identity(str(config.get("name", path.name)), digest_of(config, str(config["sha256"])))


def digest_of(config: Mapping[str, Any], weights: str) -> str:
    """Digest of a gLM of ours.

    Parameters
    ----------
    config : mapping
        Of its folder.
    weights : str
        sha256 of the weights.
    """
    settings = json.dumps(config["settings"], sort_keys=True)
    text = f"{config['architecture']} {settings} {weights}"
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def digest_of_spectrum(lengths: tuple[int, ...]) -> str:
    """Digest of a baseline: it has no weights."""
    return f"sha256:{hashlib.sha256(f'spectrum {lengths}'.encode()).hexdigest()}"


def read_config(path: Path) -> dict[str, Any]:
    """The configuration in a model folder.

    Raises
    ------
    InputError
        There is none, or it is not a JSON object.
    """
    if not (path / CONFIG).is_file():
        raise InputError(
            f"{path}: has no {CONFIG}; give a gLM folder (config.json, model.safetensors)"
        )
    try:
        config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        config = None
    if not isinstance(config, dict):
        raise InputError(f"{path / CONFIG}: is not a JSON object; fetch the gLM again")
    return config
