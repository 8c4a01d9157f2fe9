"""The files of a run that never was: bins, contigs and stage files of any size, in a moment."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmbin_core import outputs
from llmbin_core.bins.writing import quality_class
from llmbin_core.contigs import ContigTable
from llmbin_core.markertable import MarkerHit, write_marker_sets, write_markers
from llmbin_core.stagefile import Provenance, write_stage

# One contig in so many is in no bin.
UNBINNED_EVERY = 5
MARKERS = ("m1", "m2", "m3", "m4")
FILES = {
    "bins": outputs.BINS_TABLE, "contig2bin": outputs.CONTIG2BIN,
    "contigs_table": outputs.CONTIGS_TABLE, "coverage": outputs.COVERAGE,
    "latent": outputs.LATENT, "partitions": outputs.PARTITIONS, "markers": outputs.MARKERS,
    "sets": outputs.MARKER_SETS, "curve": outputs.TRAINING_CURVE,
    "bin_files": outputs.BINS_FOLDER, "record": outputs.RUN_RECORD,
}  # fmt: skip


def write_run(
    folder: Path,
    n_contigs: int = 300,
    n_bins: int = 6,
    samples: Sequence[str] = ("S1", "S2", "S3"),
    names: Sequence[str] = (),
    title: str = "assembly",
) -> Path:
    """Write everything that a report reads; `names` replace those of the first contigs."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    table = _contigs(n_contigs, names, rng)
    rows = np.arange(n_contigs)
    unbinned = (rows % UNBINNED_EVERY == UNBINNED_EVERY - 1) | (n_bins == 0)
    bin_of = np.where(unbinned, -1, (rows - rows // UNBINNED_EVERY) % max(n_bins, 1))
    gc = np.clip(0.3 + 0.4 * rng.random(n_bins + 1)[bin_of] + rng.normal(0, 0.02, n_contigs), 0, 1)
    depth = (10 ** rng.uniform(-0.5, 2, (n_bins + 1, len(samples))))[bin_of]
    depth = depth * rng.lognormal(0, 0.15, depth.shape)
    _tables(folder, table, bin_of, gc, depth, samples, rng)
    _stage_files(folder, table, bin_of, depth, samples, rng)
    _record(folder, title)
    return folder


def _contigs(n: int, names: Sequence[str], rng: np.random.Generator) -> ContigTable:
    lengths = (1000 + rng.pareto(1.2, n) * 3000).astype(np.int64).clip(1000, 600_000)
    numbered = [f"k141_{i}" for i in range(n)]
    return ContigTable((*names, *numbered)[:n], lengths)


def _tables(
    folder: Path,
    table: ContigTable,
    bin_of: NDArray[np.int64],
    gc: NDArray[np.float64],
    depth: NDArray[np.float64],
    samples: Sequence[str],
    rng: np.random.Generator,
) -> None:
    rows = zip(table.names, table.lengths.tolist(), gc.tolist(), strict=True)
    header = ["contig", "sample", "length", "gc", "unknown"]
    lines = [[name, "assembly", length, f"{share:.4f}", 0] for name, length, share in rows]
    _write(folder / outputs.CONTIGS_TABLE, header, lines)
    pairs = [(table.names[i], _name(b)) for i, b in enumerate(bin_of.tolist()) if b >= 0]
    _write(folder / outputs.CONTIG2BIN, ["contig", "bin"], pairs)
    lines = []
    files = folder / outputs.BINS_FOLDER
    files.mkdir(exist_ok=True)
    for number in range(bin_of.max(initial=-1) + 1):
        mine = bin_of == number
        complete = 100 * float(1 - rng.random() ** 2)
        mixed = float(rng.exponential(2) if number % 7 else rng.uniform(10, 80))
        means = np.average(depth[mine], axis=0, weights=table.lengths[mine])
        lines.append([
            _name(number), mine.sum(), table.lengths[mine].sum(), table.lengths[mine].max(),
            f"{np.average(gc[mine], weights=table.lengths[mine]):.4f}", f"{complete:.2f}",
            f"{mixed:.2f}", "0.00", quality_class(complete, mixed), "bacteria",
            round(complete), f"note {number}", *(f"{m:.4g}" for m in means),
        ])  # fmt: skip
        (files / f"{_name(number)}.fa").write_text(">a\nACGT\n")
    header = ["bin", "contigs", "bp", "n50", "gc", "completeness", "contamination", "redundancy",
              "class", "domain", "markers", "column of tomorrow"]  # fmt: skip
    _write(folder / outputs.BINS_TABLE, [*header, *(f"depth:{s}" for s in samples)], lines)
    curve = [[e, f"{4 / e + 0.5:.4f}", f"{1 - 0.9 / e:.4f}", 0.001] for e in range(1, 31)]
    _write(folder / outputs.TRAINING_CURVE, ["epoch", "loss", "top1", "learning_rate"], curve)


def _name(number: int) -> str:
    return f"bin.{number + 1:03d}"


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    lines = ["\t".join(map(str, cells)) for cells in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _stage_files(
    folder: Path,
    table: ContigTable,
    bin_of: NDArray[np.int64],
    depth: NDArray[np.float64],
    samples: Sequence[str],
    rng: np.random.Generator,
) -> None:
    n = len(table)
    centres = rng.normal(size=(bin_of.max(initial=-1) + 2, 40))
    latent = centres[bin_of] + rng.normal(scale=0.45, size=(n, 40))
    # Contigs of no bin lie anywhere.
    latent[bin_of < 0] = rng.normal(size=(int((bin_of < 0).sum()), 40))
    latent /= np.linalg.norm(latent, axis=1, keepdims=True)
    card = {"embedder": {"name": "compact", "digest": "d"}, "epochs_run": 30, "final_loss": 0.63,
            "trained_on": [{"contigs": n}]}  # fmt: skip
    write_stage(folder / outputs.LATENT, table, {"latent": latent.astype(np.float32)},
                Provenance("latent", 0, 6, {"models": {"model.safetensors": card}}))  # fmt: skip
    mean = depth.astype(np.float32)[:, None, :]
    known = {"samples": list(samples), "mapped_reads": dict.fromkeys(samples, 1000)}
    write_stage(folder / outputs.COVERAGE, table, {"mean": mean, "variance": mean},
                Provenance("coverage", 0, 6, known))  # fmt: skip
    settings = [
        {"method": "leiden", "bandwidth": b, "resolution": r, "random_seed": 0, "seeded": True}
        for b in (0.1, 0.2) for r in (1, 5)
    ] + [{"method": "kmeans", "random_seed": 0}]  # fmt: skip
    halves = np.where(bin_of < 0, -1, bin_of * 2 + np.arange(n) % 2)
    labels = np.stack([bin_of, halves, bin_of // 2, halves, bin_of]).astype(np.int32)
    write_stage(folder / outputs.PARTITIONS, table, {"labels": labels},
                Provenance("partitions", 0, 6, {"partitions": settings}))  # fmt: skip
    # Four markers, each once on the first contigs of every bin.
    first = [np.flatnonzero(bin_of == b)[:4] for b in range(bin_of.max(initial=-1) + 1)]
    hits = [
        MarkerHit(table.names[row], marker, 50.0, 1e-20, 1, 100, 100, 1, 300, 1, "",
                  "".join(rng.choice(list("ACDEFGHIKL"), 100)))
        for rows in first for row, marker in zip(rows.tolist(), MARKERS, strict=False)
    ]  # fmt: skip
    write_markers(folder / outputs.MARKERS, hits)
    write_marker_sets(folder / outputs.MARKER_SETS, {"bacteria": [[m] for m in MARKERS]})


def _record(folder: Path, title: str) -> None:
    stages = ("prepare", "composition", "coverage", "embed", "markers", "train", "encode",
              "cluster", "bin")  # fmt: skip
    record = {
        "schema": "run",
        "schema_version": 1,
        "mode": "co-assembly",
        "options": {"contigs": [f"{title}.fasta.gz"], "model": None},
        "versions": {"python": "3.11.7", "llmbin": "0.1.0", "numpy": "2.4.6"},
        "platform": {"system": "Linux", "release": "6", "machine": "x86_64", "cpus": 2},
        "started": "2026-01-02T03:04:05+00:00",
        "status": "done",
        "unused_stages": [],
        "stages": [
            {"name": name, "status": "done", "wall_seconds": 3.5 * number**2,
             "cpu_seconds": 3.0 * number**2, "peak_mib": 100.0 * number}
            for number, name in enumerate(stages, 1)
        ],
    }  # fmt: skip
    (folder / outputs.RUN_RECORD).write_text(json.dumps(record), encoding="utf-8")


def files_of(run: Path, *names: str) -> dict[str, Path]:
    """What a report reads of a run, by the names of its options: these, or all."""
    return {name: run / FILES[name] for name in names or FILES}


def text_of(folder: Path) -> str:
    """The page."""
    return (folder / outputs.REPORT).read_text(encoding="utf-8")


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a table with a header."""
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))
