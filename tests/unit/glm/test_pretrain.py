"""Training: it learns, it resumes exactly, the executable writes a gLM."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from llmbin_tools.pretrain import main

from llmbin_core.errors import InputError
from llmbin_core.glm import checkpoint, hub, pretrain
from llmbin_core.glm.corpus import Corpus
from llmbin_core.glm.pretrain import PretrainOptions, learning_rate
from llmbin_core.glm.sampling import held_out
from llmbin_core.glm.traininglog import TrainingLog

CPU = torch.device("cpu")
CASES = {
    "contrastive": ("compact", {"hidden": 16, "dim": 8}),
    "next": ("hyena", {"width": 8, "layers": 1, "inner": 16, "max_length": 256}),
    "masked": ("caduceus", {"width": 8, "layers": 1, "state": 2}),
}


def options(objective: str, steps: int = 6, **changes: Any) -> PretrainOptions:
    values: dict[str, Any] = {
        "objective": objective, "steps": steps, "warmup": 2, "genomes": 4, "views": 2,
        "max_length": 2000, "window": 64, "windows": 4, "save_every": 2, "validate_every": 3,
        "precision": "fp32",
    }  # fmt: skip
    return PretrainOptions(**(values | changes))


def train(corpus: Corpus, work: Path, chosen: PretrainOptions, **settings: Any) -> torch.nn.Module:
    architecture, defaults = CASES[chosen.objective]
    splits = (held_out(corpus, "split", "train"), held_out(corpus, "split", "valid"))
    return pretrain.pretrain(architecture, defaults | settings, corpus, splits, chosen, work, CPU)


class Killed(Exception):
    pass


def die_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    original = pretrain._train_step

    def step_or_die(run: Any, number: int, batches: Any) -> float:
        if number == step:
            raise Killed
        return original(run, number, batches)

    monkeypatch.setattr(pretrain, "_train_step", step_or_die)
    return lambda: monkeypatch.setattr(pretrain, "_train_step", original)


@pytest.mark.parametrize("objective", sorted(CASES))
def test_resume_is_exact(
    objective: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in step 3 (between checkpoints) and again in step 5, the weights are the same."""
    expected = train(corpus, tmp_path / "whole", options(objective)).state_dict()
    for step in (3, 5):
        heal = die_at(step, monkeypatch)
        with pytest.raises(Killed):
            train(corpus, tmp_path / "broken", options(objective))
        heal()
    found = train(corpus, tmp_path / "broken", options(objective)).state_dict()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    steps = [row["step"] for row in TrainingLog.read(tmp_path / "broken" / "log.tsv", 99).rows]
    assert steps == [3, 6]


def test_resume_with_other_options_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path, options("next", 2))
    with pytest.raises(InputError, match="was made with windows 4, now 5"):
        train(corpus, tmp_path, options("next", 2, windows=5))
    with pytest.raises(InputError, match="is a checkpoint of another model"):
        train(corpus, tmp_path, options("next", 2), width=16)
    (tmp_path / "checkpoint" / "optimizer.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match="damaged checkpoint"):
        train(corpus, tmp_path, options("next", 2))


def test_a_language_model_learns_base_frequencies(corpus: Corpus, tmp_path: Path) -> None:
    chosen = options("next", 60, learning_rate=0.01, windows=16, validate_every=30)
    train(corpus, tmp_path, chosen)
    rows = TrainingLog.read(tmp_path / "log.tsv", 99).rows
    # 16 tokens at first; the genomes are random bases, so ln 4 is near the best there is.
    assert rows[-1]["valid_loss"] < 1.6
    assert rows[-1]["perplexity"] == pytest.approx(math.exp(rows[-1]["valid_loss"]), rel=1e-4)


def test_contrast_tells_gc_content_apart(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path, options("contrastive", 40, learning_rate=0.003, validate_every=40))
    (row,) = TrainingLog.read(tmp_path / "log.tsv", 99).rows
    assert row["auc_1000"] > 0.8


def test_accumulated_batches_are_averaged(corpus: Corpus, tmp_path: Path) -> None:
    one = train(corpus, tmp_path / "a", options("next", 2, accumulate=3))
    two = train(corpus, tmp_path / "b", options("next", 2))
    assert not torch.equal(one.embedding.weight, two.embedding.weight)  # type: ignore[union-attr]


def test_learning_rate() -> None:
    chosen = options("next", 12, warmup=2, learning_rate=1.0)
    assert [learning_rate(s, chosen) for s in (0, 1, 2, 7)] == [0.5, 1.0, 1.0, 0.5]
    assert learning_rate(12, chosen) == pytest.approx(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "other"}, "objective 'other': use contrastive, next, masked"),
        ({"min_length": 3000}, r"lengths 3000\.\.2000"),
        ({"views": 0}, "views 0: must be at least 1"),
    ],
)
def test_wrong_options(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        options(**({"objective": "next"} | changes))


def test_checkpoint_is_one_folder_without_pickle(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path, options("next", 2))
    names = {p.name for p in (tmp_path / "checkpoint").iterdir()}
    assert names == {"model.safetensors", "optimizer.safetensors", "state.json"}
    assert checkpoint.load.__doc__


def command(tmp_path: Path, out: str, *more: str) -> list[str]:
    return [
        "--genomes", str(tmp_path / "genomes"), "--catalog", str(tmp_path / "catalog.tsv"),
        "--split-column", "split", "--out", str(tmp_path / out), "--steps", "2", "--device", "cpu",
        "--genomes-per-batch", "4", "--views", "2", "--max-length", "2000", "--threads", "1",
        "--quiet", *more,
    ]  # fmt: skip


def test_executable(corpus: Corpus, tmp_path: Path) -> None:
    small = ["--settings", '{"hidden": 8, "dim": 4}', "--half", "--name", "small"]
    assert main(command(tmp_path, "glm", *small)) == 0
    embedder = hub.load_embedder(tmp_path / "glm")
    assert (embedder.name, embedder.dim) == ("small", 4)
    card = (tmp_path / "glm" / "README.md").read_text()
    assert "Trained on 4 genomes, 0.0 Mb, 4 genera; by phylum: P0 2, P1 2." in card
    assert "| auc_1000 |" in card
    assert "llmbin-pretrain --genomes" in card
    log = (tmp_path / "glm" / "log.tsv").read_text()
    assert log.startswith("step\tseconds\tloss\tlearning_rate\tauc_1000")
    assert (tmp_path / "glm" / "log.svg").read_text().startswith("<svg")
    before = (tmp_path / "glm" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "glm")
    # The same command again finds everything done and writes the same gLM.
    assert main(command(tmp_path, "glm", *small)) == 0
    assert (tmp_path / "glm" / "model.safetensors").read_bytes() == before


def test_second_objective_starts_from_the_first(corpus: Corpus, tmp_path: Path) -> None:
    shape = ["--preset", "hyenadna-tiny-1k", "--window", "64", "--windows", "4", "--settings",
             '{"width": 8, "layers": 1, "inner": 16, "max_length": 2048}']  # fmt: skip
    assert main(command(tmp_path, "first", "--objective", "next", *shape)) == 0
    start = ["--preset", "hyenadna-tiny-1k", "--start", str(tmp_path / "first")]
    assert main(command(tmp_path, "second", *start)) == 0
    assert hub.load_embedder(tmp_path / "second").dim == 8


def test_pack_only(corpus: Corpus, tmp_path: Path) -> None:
    assert main(command(tmp_path, "packed", "--pack-only")) == 0
    assert len(Corpus(tmp_path / "packed")) == 6


def test_executable_reports_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "genomes").mkdir()
    (tmp_path / "catalog.tsv").write_text("id\tsplit\n")
    assert main(command(tmp_path, "glm")) == 3
    assert "holds no FASTA file" in capsys.readouterr().err


def test_two_processes(corpus: Corpus, tmp_path: Path) -> None:
    """Ranks see different genomes and average: not what one process gives, but one gLM."""
    small = ("--settings", '{"hidden": 8, "dim": 4}')
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "llmbin_tools.pretrain", *command(tmp_path, "both", *small)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert hub.load_embedder(tmp_path / "both").dim == 4
    assert main(command(tmp_path, "alone", *small)) == 0
    weights = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("both", "alone")]
    assert weights[0] != weights[1]
