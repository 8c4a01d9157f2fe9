"""What a model file says of itself, and whether it fits a sample; no weights are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from llmbin_core import __version__, defaults
from llmbin_core.encoder.features import FEATURES_VERSION, Sample
from llmbin_core.errors import InputError, UsageError
from llmbin_core.files import compression_of

KEY = "llmbin"
SCHEMA, SCHEMA_VERSION = "encoder", 2
_MADE_BY = "give the output of llmbin-train"

Card = dict[str, Any]


def kind_of(sample: Sample) -> str:
    """The kind of model that fits a sample.

    A ``single-sample`` model sees no more than one alignment, scaled, and serves any sample with
    one; a ``multi-sample`` model knows the alignments it was trained with, and serves these alone.
    """
    return "multi-sample" if len(sample.alignments) > 1 else "single-sample"


def read_card(path: Path) -> Card:
    """What a model file says of itself; no weights are read.

    Raises
    ------
    InputError
        Not a model file, a damaged one, or one of another version.
    """
    compression_of(path)  # a missing or unreadable file is reported as such
    try:
        with safe_open(path, framework="numpy") as handle:
            text = (handle.metadata() or {}).get(KEY)
    except SafetensorError as error:
        raise InputError(f"{path}: not a model file, or cut short ({error}); {_MADE_BY}") from None
    card: Card = json.loads(text) if text else {}
    if card.get("schema") != SCHEMA or card.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"{path}: not a model of this version of LLMBin; {_MADE_BY}")
    if card["features_version"] != FEATURES_VERSION:
        raise InputError(
            f"{path}: trained on features of version {card['features_version']}, LLMBin "
            f"{__version__} makes version {FEATURES_VERSION}; train the model again, or use it "
            f"with LLMBin {card['llmbin_version']}"
        )
    return card


def facts(card: Card) -> dict[str, str]:
    """What a card says of training and network, in words.

    Cards of earlier versions tell less.
    """
    options, shape = card["options"], card["shape"]
    trained = [
        f"{sample.get('name') or ', '.join(sample['alignments']) or 'unnamed'} "
        f"({sample['contigs']:,})"
        for sample in card["trained_on"]
    ]
    temperature = card.get("temperature", options["temperature"])
    weights = "" if "half" not in card else "16 bits" if card["half"] else "32 bits"
    found = {
        "alignments": ", ".join(card["alignments"] or ()),
        "inputs": ", ".join(f"{name} {size}" for name, size in sorted(shape["inputs"].items())),
        "network": ", ".join(f"{name} {shape[name]}" for name in defaults.NETWORK),
        "trained on (contigs)": ", ".join(trained),
        "epochs": str(card["epochs_run"]),
        "temperature": "" if temperature is None else f"{temperature:g}",
        "weights": weights,
        "LLMBin": card["llmbin_version"],
    }
    return {name: text for name, text in found.items() if text}


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
    check_alignments(path, card, sample.alignments)
    mine, theirs = sample.embedder, card["embedder"]
    if mine and theirs and mine.digest != theirs["digest"]:
        other = " of other weights" if mine.name == theirs["name"] else ""
        raise InputError(
            f"{path}: the model was trained on embeddings of the gLM {theirs['name']}, the "
            f"features come from {mine.name}{other}; embed with the gLM of the model "
            "(llmbin-embed --glm), or train a model on these"
        )


def check_glm(path: Path, card: Card, glm: str, found: tuple[str, str] | None) -> None:
    """Refuse a model whose gLM is not the one that a run is told to use.

    Parameters
    ----------
    path, card
    glm : str
        What ``--glm`` says.
    found : (str, str) or None
        Name and digest of that gLM; None where they are not known.

    Raises
    ------
    InputError
        Says how to change ``--glm``.
    """
    theirs = card["embedder"]
    without = glm == defaults.NO_GLM
    if theirs is None and not without:
        raise InputError(
            f"{path}: the model was trained without embedding, and --glm is {glm}; give --glm "
            f"{defaults.NO_GLM}, or a model that was trained with the gLM"
        )
    if theirs is not None and without:
        raise InputError(
            f"{path}: the model was trained on embeddings of the gLM {theirs['name']}, and --glm "
            f"{glm} makes none; give --glm {theirs['name']}, or a model that was trained without"
        )
    if theirs is not None and found is not None and found[1] != theirs["digest"]:
        other = ", of other weights" if found[0] == theirs["name"] else ""
        raise InputError(
            f"{path}: the model was trained on embeddings of the gLM {theirs['name']} "
            f"({theirs['digest']}), and --glm {glm} is {found[0]} ({found[1]}){other}; give "
            "--glm the gLM of the model, or a model that was trained with this one"
        )


def check_network(card: Card, options: Mapping[str, Any]) -> None:
    """Refuse another network than that of the model that a training begins with.

    Parameters
    ----------
    card : dict
    options : mapping
        Of the training, as they were given: one that equals the default is meant as well.

    Raises
    ------
    UsageError
        Names the option.
    """
    for name in defaults.NETWORK:
        given, has = options.get(name), card["shape"][name]
        if given is not None and given != has:
            option = {"latent": "latent-size"}.get(name, name)
            raise UsageError(
                f"--{option} {given}: the model of --init has {has}; leave the option out"
            )


def check_alignments(path: Path, card: Card, alignments: Sequence[str]) -> None:
    """Refuse a model that was trained with other alignments, where it serves none but its own.

    Raises
    ------
    InputError
        Says which side to change.
    """
    _check_depths(path, card, len(alignments))
    if card["alignments"] and list(alignments) != card["alignments"]:
        raise InputError(
            f"{path}: a multi-sample model of the alignments {', '.join(card['alignments'])}; the "
            f"features have {', '.join(alignments)}. Such a model serves no others: train one on "
            "these, or use a single-sample model"
        )


def _check_depths(path: Path, card: Card, depths: int) -> None:
    if card["depths"] == depths:
        return
    if not card["depths"]:
        # Features without coverage can be encoded; a run has no way to leave it out.
        raise InputError(
            f"{path}: the model was trained without coverage, and llmbin run always has it; give "
            "a model that was trained with the output of llmbin-coverage as well"
        )
    many = f"{depths} coverage samples" if depths > 1 else "1 coverage sample"
    if card["kind"] == "single-sample":
        raise InputError(
            f"{path}: a single-sample model, trained with {card['depths']} coverage sample, the "
            f"features have {many}; give the one alignment of the sample itself, or train a "
            "multi-sample model on these (llmbin run without --model)"
        )
    raise InputError(
        f"{path}: a multi-sample model, trained with {card['depths']} coverage samples, the "
        f"features have {many}; give the same alignments, use a single-sample model, or train a "
        "model on these"
    )
