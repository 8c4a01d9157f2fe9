"""Binning encoders by name: those that come with the program.

A bundled encoder is a folder in ``data`` with the model file and its card (README.md); it was made
by the recipe beside it.
"""

from __future__ import annotations

from pathlib import Path

from llmbin_core import outputs
from llmbin_core.errors import InputError


def bundled_encoders() -> dict[str, Path]:
    """Folders of the encoders that come with the program, by name."""
    root = Path(__file__).parent / "data"
    return {p.parent.name: p.parent for p in sorted(root.glob(f"*/{outputs.MODEL}"))}


def model_path(name_or_path: str | Path) -> Path:
    """Where the model is that a name or a path stands for; a path need not exist."""
    folder = bundled_encoders().get(str(name_or_path))
    return folder / outputs.MODEL if folder else Path(name_or_path)


def resolve_model(name_or_path: str | Path) -> Path:
    """The model file, or folder of model files, that a name or a path stands for.

    Raises
    ------
    InputError
        Neither a known name nor an existing path.
    """
    path = model_path(name_or_path)
    if not path.exists():
        raise InputError(
            f"model '{name_or_path}': no such file, and no encoder that comes with LLMBin "
            f"({', '.join(bundled_encoders()) or 'none'}); give one of these names or a file of "
            "llmbin-train"
        )
    return path
