"""What is in the files of a model, by a look at their form; no weights are read."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from llmbin_core import outputs
from llmbin_core.errors import InputError
from llmbin_core.files import open_input, sha256_of
from llmbin_core.registry.entries import ENCODER, GLM

_CONFIG = "config.json"
_GLM_FORMAT = "llmbin-glm"
_KEY, _SCHEMA = "llmbin", "encoder"
_MOST_HEADER_BYTES = 100 << 20


def inspect(folder: Path) -> str:
    """The kind of model in a folder, after a look at the form of its files.

    Raises
    ------
    InputError
        No model, or one whose weights are cut short or are not those of its configuration.
    """
    for path in sorted(folder.glob("*.safetensors")):
        _header(path)
    weights = folder / outputs.MODEL
    if (folder / _CONFIG).is_file():
        try:
            config = json.loads((folder / _CONFIG).read_bytes())
        except ValueError as error:
            raise InputError(f"{_CONFIG}: is not JSON ({error}); not a gLM folder") from None
        if not isinstance(config, dict):
            raise InputError(f"{_CONFIG}: is not a JSON object; not a gLM folder")
        if config.get("format") == _GLM_FORMAT:
            open_input(weights).close()
            if sha256_of(weights) != config.get("sha256"):
                raise InputError(
                    f"{outputs.MODEL}: not the weights that {_CONFIG} names; fetch the gLM again"
                )
        return GLM
    if weights.is_file() and encoder_card(weights):
        return ENCODER
    raise InputError(
        "not a model: neither a gLM folder (config.json and weights) nor an encoder that "
        "llmbin-train wrote"
    )


def encoder_card(path: Path) -> dict[str, Any]:
    """What the file of an encoder says of itself, of whatever version; nothing where it is none.

    Raises
    ------
    InputError
        Not a safetensors file, or one that is cut short.
    """
    header = _header(path)
    try:
        card = json.loads(header["__metadata__"][_KEY])
    except (KeyError, TypeError, ValueError):
        return {}
    return card if isinstance(card, dict) and card.get("schema") == _SCHEMA else {}


def _header(path: Path) -> dict[str, Any]:
    """The description at the beginning of a safetensors file, checked against its length."""
    fault = InputError(f"{path.name}: not a safetensors file, or cut short; fetch it again")
    size = path.stat().st_size
    with open_input(path) as handle:
        head = handle.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
        if length > min(size - 8, _MOST_HEADER_BYTES):
            raise fault
        text = handle.read(length)
    try:
        header = json.loads(text)
        ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
        if 8 + length + max(ends, default=0) != size:
            raise fault
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise fault from None
    return dict(header)
