"""A model that does not fit a run is refused before the run begins, by the card alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from llmbin_core import coverage, defaults, outputs, pipeline
from llmbin_core.encoder.features import FEATURES_VERSION
from llmbin_core.errors import InputError, UsageError
from llmbin_core.glm.hub import load_embedder
from llmbin_core.glm.identity import identify
from llmbin_core.registry import GLM, find
from llmbin_core.runoptions import RunOptions


def model(path: Path, alignments: tuple[str, ...] = ("a",), glm: str | None = "compact") -> Path:
    """A model file with a card; no run that is refused looks at the weights."""
    found = identify(glm) if glm else None
    several = len(alignments) > 1
    card = {
        "schema": "encoder", "schema_version": 2, "llmbin_version": "0", "depths": len(alignments),
        "kind": "multi-sample" if several else "single-sample",
        "features_version": FEATURES_VERSION, "alignments": list(alignments) if several else None,
        "embedder": found._asdict() if found else None,
        "shape": {name: defaults.TRAINING[name] for name in defaults.NETWORK} | {"width": 32},
    }  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    save_file({"w": np.zeros(1)}, path, metadata={"llmbin": json.dumps(card)})
    return path


def refused(tmp_path: Path, message: str, **changes: Any) -> None:
    given: dict[str, Any] = {"contigs": (tmp_path / "a.fa",), "out": tmp_path / "out"}
    given |= {"bams": (Path("x/a.sorted.bam"),), **changes}
    with pytest.raises((InputError, UsageError), match=message):
        pipeline.run(RunOptions(**given))
    assert not (tmp_path / "out").exists()


# What comes next: a run whose model fits goes on to read the assembly, which is not there.
GOES_ON = r"a\.fa: no such file"


@pytest.mark.parametrize("option", ["model", "init"])
def test_the_glm_of_the_model(option: str, tmp_path: Path) -> None:
    one, bare = model(tmp_path / "one"), model(tmp_path / "bare", glm=None)
    refused(tmp_path, GOES_ON, **{option: one})
    refused(tmp_path, GOES_ON, **{option: bare}, glm="none")
    match = rf"^--{option} .*one: the model .* of the gLM compact, and --glm none makes none; give"
    refused(tmp_path, match, **{option: one}, glm="none")
    refused(tmp_path, "and --glm is compact; give --glm none, or", **{option: bare})
    match = r"gLM compact \(sha256:\w+\), and --glm tnf is tnf \(sha256:\w+\); give --glm"
    refused(tmp_path, match, **{option: one}, glm="tnf")
    # Published checkpoints tell their digest only when they are loaded.
    refused(tmp_path, GOES_ON, **{option: one}, glm="hf:a/b")


def test_another_glm_of_the_same_name(tmp_path: Path) -> None:
    folder = tmp_path / "compact"
    folder.mkdir()
    config = json.loads((find("compact", GLM) / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "sha256": "0"}))
    one = model(tmp_path / "one")
    refused(tmp_path, r"is compact \(sha256:\w+\), of other weights", model=one, glm=str(folder))


@pytest.mark.parametrize("option", ["model", "init"])
def test_the_alignments_of_the_model(option: str, tmp_path: Path) -> None:
    one, two = model(tmp_path / "one"), model(tmp_path / "two", ("a", "b"))
    bams = (Path("b.bam"), Path("a.bam"))
    refused(tmp_path, GOES_ON, **{option: two}, bams=bams)
    match = rf"^--{option} .*one: a single-sample model, .* have 2 coverage samples"
    refused(tmp_path, match, **{option: one}, bams=bams)
    refused(tmp_path, "a multi-sample model, .* have 1 coverage sample;", **{option: two})
    refused(tmp_path, "of the alignments a, b; the features have b, c", **{option: two},
            bams=bams, sample_names=("b", "c"))  # fmt: skip
    refused(tmp_path, "one: the model was trained without coverage, and llmbin run always has it",
            **{option: model(tmp_path / "one", ())})  # fmt: skip


def test_the_samples_of_depth_tables_are_counted(tmp_path: Path) -> None:
    jgi, pair = tmp_path / "jgi.tsv", tmp_path / "pair.tsv"
    jgi.write_text("contigName\tcontigLen\ttotalAvgDepth\tb.bam\tb.bam-var\ta.bam\ta.bam-var\n")
    pair.write_text("c1\t1.5\n")
    tables: dict[str, Any] = {"bams": (), "depth_tables": (jgi,)}
    refused(tmp_path, "have 2 coverage samples", model=model(tmp_path / "one"), **tables)
    refused(tmp_path, GOES_ON, model=model(tmp_path / "two", ("a", "b")), **tables)
    assert coverage.coverage_samples((), (pair, jgi)) == ("a", "b", "pair")
    assert coverage.coverage_samples((), (pair, jgi), ("x", "z", "y")) == ("x", "y", "z")
    jgi.write_text("")
    refused(tmp_path, "jgi.tsv: is empty", model=model(tmp_path / "one"), **tables)


def test_every_model_of_a_folder_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    model(folder / f"S1.{outputs.MODEL}")
    model(folder / f"S2.{outputs.MODEL}", ("a", "b"))
    refused(tmp_path, "S2.model.safetensors: a multi-sample model", model=folder)
    (tmp_path / "empty").mkdir()
    refused(tmp_path, "empty: the folder holds no model", model=tmp_path / "empty")


def test_a_folder_of_models_wants_samples(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    model(folder / f"S1.{outputs.MODEL}")
    (tmp_path / "a.fa").write_text(">c1\nACGT\n")
    refused(tmp_path, "models: is a folder with a model for each sample", model=folder)


def test_the_network_of_the_model_is_not_another(tmp_path: Path) -> None:
    one = model(tmp_path / "one")
    match = "--width 512: the model of --init has 32; leave"
    refused(tmp_path, match, init=one, training={"width": 512})
    refused(tmp_path, GOES_ON, init=one, training={"width": 32, "epochs": 2})
    options = RunOptions((Path("a"),), Path("o"), (Path("b"),), init=one, training={"epochs": 2})
    train = next(s for s in pipeline.plan(options) if s.name == "train")
    assert "epochs" in train.options
    assert not train.options.keys() & set(defaults.NETWORK)


def test_a_dry_run_says_the_mode(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="llmbin")
    (tmp_path / "a.fa").write_text(">c1\nACGT\n")
    (tmp_path / "a.bam").touch()
    options = RunOptions((tmp_path / "a.fa",), tmp_path / "out", (tmp_path / "a.bam",))
    assert all(step.reason for step in pipeline.run(options, dry_run=True))
    assert "single-sample binning (assemblies: 1, depth files: 1)" in caplog.text


@pytest.mark.parametrize("name", ["compact", "tnf", "spectrum"])
def test_a_glm_is_identified_as_its_embedder(name: str) -> None:
    embedder, found = load_embedder(name), identify(name)
    assert found == (embedder.name, embedder.digest)


def test_no_model_is_loaded_to_identify_a_glm() -> None:
    code = (
        "import sys\nfrom llmbin_core.glm.identity import identify\nidentify('compact')\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
