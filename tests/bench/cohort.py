"""Models of one sample and of several, each applied to a sample that it has not seen.

    python tests/bench/cohort.py --samples SET/S1 SET/S2 SET/S3 SET/S4 --out FOLDER
        [--epochs 30] [--seeds 0 1]

A sample is a folder with ``contigs.fasta``, one BAM file and ``gold.tsv``, as ``sets.sh`` makes
them. Each is binned by an encoder of its own, by one of each other sample and by one of all others
together. Recovered genomes are counted as in ``binning.py``; rows are means over the samples (and
over the models of one sample) and the random seeds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ablation import Task, figures
from binning import LEVELS, MIN_BIN

from llmbin_core import outputs
from llmbin_core.evaluate import evaluate, read_binning, read_gold


def run(folder: Path, out: Path, threads: int) -> Path:
    """The features, marker genes and marker sets of a sample, by a run with the bundled encoder."""
    (bam,) = folder.glob("*.bam")
    subprocess.run(
        ["llmbin", "run", "--contigs", folder / "contigs.fasta", "--bam", bam, "--model", "global",
         "--threads", str(threads), "--quiet", "--out", out],
        check=True,
    )  # fmt: skip
    return out


class Cohort:
    """Samples with their features, and the models of some of them."""

    def __init__(
        self, samples: Sequence[Path], out: Path, epochs: int, seed: int, threads: int
    ) -> None:
        self.samples, self.out, self.epochs = samples, out / str(seed), epochs
        self.out.mkdir(parents=True, exist_ok=True)
        runs = {s: run(s, out / f"run.{s.name}", threads) for s in samples}
        self.tasks = {s: Task(r, seed, threads) for s, r in runs.items()}

    def train(self, samples: Sequence[Path]) -> Path:
        """The model of some samples, trained once."""
        path = self.out / f"{'+'.join(s.name for s in samples)}.safetensors"
        if not path.exists():
            task = self.tasks[samples[0]]
            runs = [self.tasks[s].run for s in samples]
            task.call("train", "--features", *runs, "--epochs", self.epochs,
                      "--seed", task.seed, "--out", path)  # fmt: skip
        return path

    def score(self, model: Path, sample: Path) -> list[float]:
        """Bin a sample with a model; genomes at each level, and F1."""
        task, out = self.tasks[sample], self.out / f"{model.stem}.on.{sample.name}"
        out.mkdir(exist_ok=True)
        latent = out / outputs.LATENT
        task.call("encode", "--features", task.run, "--model", model, "--out", latent)
        table = task.bins(out, task.partitions(out, latent), latent)
        gold = read_gold(sample / "gold.tsv")
        return figures(evaluate(gold, read_binning(model.stem, table), MIN_BIN))

    def rows(self) -> dict[str, list[list[float]]]:
        """The figures of each sample by the kind of model."""
        found: dict[str, list[list[float]]] = {"its own": [], "one other": [], "all others": []}
        for sample in self.samples:
            others = [s for s in self.samples if s != sample]
            found["its own"].append(self.score(self.train([sample]), sample))
            ones = [self.score(self.train([s]), sample) for s in others]
            found["one other"].append(np.mean(ones, axis=0).tolist())
            found["all others"].append(self.score(self.train(others), sample))
        return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table as TSV; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    o = parser.parse_args(argv)
    rows: dict[str, list[list[float]]] = {}
    for seed in o.seeds:
        for name, values in Cohort(o.samples, o.out, o.epochs, seed, o.threads).rows().items():
            rows.setdefault(name, []).extend(values)
    levels = "\t".join(f">{complete}/<{foreign}" for complete, foreign in LEVELS)
    print(f"model of\t{levels}\tF1_bp")
    for name, values in rows.items():
        print(name, *(f"{v:.3f}" for v in np.mean(values, axis=0)), sep="\t")
    return 0


if __name__ == "__main__":
    sys.exit(main())
