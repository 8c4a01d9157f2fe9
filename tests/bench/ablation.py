"""What each part of the method is worth: a finished run, repeated without it.

    python tests/bench/ablation.py --run FOLDER --gold gold.tsv --out FOLDER [--seeds 0 1 2]

The run is one of ``llmbin run`` for one sample, with any number of alignments. Its features and
marker genes are used again; what depends on the part left out is computed anew, with each seed.
Recovered genomes are counted as in ``binning.py``, as means over the seeds.

complete            everything
fixed grid          the 120 published partitions instead of the adaptive grid
one partition       the best partition as a whole instead of bin by bin
usual counting      the same, chosen by counting each marker once per contig, as is usual
no language model   the encoder sees composition and coverage; not of a run with ``--glm none``
no coverage         nothing sees the coverage, the choice of bins neither
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from binning import LEVELS, MIN_BIN
from quality import usual

from llmbin_core import outputs
from llmbin_core.bins.candidates import clusters_of
from llmbin_core.evaluate import Evaluation, evaluate, read_binning, read_gold
from llmbin_core.markertable import read_marker_sets, read_markers
from llmbin_core.stagefile import read_stage

FEATURES = (outputs.COMPOSITION, outputs.COVERAGE, outputs.EMBEDDING)


@dataclass(frozen=True)
class Task:
    """A finished run, and how to repeat parts of it."""

    run: Path
    seed: int
    threads: int

    @property
    def features(self) -> tuple[str, ...]:
        """Those of the run; it may have been made without a gLM."""
        return tuple(n for n in FEATURES if n != outputs.EMBEDDING or (self.run / n).exists())

    def latent(self, out: Path, without: str = "") -> Path:
        """Train and encode without a feature."""
        features = [self.run / name for name in self.features if name != without]
        model, latent = out / "model.safetensors", out / outputs.LATENT
        self.call("train", "--features", *features, "--seed", self.seed, "--out", model)
        self.call("encode", "--features", *features, "--model", model, "--out", latent)
        return latent

    def partitions(self, out: Path, latent: Path, grid: str = "default") -> Path:
        """Cluster a latent."""
        path = out / outputs.PARTITIONS
        self.call("cluster", "--latent", latent, "--markers", self.run / outputs.MARKERS,
                   "--seed", self.seed, "--grid", grid, "--out", path)  # fmt: skip
        return path

    def bins(
        self, out: Path, partitions: Path, latent: Path, choose: str = "bins", without: str = ""
    ) -> Path:
        """Choose bins without a feature; the contig-to-bin table."""
        run = self.run
        # The latent is of use to the choice only together with the coverage.
        depths = ["--coverage", run / outputs.COVERAGE, "--latent", latent]
        self.call("bin", "--partitions", partitions, "--markers", run / outputs.MARKERS,
                   "--sets", run / outputs.MARKER_SETS, "--contigs", run / outputs.CONTIGS_FASTA,
                   *([] if without == outputs.COVERAGE else depths),
                   "--choose", choose, "--out", out)  # fmt: skip
        return out / outputs.CONTIG2BIN

    def call(self, stage: str, *words: object) -> None:
        """Run a stage quietly."""
        command = [f"llmbin-{stage}", *map(str, words), "--threads", str(self.threads), "--quiet"]
        subprocess.run(command, check=True)


def chosen_as_usual(run: Path, partitions: Path, out: Path) -> Path:
    """The partition with the most good bins by the usual counting; its contig-to-bin table."""
    stage = read_stage(partitions, "partitions")
    contigs = stage.contigs
    hits = read_markers(run / outputs.MARKERS)
    sets = read_marker_sets(run / outputs.MARKER_SETS)
    best: tuple[int, list[np.ndarray]] = (-1, [])
    for labels in stage.tensors["labels"]:
        clusters = clusters_of(labels, contigs.lengths, MIN_BIN)
        complete, foreign = usual(hits, contigs, sets, clusters).reshape(-1, 2).T
        good = sum(
            int(((complete > least) & (foreign < most)).sum())
            for least in (50, 70, 90) for most in (10, 5)
        )  # fmt: skip
        best = max(best, (good, clusters), key=lambda pair: pair[0])
    lines = [
        f"{contigs.names[row]}\tbin.{number}\n"
        for number, rows in enumerate(best[1]) for row in rows
    ]  # fmt: skip
    path = out / outputs.CONTIG2BIN
    path.write_text("contig\tbin\n" + "".join(lines))
    return path


def tables(task: Task, out: Path) -> dict[str, Path]:
    """Contig-to-bin tables of all variants."""
    folders = {}
    for name in ("complete", "fixed", "partition", "usual", "no-embedding", "no-coverage"):
        folders[name] = out / f"{name}.{task.seed}"
        folders[name].mkdir(parents=True, exist_ok=True)
    whole = folders["complete"]
    latent = task.latent(whole)
    found = task.partitions(whole, latent)
    fixed = task.partitions(folders["fixed"], latent, "full")
    result = {
        "complete": task.bins(whole, found, latent),
        "fixed grid": task.bins(folders["fixed"], fixed, latent),
        "one partition": task.bins(folders["partition"], found, latent, "partition"),
        "usual counting": chosen_as_usual(task.run, found, folders["usual"]),
    }
    for title, name, feature in (
        ("no language model", "no-embedding", outputs.EMBEDDING),
        ("no coverage", "no-coverage", outputs.COVERAGE),
    ):
        if feature in task.features:
            other = task.latent(folders[name], feature)
            found = task.partitions(folders[name], other)
            result[title] = task.bins(folders[name], found, other, without=feature)
    return result


def figures(result: Evaluation) -> list[float]:
    """Recovered genomes at each level, and F1."""
    return [*(float(result.recovered[level]) for level in LEVELS), result.f1_sample_bp or 0.0]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table as TSV; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="output of llmbin run")
    parser.add_argument("--gold", type=Path, required=True, help="contig, genome, length")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    o = parser.parse_args(argv)
    gold = read_gold(o.gold)
    rows: dict[str, list[list[float]]] = {}
    for seed in o.seeds:
        for name, table in tables(Task(o.run, seed, o.threads), o.out).items():
            result = evaluate(gold, read_binning(name, table), MIN_BIN)
            rows.setdefault(name, []).append(figures(result))
    levels = "\t".join(f">{complete}/<{foreign}" for complete, foreign in LEVELS)
    print(f"variant\t{levels}\tF1_bp")
    for name, values in rows.items():
        mean = np.mean(values, axis=0)
        print(name, *(f"{v:.3g}" for v in mean), sep="\t")
    return 0


if __name__ == "__main__":
    sys.exit(main())
