"""How well completeness and contamination are estimated, against the usual counting.

    python tests/bench/quality.py --genomes FOLDER --catalog TSV --cache FOLDER [--threads 2]

Genomes of known content are broken into pieces (lengths exponential, pieces below 1 kb lost, as
assemblers lose them), cut to a share of their pieces, or mixed with pieces of another genome.
Completeness is the share of the genome's bases that are there; contamination the share of the
other genome's bases that were added, as CheckM defines it in its own simulations. Depths follow a
log-normal law per genome and sample.

The usual counting takes every marker once per contig, with the profile's own cutoff and 40 % of
its columns, and says nothing of cut genes or of redundancy.

The table of marker genes of each set of pieces is kept in the cache.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmbin_core.bins.markerindex import index_markers
from llmbin_core.bins.quality import estimate
from llmbin_core.contigs import ContigTable
from llmbin_core.fasta import iter_fasta
from llmbin_core.markers.profiles import bundled_profiles, cutoff_of
from llmbin_core.markers.search import find_markers
from llmbin_core.markertable import MarkerHit, MarkerSets, read_markers, write_markers

N50S = (0, 50_000, 10_000, 5_000, 2_500)  # 0: whole sequences
KEPT = (1.0, 0.9, 0.7, 0.5)
ADDED = (0.05, 0.1, 0.2)
SHORTEST = 1000
# Genomes in no more pieces than this cannot be shared out.
SHARED = 20
# N50 of exponentially distributed lengths, in units of their mean.
N50_OF_MEAN = 1.678
# Depth of the genomes (log-normal) and of their pieces around it.
DEPTH, DEPTH_SPREAD, PIECE_SPREAD = 10.0, 1.2, 0.15


@dataclass(frozen=True)
class Genome:
    """A genome of the catalogue."""

    name: str
    path: Path
    bp: int
    species: str
    genus: str


@dataclass(frozen=True)
class Mixture:
    """A bin of known content: its rows in the table of pieces."""

    rows: NDArray[np.int64]
    kind: str
    completeness: float
    contamination: float
    genome: str


def read_genomes(folder: Path, catalog: Path, split: str, most: int) -> list[Genome]:
    """Whole genomes of a split, evenly over the list when there are more than `most`."""
    with catalog.open(encoding="utf-8", newline="") as handle:
        rows = [r for r in csv.DictReader(handle, delimiter="\t") if r["split"] == split]
    rows = [r for r in rows if r["whole"] == "yes"]
    step = max(1.0, len(rows) / most) if most else 1.0
    rows = [rows[int(i * step)] for i in range(int(len(rows) / step))]
    return [
        Genome(
            r["id"], _file_of(folder, r["id"]), int(r["genome_bp"]), r["species_group"], r["genus"]
        )
        for r in rows
    ]


def _file_of(folder: Path, name: str) -> Path:
    found = sorted(folder.glob(f"{name}*.fna"))
    if not found:
        sys.exit(f"{folder}: no FASTA file of {name}")
    return found[0]


def pieces(genome: Genome, n50: int) -> Iterator[tuple[str, bytes]]:
    """Pieces of a genome as an assembler would leave them; the same for every call."""
    rng = np.random.default_rng([n50, genome.bp])
    for number, record in enumerate(iter_fasta(genome.path)):
        sequence = record[1]
        begin = 0
        while begin < len(sequence):
            size = len(sequence) if not n50 else 1 + int(rng.exponential(n50 / N50_OF_MEAN))
            part = sequence[begin : begin + size]
            if len(part) >= SHORTEST:
                yield f"{genome.name}|{number}|{begin}", part
            begin += size


def prepare(genomes: Sequence[Genome], cache: Path, threads: int) -> None:
    """Write the marker table of each genome and N50 that the cache lacks.

    All pieces of a genome are searched together: most genes are the same at every N50.
    """
    for genome in genomes:
        lacking = [n50 for n50 in N50S if not _table_of(genome, n50, cache).exists()]
        parts = [(f"{n50}|{name}", s) for n50 in lacking for name, s in pieces(genome, n50)]
        found: dict[int, list[MarkerHit]] = {n50: [] for n50 in lacking}
        for hit in find_markers(parts, bundled_profiles(), threads):
            n50, name = hit.contig.split("|", 1)
            found[int(n50)].append(replace(hit, contig=name))
        for number, hits in found.items():
            write_markers(_table_of(genome, number, cache), hits)


def _table_of(genome: Genome, n50: int, cache: Path) -> Path:
    return cache / f"{genome.name}.{n50}.tsv"


def load(genomes: Sequence[Genome], n50: int, cache: Path) -> tuple[ContigTable, list[MarkerHit]]:
    """All pieces of all genomes and their marker genes."""
    names: list[str] = []
    lengths: list[int] = []
    hits: list[MarkerHit] = []
    for genome in genomes:
        for name, sequence in pieces(genome, n50):
            names.append(name)
            lengths.append(len(sequence))
        hits += read_markers(_table_of(genome, n50, cache))
    return ContigTable(tuple(names), np.array(lengths, dtype=np.int64)), hits


def mixtures(genomes: Sequence[Genome], table: ContigTable) -> list[Mixture]:
    """Genomes with all or a part of their pieces, alone or with pieces of another genome."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(table.names):
        rows_of[name.split("|")[0]].append(row)
    rng = np.random.default_rng(7)
    found = []
    for genome in genomes:
        own = np.array(rows_of[genome.name])
        for kept in KEPT if len(own) > SHARED else KEPT[:1]:
            part = _take(own, table.lengths, kept, genome.bp, rng)
            share = table.lengths[part].sum() / genome.bp
            found.append(Mixture(part, f"kept {kept:.0%}", 100 * share, 0.0, genome.name))
        for relation, other in _others(genome, genomes, rng):
            for added in ADDED if len(rows_of[other.name]) > SHARED else ():
                more = _take(np.array(rows_of[other.name]), table.lengths, added, other.bp, rng)
                truth = 100 * table.lengths[more].sum() / other.bp
                share = 100 * table.lengths[own].sum() / genome.bp
                rows = np.concatenate((own, more))
                found.append(Mixture(rows, relation, share, truth, genome.name))
    return found


def _others(
    genome: Genome, genomes: Sequence[Genome], rng: np.random.Generator
) -> Iterator[tuple[str, Genome]]:
    groups = {
        "same species": [g for g in genomes if g.species == genome.species],
        "same genus": [
            g for g in genomes if g.genus == genome.genus and g.species != genome.species
        ],
        "other genus": [g for g in genomes if g.genus != genome.genus],
    }
    for relation, choices in groups.items():
        choices = [g for g in choices if g.name != genome.name]
        if choices:
            yield relation, choices[int(rng.integers(len(choices)))]


def _take(
    rows: NDArray[np.int64],
    lengths: NDArray[np.int64],
    share: float,
    bp: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Random pieces that together hold about a share of a genome."""
    if share >= 1:
        return rows
    order = rng.permutation(rows)
    reached = np.cumsum(lengths[order])
    return order[: max(1, int(np.searchsorted(reached, share * bp)))]


def depths_of(genomes: Sequence[Genome], table: ContigTable, samples: int) -> NDArray[np.float32]:
    """Mean depth of the pieces, float32 [n, samples]."""
    rng = np.random.default_rng(11)
    base = {g.name: DEPTH * np.exp(rng.normal(0, DEPTH_SPREAD, samples)) for g in genomes}
    of_genome = np.array([base[name.split("|")[0]] for name in table.names])
    noise = rng.normal(0, PIECE_SPREAD, of_genome.shape)
    return np.asarray(of_genome * np.exp(noise), dtype=np.float32)


def usual(
    hits: Sequence[MarkerHit],
    table: ContigTable,
    sets: MarkerSets,
    bins: Sequence[NDArray[np.integer]],
) -> NDArray[np.float64]:
    """Completeness and contamination of rows by the usual counting: float64 [bins, 2]."""
    cutoffs = {m.name: cutoff_of(m) or 0.0 for m in bundled_profiles().models}
    row_of = {name: row for row, name in enumerate(table.names)}
    on_contig: dict[int, set[str]] = defaultdict(set)
    for hit in hits:
        covered = hit.profile_to - hit.profile_from + 1
        if hit.score >= cutoffs[hit.marker] and covered >= 0.4 * hit.profile_length:
            on_contig[row_of[hit.contig]].add(hit.marker)
    result = []
    for rows in bins:
        copies: dict[str, int] = defaultdict(int)
        for row in rows.tolist():
            for marker in on_contig.get(row, ()):
                copies[marker] += 1
        result.append(_best_domain(copies, sets))
    return np.array(result)


def _best_domain(copies: dict[str, int], sets: MarkerSets) -> tuple[float, float]:
    ranked = []
    for groups in (sets["bacteria"], sets["archaea"]):
        alone = {m for group in groups for m in group}
        found = sum(copies.get(m, 0) for m in alone) / len(alone)
        complete = np.mean([sum(m in copies for m in g) / len(g) for g in groups])
        extra = np.mean([sum(max(copies.get(m, 0) - 1, 0) for m in g) / len(g) for g in groups])
        ranked.append((found, 100 * float(complete), 100 * float(extra)))
    return max(ranked)[1:]


def main(argv: Sequence[str] | None = None) -> int:
    """Print mean absolute errors in percent points; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--genomes", type=Path, required=True, help="folder with ID*.fna files")
    parser.add_argument("--catalog", type=Path, required=True, help="TSV, one row per genome")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--most", type=int, default=0, help="at most so many genomes; 0: all")
    parser.add_argument("--cache", type=Path, required=True, help="folder for marker tables")
    parser.add_argument("--samples", type=int, default=4, help="samples with depths")
    parser.add_argument("--threads", type=int, default=2)
    o = parser.parse_args(argv)
    o.cache.mkdir(parents=True, exist_ok=True)
    genomes = read_genomes(o.genomes, o.catalog, o.split, o.most)
    prepare(genomes, o.cache, o.threads)
    sets = bundled_profiles().sets
    print("n50\tcase\tbins\tcompleteness\tusual\tcontamination\tusual")
    everything: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for n50 in N50S:
        table, hits = load(genomes, n50, o.cache)
        bins = mixtures(genomes, table)
        depths = depths_of(genomes, table, o.samples)
        index = index_markers(hits, table, sets, depths)
        rows = [b.rows for b in bins]
        quality = estimate(index, rows)
        truth = np.array([(b.completeness, b.contamination) for b in bins])
        ours = np.stack((quality.completeness, quality.contamination), axis=1)
        errors = np.concatenate(
            (np.abs(ours - truth), np.abs(usual(hits, table, sets, rows) - truth)), axis=1
        )
        for kind in dict.fromkeys(b.kind for b in bins):
            of_kind = errors[[b.kind == kind for b in bins]]
            everything[kind].append(of_kind)
            _line(n50, kind, of_kind)
        _line(n50, "all", errors)
    for kind, parts in everything.items():
        _line("all", kind, np.concatenate(parts))
    _line("all", "all", np.concatenate([part for parts in everything.values() for part in parts]))
    return 0


def _line(n50: int | str, kind: str, errors: NDArray[np.float64]) -> None:
    c, k, uc, uk = errors.mean(axis=0)
    name = "whole" if n50 == 0 else n50
    print(f"{name}\t{kind}\t{len(errors)}\t{c:.1f}\t{uc:.1f}\t{k:.1f}\t{uk:.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
