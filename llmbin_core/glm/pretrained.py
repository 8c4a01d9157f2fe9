"""Published checkpoints: HyenaDNA and Caduceus by their parameter names, others by transformers."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llmbin_core.errors import EnvironmentFault, InputError
from llmbin_core.files import fingerprint
from llmbin_core.glm import modelfolder
from llmbin_core.glm.alphabet import decode
from llmbin_core.glm.base import Codes, Embedder, Floats
from llmbin_core.glm.caduceus import CaduceusConfig, CaduceusModel
from llmbin_core.glm.characters import CharacterModel
from llmbin_core.glm.hyena import HyenaConfig, HyenaModel
from llmbin_core.glm.windows import BLOCK, VectorEmbedder, WindowEmbedder

# Weight files by preference; all but the first are read with ``weights_only=True``.
_FILES = ("model.safetensors", "pytorch_model.bin", "*.ckpt", "*.pt", "*.bin")
_PREFIXES = ("model.", "hyena.", "caduceus.", "module.")
_TOKEN_WINDOW = 1024

_HYENA = (
    (r"backbone\.embeddings\.word_embeddings\.weight", "embedding.weight"),
    (r"backbone\.layers\.(\d+)\.norm([12])\.(\w+)", r"blocks.\1.norm\2.\3"),
    (r"backbone\.layers\.(\d+)\.mlp\.(fc[12])\.(\w+)", r"blocks.\1.\2.\3"),
    (r"backbone\.layers\.(\d+)\.mixer\.(in_proj|out_proj)\.(\w+)", r"blocks.\1.mixer.\2.\3"),
    (r"backbone\.layers\.(\d+)\.mixer\.short_filter\.(\w+)", r"blocks.\1.mixer.short.\2"),
    (r"backbone\.layers\.(\d+)\.mixer\.filter_fn\.bias", r"blocks.\1.mixer.skip"),
    (r"backbone\.layers\.(\d+)\.mixer\.filter_fn\.pos_emb\.z", r"blocks.\1.mixer.filter.positions"),
    (r"backbone\.layers\.(\d+)\.mixer\.filter_fn\.pos_emb\.t", r"blocks.\1.mixer.filter.times"),
    (r"backbone\.layers\.(\d+)\.mixer\.filter_fn\.modulation\.deltas",
     r"blocks.\1.mixer.filter.decay"),
    (r"backbone\.layers\.(\d+)\.mixer\.filter_fn\.implicit_filter\.\d+\.freq",
     r"blocks.\1.mixer.filter.frequency"),
    (r"backbone\.ln_f\.(\w+)", r"norm.\1"),
    (r"lm_head\.weight", "embedding.weight"),
)  # fmt: skip
_HYENA_FILTER = re.compile(
    r"backbone\.layers\.(\d+)\.mixer\.filter_fn\.implicit_filter\.(\d+)\.(weight|bias)"
)

_CADUCEUS = (
    (r"backbone\.embeddings\.word_embeddings\.embedding\.weight", "embedding.weight"),
    (r"backbone\.layers\.(\d+)\.mixer\.submodule\.mamba_fwd\.(.+)", r"mixers.\1.forward_mixer.\2"),
    (r"backbone\.layers\.(\d+)\.mixer\.submodule\.mamba_rev\.(.+)", r"mixers.\1.backward_mixer.\2"),
    (r"backbone\.layers\.(\d+)\.norm\.(?:submodule\.)?weight", r"norms.\1.weight"),
    (r"lm_head\.lm_head\.weight", "embedding.weight"),
)


def load_published(
    path: Path, config: Mapping[str, Any], device: torch.device, trust_remote_code: bool
) -> Embedder:
    """An embedder from a folder with a published checkpoint.

    Parameters
    ----------
    path : Path
        Folder with ``config.json`` and weights.
    config : mapping
        Its configuration.
    device : torch.device
    trust_remote_code : bool
        See `hub.load_embedder`.

    Raises
    ------
    InputError
        Weights that are missing, damaged or not of the kind the configuration says.
    EnvironmentFault
        transformers is needed but not installed.
    """
    kind = str(config.get("model_type", ""))
    if kind.startswith("hyena"):
        model: CharacterModel = load_hyena(path, config)
    elif kind == "caduceus":
        model = load_caduceus(path, config)
    else:
        return _transformers_embedder(path, config, device, trust_remote_code)
    return WindowEmbedder(model, path.name, fingerprint(_weight_file(path)), device)


def load_hyena(path: Path, config: Mapping[str, Any]) -> HyenaModel:
    """A HyenaDNA checkpoint as published for transformers (or by the authors' training code)."""
    if config.get("hyena_order", 2) != 2:
        raise InputError(
            f"{path}: Hyena operators of order {config['hyena_order']}; only 2 is known"
        )
    shape = HyenaConfig(
        width=config["d_model"],
        layers=config["n_layer"],
        inner=config["d_inner"],
        max_length=config["max_seq_len"],
        filter_width=config.get("filter_order", 64),
        filter_features=config.get("emb_dim", 5),
        filter_layers=config.get("num_inner_mlps", 2),
        sine_frequency=float(config.get("activation_freq", 1)),
        short_kernel=config.get("short_filter_order", 3),
    )
    model = HyenaModel(shape)
    source = _weight_file(path)
    tensors: dict[str, Tensor] = {}
    last = 2 * (shape.filter_layers + 1)
    for name, tensor in _read(source).items():
        match = _HYENA_FILTER.fullmatch(name)
        if match:
            layer, place = match[1], int(match[2])
            inner = "last" if place == last else f"inner.{place // 2}"
            target = f"blocks.{layer}.mixer.filter.{inner}.{match[3]}"
        else:
            target = _rename(name, _HYENA, source)
        wanted = model.state_dict().get(target)
        if wanted is None:
            raise InputError(f"{source}: has an unknown parameter '{name}'")
        if target.endswith("decay"):
            tensor = tensor.abs()
        _put(tensors, target, tensor.reshape(wanted.shape) if _fits(tensor, wanted) else tensor,
             name, source)  # fmt: skip
    modelfolder.fill(model, tensors, source)
    return model


def load_caduceus(path: Path, config: Mapping[str, Any]) -> CaduceusModel:
    """A Caduceus-PS checkpoint as published for transformers."""
    if not config.get("rcps") or not config.get("rms_norm", True):
        raise InputError(f"{path}: only the PS variant of Caduceus (rcps, rms_norm) is known")
    if config.get("bidirectional_strategy", "add") != "add":
        raise InputError(f"{path}: directions are joined by something other than 'add'")
    cells = config.get("ssm_cfg") or {}
    shape = CaduceusConfig(
        width=config["d_model"],
        layers=config["n_layer"],
        state=cells.get("d_state", 16),
        kernel=cells.get("d_conv", 4),
        expand=cells.get("expand", 2),
        epsilon=float(config.get("norm_epsilon", 1e-5)),
        crossed=bool(config.get("fused_add_norm", True)),
    )
    model = CaduceusModel(shape)
    source = _weight_file(path)
    last = (r"backbone\.norm_f\.(?:submodule\.)?weight", f"norms.{shape.layers}.weight")
    tensors: dict[str, Tensor] = {}
    for name, tensor in _read(source).items():
        if name.endswith("complement_map"):
            continue
        _put(tensors, _rename(name, (*_CADUCEUS, last), source), tensor, name, source)
    # Shared projections are stored once.
    for name in model.state_dict():
        twin = name.replace("backward_mixer", "forward_mixer")
        if name not in tensors and twin in tensors and ("in_proj" in name or "out_proj" in name):
            tensors[name] = tensors[twin]
    modelfolder.fill(model, tensors, source)
    return model


def _weight_file(path: Path) -> Path:
    for pattern in _FILES:
        found = sorted(path.glob(pattern))
        if found:
            return found[0]
    raise InputError(f"{path}: holds no weights ({', '.join(_FILES)})")


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of a weight file, names without the prefixes of wrappers."""
    if path.suffix == ".safetensors":
        tensors = modelfolder.parse_weights(path.read_bytes(), path)
    else:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"{path}: not a file of plain tensors ({first}); convert it to safetensors"
            ) from None
        content = content.get("state_dict", content) if isinstance(content, dict) else {}
        tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)}
    return {_bare(name): tensor for name, tensor in tensors.items()}


def _bare(name: str) -> str:
    for prefix in _PREFIXES * 2:
        name = name.removeprefix(prefix)
    return name


def _rename(name: str, rules: tuple[tuple[str, str], ...], source: Path) -> str:
    for pattern, target in rules:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(target)
    raise InputError(
        f"{source}: has an unknown parameter '{name}'; not of the kind config.json says"
    )


def _fits(tensor: Tensor, wanted: Tensor) -> bool:
    """Whether the shapes differ by axes of length one only."""
    return [n for n in tensor.shape if n > 1] == [n for n in wanted.shape if n > 1]


def _put(tensors: dict[str, Tensor], target: str, tensor: Tensor, name: str, source: Path) -> None:
    """Keep a tensor; one that is stored twice (tied weights) must be the same both times."""
    if target in tensors and not torch.equal(tensors[target], tensor):
        raise InputError(f"{source}: '{name}' is tied to '{target}' but differs from it")
    tensors[target] = tensor


def _transformers_embedder(
    path: Path, config: Mapping[str, Any], device: torch.device, trust_remote_code: bool
) -> Embedder:
    """DNABERT-2, DNABERT-S, Nucleotide Transformer and the like: mean of the last hidden states."""
    try:
        transformers = import_module("transformers")
    except ImportError:
        raise EnvironmentFault(
            f"{path}: needs the library transformers; pip install 'llmbin[glm-hub]'"
        ) from None
    if config.get("auto_map") and not trust_remote_code:
        raise InputError(
            f"{path}: comes with Python code of its own; give --trust-remote-code if you trust it"
        )
    options = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(path), **options)
        model = transformers.AutoModel.from_pretrained(str(path), **options).eval().to(device)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: transformers cannot load it: {error}") from None
    dim = int(config.get("hidden_size") or config["d_model"])

    @torch.inference_mode()
    def encode(windows: list[Codes]) -> Floats:
        rows = []
        for window in windows:
            tokens = tokenizer(decode(window).decode(), return_tensors="pt").to(device)
            hidden = model(**tokens)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden.last_hidden_state
            rows.append(hidden[0].float().mean(0).cpu().numpy())
        return np.stack(rows).astype(np.float32)

    digest = hashlib.sha256(fingerprint(_weight_file(path)).encode()).hexdigest()
    window = _TOKEN_WINDOW // BLOCK * BLOCK
    return VectorEmbedder(encode, path.name, f"sha256:{digest}", dim, window)
