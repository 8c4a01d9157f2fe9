"""The model card of a trained gLM."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from llmbin_core import __version__
from llmbin_core.glm.corpus import Corpus
from llmbin_core.glm.pretrain import PretrainOptions
from llmbin_core.glm.traininglog import TrainingLog

_LIMITS = (
    "- Trained on prokaryotic genomes only; plasmids, phages and eukaryotes were not looked at.\n"
    "- Genomes of one species get nearly the same embedding: strains have to be told apart by "
    "coverage.\n"
)


def model_card(
    name: str,
    model: tuple[str, Mapping[str, Any], int],
    corpus: Corpus,
    splits: tuple[list[int], list[int]],
    options: PretrainOptions,
    command: str,
    figures: Mapping[str, float],
) -> str:
    """Markdown text on data, recipe, command, figures and limits.

    Parameters
    ----------
    name : str
    model : (str, mapping, int)
        Architecture, its settings, number of parameters.
    corpus, splits, options
        As given to `pretrain`.
    command : str
        The command that trained it.
    figures : mapping
        Last row of the log.
    """
    architecture, settings, size = model
    train, valid = splits
    parts = [
        f"# gLM {name}\n",
        f"Architecture `{architecture}`, {size:,} parameters: `{json.dumps(dict(settings))}`.\n",
        "## Data\n",
        _data(corpus, train, "Trained on"),
        _data(corpus, valid, "Validated on") if valid else "Not validated on held-out genomes.",
        "\n## Recipe\n",
        "".join(f"- {k}: {v}\n" for k, v in asdict(options).items()),
        f"LLMBin {__version__}, torch {torch.__version__.split('+')[0]}. Command:\n",
        f"```\n{command}\n```\n",
        "## Figures on the validation genomes\n",
        "| figure | value |\n|---|---|",
        *(f"| {k} | {v:.4g} |" for k, v in figures.items()),
        "\n`log.tsv` and `log.svg` beside this file hold the course of the training.\n",
        "## Limits\n",
        _LIMITS + f"- Fragments below {options.min_length} bp were not trained on.\n",
    ]
    return "\n".join(parts)


def last_figures(log: Path) -> dict[str, float]:
    """Validation figures in the last row of a log."""
    rows = TrainingLog.read(log, sys.maxsize).rows
    skipped = ("step", "seconds", "learning_rate")
    return {k: v for k, v in rows[-1].items() if k not in skipped} if rows else {}


def _data(corpus: Corpus, genomes: Sequence[int], verb: str) -> str:
    chosen = [corpus.genomes[g] for g in genomes]
    text = f"{verb} {len(chosen)} genomes, {sum(g.bases for g in chosen) / 1e6:.1f} Mb"
    phyla = Counter(g.labels["phylum"] for g in chosen if g.labels.get("phylum"))
    if phyla:
        genera = {g.labels["genus"] for g in chosen if g.labels.get("genus")}
        listed = ", ".join(f"{p} {n}" for p, n in sorted(phyla.items()))
        text += f", {len(genera)} genera; by phylum: {listed}"
    return text + "."
