"""From what a user writes for an encoder or a gLM to its path."""

from __future__ import annotations

from pathlib import Path

from llmbin_core import defaults, outputs
from llmbin_core.errors import InputError
from llmbin_core.registry.entries import GLM, Registry, is_name, parse
from llmbin_core.registry.store import Model, installed_model, installed_models

BUNDLED = Path(__file__).with_name("bundled.json")
_ROOT = Path(__file__).parents[1]


def bundled_registry() -> Registry:
    """What the program says of the models that come with it."""
    return parse(BUNDLED.read_bytes(), "bundled")


def bundled_models() -> dict[str, Model]:
    """The models that come with the program, by name."""
    models = {}
    for e in bundled_registry().models:
        folder = _ROOT / e.kind / "data" / e.name
        weights = {outputs.MODEL: e.sha256}
        models[e.name] = Model(
            e.name, e.kind, e.habitat, e.licence, e.card, "bundled", e.digest, folder, weights
        )
    return models


def known_models() -> dict[str, Model]:
    """Bundled and installed models by name; of one name, the bundled one."""
    return installed_models() | bundled_models()


def known_model(name: str) -> Model | None:
    """A bundled or installed model by name; a fault of another one is none of this one's.

    Raises
    ------
    InputError
        It is installed, and its record cannot be read.
    """
    return bundled_models().get(name) or installed_model(name)


def find(name: str | Path, kind: str) -> Path:
    """The path of a model: bundled, else installed, else the path that was given.

    Parameters
    ----------
    name : str or Path
    kind : str
        ``encoder`` or ``glm``.

    Raises
    ------
    InputError
        None of the three; the message lists what there is. Or an installed model of the name is
        damaged.
    """
    text = str(name)
    model = known_model(text)
    if model is not None and model.kind == kind:
        return model.path
    path = Path(name)
    if path.is_dir() if kind == GLM else path.exists():
        return path
    raise InputError(_unknown(text, kind, known_models()))


def _unknown(text: str, kind: str, models: dict[str, Model]) -> str:
    noun, what = ("gLM", "a folder") if kind == GLM else ("model", "a file")
    if text in models:
        return f"{noun} '{text}': is of kind {models[text].kind}, not {kind}; give one of its kind"
    names = [m.name for m in models.values() if m.kind == kind]
    names += defaults.BASELINES if kind == GLM else ()
    name = text if is_name(text) else "NAME"
    return (
        f"{noun} '{text}': neither a known name ({', '.join(names) or 'none is installed'}) nor "
        f"{what}; 'llmbin models list' shows what registries have, 'llmbin models fetch {name}' "
        "installs it"
    )
