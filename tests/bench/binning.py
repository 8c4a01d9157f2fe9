"""LLMBin and the installed peers on one data set: recovered genomes, time and memory, in one table.

    python tests/bench/binning.py --contigs contigs.fasta --bam *.bam --gold gold.tsv --out FOLDER
        [--binners llmbin metabat2 vamb semibin2] [--reads long] [--repeat 3] [--threads 2]

Every binner gets the same files. A peer that is not on PATH is named and left out; so is one that
ends with an error, with the place of its log. Contigs named ``sample:contig`` are binned and scored
by sample, each with the depths of all samples. With ``--repeat`` every binner is run with the
random seeds 0, 1, ...; its rows are the runs, then their mean and their range.

Recovered genomes are counted by base pairs of the gold standard, bins below 200 kb are left out.
Wall and CPU time are those of all commands of a binner, the depths among them; peak memory is that
of its largest process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llmbin_core.defaults import READ_KINDS, READS
from llmbin_core.evaluate import Evaluation, evaluate, read_binning, read_gold
from llmbin_core.fasta import iter_fasta

MIN_BIN = 200_000
SEPARATOR = ":"
LEVELS = ((50, 10), (70, 10), (90, 10), (90, 5))


@dataclass
class Cost:
    """What the commands of a binner took: seconds and kB."""

    log: Path
    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0

    def run(self, *command: object) -> None:
        """Run a command to its end; its output goes to the log.

        Raises
        ------
        subprocess.CalledProcessError
            It ended with an error.
        """
        words = [str(word) for word in command]
        begin = time.monotonic()
        with self.log.open("ab") as handle:
            process = subprocess.Popen(words, stdout=handle, stderr=handle)
            _, status, usage = os.wait4(process.pid, 0)
        self.wall += time.monotonic() - begin
        self.cpu += usage.ru_utime + usage.ru_stime
        self.peak = max(self.peak, usage.ru_maxrss)
        if status:
            raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), words)


@dataclass(frozen=True)
class Task:
    """One data set and where a binner may write."""

    contigs: Path
    bams: tuple[Path, ...]
    threads: int
    reads: str
    by_sample: dict[str, Path] = field(default_factory=dict)


def llmbin(task: Task, out: Path, cost: Cost, seed: int) -> Iterable[Path]:
    """The whole run with its defaults, but for the kind of reads."""
    cost.run(
        "llmbin", "run", "--contigs", task.contigs, "--bam", *task.bams, "--seed", seed,
        "--reads", task.reads, "--threads", task.threads, "--out", out / "run",
    )  # fmt: skip
    return [out / "run" / "contig2bin.tsv"]


def metabat2(task: Task, out: Path, cost: Cost, seed: int) -> Iterable[Path]:
    """MetaBAT2 with its smallest minimum contig length, 1500."""
    depths = out / "depth.txt"
    cost.run("jgi_summarize_bam_contig_depths", "--outputDepth", depths, *task.bams)
    tables = []
    for name, contigs in (task.by_sample or {"all": task.contigs}).items():
        chosen = _rows_of(depths, name, out / f"depth.{name}.txt") if task.by_sample else depths
        folder = out / f"bins.{name}"
        folder.mkdir()
        cost.run(
            "metabat2", "-i", contigs, "-a", chosen, "-m", 1500, "-t", task.threads,
            "--seed", seed + 1, "-o", folder / f"{name}_bin",
        )  # fmt: skip
        tables.append(folder)
    return tables


def vamb(task: Task, out: Path, cost: Cost, seed: int) -> Iterable[Path]:
    """VAMB's default model; by sample it splits its clusters as its authors advise."""
    bams = out / "bams"
    bams.mkdir()
    for bam in task.bams:
        (bams / bam.name).symlink_to(bam.resolve())
        (bams / f"{bam.name}.bai").symlink_to(f"{bam.resolve()}.bai")
    cost.run(
        "vamb", "bin", "default", "--outdir", out / "vamb", "--fasta", task.contigs,
        "--bamdir", bams, "-m", 1000, "-p", task.threads, "--seed", seed,
        "-o", SEPARATOR if task.by_sample else "",
    )  # fmt: skip
    ending = "split" if task.by_sample else "unsplit"
    clusters = out / "vamb" / f"vae_clusters_{ending}.tsv"
    return [_swapped(clusters, out / "contig2bin.tsv")]


def semibin2(task: Task, out: Path, cost: Cost, seed: int) -> Iterable[Path]:
    """SemiBin2: one BAM with its prebuilt global model, several with a model of their own."""
    # Long reads get another clustering; it takes hybrid for long.
    kind = "short_read" if task.reads == "short" else "long_read"
    shared = ("-t", task.threads, "--random-seed", seed, "--sequencing-type", kind)
    if task.by_sample:
        cost.run(
            "SemiBin2", "multi_easy_bin", "-i", task.contigs, "-b", *task.bams,
            "--separator", SEPARATOR, "-o", out / "semibin", *shared,
        )  # fmt: skip
        tables = sorted((out / "semibin" / "samples").glob("*/contig_bins.tsv"))
        samples = [table.parent.name for table in tables]
        return [_with_sample(t, s, out / f"{s}.tsv") for t, s in zip(tables, samples, strict=True)]
    environment = ("--environment", "global") if len(task.bams) == 1 else ()
    cost.run(
        "SemiBin2", "single_easy_bin", "-i", task.contigs, "-b", *task.bams, *environment,
        "-o", out / "semibin", *shared,
    )  # fmt: skip
    return [out / "semibin" / "contig_bins.tsv"]


Binner = Callable[[Task, Path, Cost, int], Iterable[Path]]
BINNERS: dict[str, tuple[Binner, str]] = {
    "llmbin": (llmbin, "llmbin"),
    "metabat2": (metabat2, "metabat2"),
    "vamb": (vamb, "vamb"),
    "semibin2": (semibin2, "SemiBin2"),
}


def _rows_of(table: Path, sample: str, path: Path) -> Path:
    """The header and the lines of one sample."""
    lines = table.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + [x for x in lines if x.startswith(sample + SEPARATOR)]))
    return path


def _with_sample(table: Path, sample: str, path: Path) -> Path:
    """A contig-to-bin table of one sample, with the sample before the names of its contigs."""
    head, *rows = table.read_text().splitlines()
    path.write_text("\n".join([head, *(f"{sample}{SEPARATOR}{row}" for row in rows)]) + "\n")
    return path


def _swapped(clusters: Path, path: Path) -> Path:
    """VAMB's cluster, contig table as contig, bin."""
    rows = [line.split("\t")[:2] for line in clusters.read_text().splitlines()[1:]]
    path.write_text("".join(f"{contig}\t{cluster}\n" for cluster, contig in rows))
    return path


def _joined(parts: Iterable[Path], path: Path) -> Path:
    """One contig-to-bin table of all parts; bins of different parts stay apart."""
    lines = ["contig\tbin\n"]
    for number, part in enumerate(parts):
        for contig, bin_name in read_binning("part", part).pairs:
            lines.append(f"{contig}\t{number}_{bin_name}\n")
    path.write_text("".join(lines))
    return path


def split_assembly(contigs: Path, folder: Path) -> dict[str, Path]:
    """A FASTA file per sample where every name is ``sample:contig``; else nothing."""
    names = [name for name, _ in iter_fasta(contigs)]
    if not all(SEPARATOR in name for name in names):
        return {}
    handles = {}
    for sample in sorted({name.split(SEPARATOR)[0] for name in names}):
        handles[sample] = (folder / f"{sample}.fasta").open("w")
    for name, sequence in iter_fasta(contigs):
        handles[name.split(SEPARATOR)[0]].write(f">{name}\n{sequence.decode()}\n")
    for handle in handles.values():
        handle.close()
    return {sample: folder / f"{sample}.fasta" for sample in handles}


def gold_by_sample(gold: Path, path: Path) -> Path:
    """A gold standard in which a genome of two samples is two genomes."""
    head, *lines = gold.read_text().splitlines()
    column = head.split("\t").index("genome")
    rows = [line.split("\t") for line in lines]
    for row in rows:
        row[column] = f"{row[0].split(SEPARATOR)[0]}{SEPARATOR}{row[column]}"
    path.write_text("\n".join([head, *("\t".join(row) for row in rows)]) + "\n")
    return path


def bench(name: str, task: Task, out: Path, seed: int, gold: Path) -> tuple[Evaluation, Cost]:
    """Run a binner once and score it."""
    folder = out / f"{name}.{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cost = Cost(folder / "log.txt")
    parts = BINNERS[name][0](task, folder, cost, seed)
    table = _joined(parts, folder / "joined.tsv")
    return evaluate(read_gold(gold), read_binning(name, table), MIN_BIN), cost


def numbers(result: Evaluation, cost: Cost) -> list[float]:
    """The figures of a row, without its name."""
    return [
        *(float(result.recovered[level]) for level in LEVELS),
        result.f1_sample_bp or 0.0, result.ari_bp or 0.0, cost.wall, cost.cpu, cost.peak / 1e6,
    ]  # fmt: skip


def _row(name: str, values: Sequence[float]) -> str:
    counts = [f"{v:g}" for v in (round(x, 2) for x in values[:4])]
    shares = [f"{v:.3f}" for v in values[4:6]]
    return "\t".join([name, *counts, *shares, *(f"{v:.1f}" for v in values[6:])])


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table as TSV; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--contigs", type=Path, required=True)
    parser.add_argument("--bam", type=Path, nargs="+", required=True, help="with .bai beside")
    parser.add_argument("--gold", type=Path, required=True, help="contig, genome, length")
    parser.add_argument("--out", type=Path, required=True, help="folder for all binnings")
    parser.add_argument("--binners", nargs="+", choices=BINNERS, default=list(BINNERS))
    parser.add_argument("--repeat", type=int, default=1, help="runs of each, seeds 0, 1, ...")
    parser.add_argument("--reads", choices=READ_KINDS, default=READS, help="for LLMBin")
    parser.add_argument("--threads", type=int, default=2)
    o = parser.parse_args(argv)
    o.out.mkdir(parents=True, exist_ok=True)
    by_sample = split_assembly(o.contigs, o.out)
    task = Task(o.contigs, tuple(o.bam), o.threads, o.reads, by_sample)
    gold = gold_by_sample(o.gold, o.out / "gold.tsv") if by_sample else o.gold
    levels = "\t".join(f">{complete}/<{foreign}" for complete, foreign in LEVELS)
    print(f"binner\t{levels}\tF1_bp\tARI_bp\twall_s\tcpu_s\tpeak_GB", flush=True)
    for name in o.binners:
        if not shutil.which(BINNERS[name][1]):
            print(f"{name}: not on PATH, left out", file=sys.stderr)
            continue
        rows = []
        for seed in range(o.repeat):
            try:
                rows.append(numbers(*bench(name, task, o.out, seed, gold)))
            except subprocess.CalledProcessError as error:
                log = o.out / f"{name}.{seed}" / "log.txt"
                print(f"{name}: exit code {error.returncode}, see {log}", file=sys.stderr)
                continue
            print(_row(f"{name} seed {seed}" if o.repeat > 1 else name, rows[-1]), flush=True)
        if len(rows) > 1:
            columns = list(zip(*rows, strict=True))
            print(_row(f"{name} mean", [sum(c) / len(rows) for c in columns]))
            ends = (_row("", [end(c) for c in columns]).split("\t")[1:] for end in (min, max))
            print(name + " range", *map("-".join, zip(*ends, strict=True)), sep="\t", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
