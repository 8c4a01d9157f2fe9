"""gLMs by name or folder: bundled ones, baselines, published checkpoints."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from llmbin_core import defaults
from llmbin_core.errors import EnvironmentFault
from llmbin_core.glm.base import Embedder
from llmbin_core.glm.identity import FORMAT, SPECTRA, read_config
from llmbin_core.glm.modelfolder import load_model
from llmbin_core.registry import GLM, find


def load_embedder(
    name_or_path: str | Path,
    device: torch.device | str | None = None,
    *,
    trust_remote_code: bool = False,
) -> Embedder:
    """An embedder by name (bundled or installed gLM, baseline ``tnf``, ``spectrum``) or from a
    folder.

    Parameters
    ----------
    name_or_path : str or Path
        A gLM folder, a folder with a published checkpoint of HyenaDNA or Caduceus, one that
        transformers can read, ``hf:OWNER/NAME`` for such a folder on the Hugging Face hub, or a
        name.
    device : torch.device, optional
        CPU when not given.
    trust_remote_code : bool
        Let transformers run Python code that comes with third-party weights.

    Raises
    ------
    InputError
        Unknown name; a folder without configuration; weights that are damaged, foreign or not those
        that the configuration names.
    EnvironmentFault
        A library or the network is missing.
    """
    device = torch.device(device or "cpu")
    name = str(name_or_path)
    if name in SPECTRA:
        from llmbin_core.glm.spectra import SpectrumEmbedder

        return SpectrumEmbedder(SPECTRA[name], name)
    path = _download(name) if name.startswith(defaults.HUB_PREFIX) else find(name, GLM)
    config = read_config(path)
    if config.get("format") != FORMAT:
        from llmbin_core.glm.pretrained import load_published

        return load_published(path, config, device, trust_remote_code)
    model, digest = load_model(path)
    return as_embedder(model, str(config.get("name", path.name)), digest, device)


def _download(name: str) -> Path:
    """Fetch a model folder from the Hugging Face hub into its own cache."""
    try:
        client = import_module("huggingface_hub")
    except ImportError:
        raise EnvironmentFault(
            f"{name}: needs the library huggingface_hub; pip install 'llmbin[glm-hub]'"
        ) from None
    try:
        return Path(client.snapshot_download(name.removeprefix(defaults.HUB_PREFIX)))
    except (OSError, ValueError) as error:
        raise EnvironmentFault(
            f"{name}: cannot be fetched ({error}); check the name and the network, or give a folder"
        ) from None


def as_embedder(model: nn.Module, name: str, digest: str, device: torch.device) -> Embedder:
    """Wrap a model of this package as an embedder."""
    from llmbin_core.glm.compact import CompactEmbedder, CompactNet

    if isinstance(model, CompactNet):
        return CompactEmbedder(model, name, digest, device)
    from llmbin_core.glm.characters import CharacterModel
    from llmbin_core.glm.windows import WindowEmbedder

    if not isinstance(model, CharacterModel):
        raise TypeError(f"{type(model).__name__} does not embed")
    return WindowEmbedder(model, name, digest, device)
