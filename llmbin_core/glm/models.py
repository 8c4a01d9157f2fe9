"""The architectures by name, and their configurations as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from torch import nn

from llmbin_core.errors import InputError

ARCHITECTURES = ("compact", "hyena", "caduceus")

# Shapes of the bundled model and of published ones: Nguyen et al. 2023 (table A.1, and the
# checkpoints LongSafari/hyenadna-*), Schiff et al. 2024, and the gLMs of the LLMBin paper.
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "compact": ("compact", {}),
    "hyenadna-tiny-1k": ("hyena", {"width": 128, "layers": 2, "inner": 512, "max_length": 1026}),
    "hyenadna-small-32k": ("hyena", {"width": 256, "layers": 4, "inner": 1024}),
    # Of this one only the width is published; the rest is that of hyenadna-small-32k.
    "gtdb-hyenadna": ("hyena", {"width": 256, "layers": 4, "inner": 1024}),
    "caduceus-ps-4": ("caduceus", {"width": 256, "layers": 4}),
    "caduceus-ps-8": ("caduceus", {"width": 256, "layers": 8}),
    "caduceus-ps-16": ("caduceus", {"width": 256, "layers": 16, "max_length": 131072}),
    "gtdb-caduceus": ("caduceus", {"width": 256, "layers": 8, "max_length": 32768}),
}


def preset(name: str) -> tuple[str, dict[str, Any]]:
    """Architecture and settings of a published size.

    Raises
    ------
    InputError
        Unknown name.
    """
    if name not in PRESETS:
        raise InputError(f"preset '{name}': use one of {', '.join(PRESETS)}")
    architecture, settings = PRESETS[name]
    return architecture, dict(settings)


def build(architecture: str, settings: Mapping[str, Any]) -> nn.Module:
    """A model with untrained weights.

    Parameters
    ----------
    architecture : str
        One of ARCHITECTURES.
    settings : mapping
        Fields of its configuration; those left out take their defaults.

    Raises
    ------
    InputError
        Unknown architecture or field, or values that contradict each other.
    """
    config_class, model_class = _classes(architecture)
    known = {f.name for f in fields(config_class)}
    strange = sorted(set(settings) - known)
    if strange:
        raise InputError(
            f"architecture {architecture}: unknown setting '{strange[0]}'; "
            f"it has {', '.join(sorted(known))}"
        )
    try:
        model: nn.Module = model_class(config_class(**settings))
    except (TypeError, ValueError) as error:
        raise InputError(f"architecture {architecture}: {error}") from None
    return model


def describe(model: nn.Module) -> tuple[str, dict[str, Any]]:
    """Architecture and settings of a model, such that `build` makes its like."""
    for name in ARCHITECTURES:
        if isinstance(model, _classes(name)[1]):
            return name, asdict(model.config)
    raise TypeError(f"{type(model).__name__} is none of {', '.join(ARCHITECTURES)}")


def _classes(architecture: str) -> tuple[Any, Any]:
    if architecture == "compact":
        from llmbin_core.glm.compact import CompactConfig, CompactNet

        return CompactConfig, CompactNet
    if architecture == "hyena":
        from llmbin_core.glm.hyena import HyenaConfig, HyenaModel

        return HyenaConfig, HyenaModel
    if architecture == "caduceus":
        from llmbin_core.glm.caduceus import CaduceusConfig, CaduceusModel

        return CaduceusConfig, CaduceusModel
    raise InputError(f"gLM architecture '{architecture}': use one of {', '.join(ARCHITECTURES)}")
