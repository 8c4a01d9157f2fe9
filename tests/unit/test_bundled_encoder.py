"""The bundled encoder is what its README and its recipe say."""

from __future__ import annotations

import importlib
import re
import shlex
from typing import Any

import pytest
from llmbin_tools.llmbin import COMMANDS

from llmbin_core import outputs
from llmbin_core.encoder.modelcard import read_card
from llmbin_core.registry import ENCODER, find

FOLDER = find("global", ENCODER).parent
RECIPE = (FOLDER / "recipe.sh").read_text(encoding="utf-8")
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def commands() -> dict[str, list[str]]:
    """Words of each executable in the recipe, by its name without ``llmbin-``."""
    # What the shell computes is a number to the parsers.
    whole = re.sub(r"\$\(\(.*?\)\)", "1", RECIPE.replace("\\\n", " "))
    found = re.findall(r"^ *llmbin-([a-z]+) (.*)$", whole, re.M)
    assert len(found) == whole.count("\n  llmbin-") + whole.count("\nllmbin-")
    return {name: shlex.split(words, comments=True) for name, words in found}


@pytest.mark.parametrize("name", commands())
def test_options_of_the_recipe_exist(name: str) -> None:
    assert name in COMMANDS
    parser = importlib.import_module(f"llmbin_tools.{name}")._parser()
    options = [word for word in commands()[name] if word.startswith("--")]
    assert options
    shown = set(re.findall(r"--[a-z][a-z-]*", parser.format_help()))
    assert set(options) <= shown
    parser.parse_args([re.sub(r"^\$\w+$", "1", word) for word in commands()[name]])


def test_the_recipe_runs_all_stages_of_the_features() -> None:
    assert list(commands()) == ["simulate", "composition", "coverage", "embed", "train"]


def _rows() -> list[dict[str, Any]]:
    lines = [line for line in README.splitlines() if line.startswith("|")]
    cells = [[c.strip().replace(",", "") for c in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_the_table_of_samples_agrees_with_the_card() -> None:
    card = read_card(FOLDER / outputs.MODEL)
    table = sorted((int(row["contigs"]), row["Mb"]) for row in _rows())
    trained = sorted((one["contigs"], f"{one['bp'] / 1e6:.1f}") for one in card["trained_on"])
    assert table == trained
    assert all(len(one["alignments"]) == 1 for one in card["trained_on"])
    # Sample and depth are those of the loop of the recipe.
    (seeds,) = re.findall(r"^for seed in ([\d ]+); do", RECIPE, re.M)
    (shift,) = re.findall(r"--depth \$\(\((\d+) \+ seed\)\)", RECIPE)
    expected = [(seed, int(shift) + seed) for seed in map(int, seeds.split())]
    assert [(int(row["sample"]), int(row["mean depth"])) for row in _rows()] == expected
    (most,) = re.findall(r"--n-genomes (\d+)", RECIPE)
    assert all(int(row["genomes"]) <= int(most) for row in _rows())
    assert f"up to {most} genomes" in README


def test_the_rest_of_the_readme_agrees_with_the_card() -> None:
    card = read_card(FOLDER / outputs.MODEL)
    assert f"`{card['embedder']['name']}`" in README
    assert README.split("\n")[2].startswith(f"A {card['kind']} binning encoder")
    assert f"loss {card['first_loss']:.2f} to {card['final_loss']:.2f}" in README
    curve = (FOLDER / outputs.TRAINING_CURVE).read_text(encoding="utf-8").splitlines()
    assert len(curve) - 1 == card["epochs_run"]
    first, last = (line.split("\t") for line in (curve[1], curve[-1]))
    assert float(first[1]) == pytest.approx(card["first_loss"], abs=1e-6)
    assert float(last[1]) == pytest.approx(card["final_loss"], abs=1e-6)
    assert f"top-1 of the views {float(first[2]):.2f} to {card['final_top1']:.2f}" in README
