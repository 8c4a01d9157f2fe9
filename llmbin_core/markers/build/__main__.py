"""Make the bundled profiles from a folder of genomes: see README.md beside this file."""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from multiprocessing.pool import ThreadPool
from pathlib import Path

from llmbin_core.markers.build.families import build_profile, cluster, spread
from llmbin_core.markers.build.genomes import (
    Genome,
    TrainingGene,
    call_genes,
    read_catalog,
    weights,
)
from llmbin_core.markers.build.names import name_families
from llmbin_core.markers.build.select import (
    GROUPS,
    Census,
    Family,
    assign,
    collocated,
    drop_doubles,
    frequent,
    incomplete,
    is_distinct,
    is_marker,
    match_clusters,
    match_genes,
    set_cutoff,
    without,
)
from llmbin_core.markers.profiles import HMM_FILE, SETS_FILE, Model
from llmbin_core.markers.search import Match

log = logging.getLogger("markers.build")

# Clusters in this share of a domain, mostly once, are tried; profiles then join what clustering
# split.
CANDIDATE_SHARE = 0.5
CANDIDATE_SINGLE = 0.7
# Families kept by the first and second round, and markers.
FIRST_SHARE = 0.75
FAMILY_SHARE = 0.88
MARKER_SHARE = 0.95
# A marker stands apart from its paralogues by this share of its score, and is repeated in no more
# than this share of all training genomes.
LEAST_GAP = 0.03
MOST_REPEATED = 0.05
# A genome with less than this share of its group's markers does not count for prevalence.
LEAST_HELD = 0.85
# Sequences in an alignment, in the first round and later.
FIRST_ALIGNED = 40
ALIGNED = 120
COLLOCATED_BP = 5_000
COLLOCATED_SHARE = 0.95


def main(argv: Sequence[str] | None = None) -> int:
    """Build the profiles; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m llmbin_core.markers.build")
    parser.add_argument("--genomes", type=Path, required=True, help="folder with ID.fna files")
    parser.add_argument("--catalog", type=Path, required=True, help="TSV, one row per genome")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two data files")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)8.0f ms  %(message)s")

    genomes = read_catalog(arguments.catalog)
    genes = call_genes(genomes, arguments.genomes, arguments.threads)
    log.info("%d genes of %d training genomes", len(genes), len(genomes))
    with tempfile.TemporaryDirectory() as folder:
        build(genomes, genes, Path(folder), arguments.out, arguments.threads)
    return 0


def build(
    genomes: list[Genome], genes: list[TrainingGene], scratch: Path, out: Path, threads: int
) -> None:
    """Cluster, choose families in three rounds, and write the profiles."""
    weight = weights(genomes)
    whole = [number for number, genome in enumerate(genomes) if genome.whole]
    species = one_of_each(genomes, whole, lambda genome: genome.species)
    clusters = cluster(genes, species, scratch, threads)
    clusters = {head: members for head, members in clusters.items() if len(members) > 1}
    census = Census(genes, genomes, weight, species)
    tried = frequent(clusters.values(), census, CANDIDATE_SHARE, CANDIDATE_SINGLE)
    log.info("%d clusters, %d of them tried", len(clusters), len(tried))
    models = profiles_of(tried, genes, genomes, FIRST_ALIGNED, threads)
    families = keep(match_clusters(models, clusters, genes, threads), census, FIRST_SHARE)
    log.info("%d families after the first round", len(families))

    genera = one_of_each(genomes, whole, lambda genome: (genome.genus, genome.group))
    census = Census(genes, genomes, weight, genera)
    models = profiles_of([f.aligned(genes) for f in families], genes, genomes, ALIGNED, threads)
    families = assign(match_genes(models, genes, genera, threads), models)
    families = keep(families, census, FAMILY_SHARE)
    log.info("%d families after the second round", len(families))

    census = Census(genes, genomes, weight, whole)
    models = profiles_of([f.aligned(genes) for f in families], genes, genomes, ALIGNED, threads)
    matches = match_genes(models, genes, range(len(genomes)), threads)
    families = choose(matches, models, census, genomes)
    write(families, genes, genomes, census, out)


def choose(
    matches: list[Match], models: list[Model], census: Census, genomes: list[Genome]
) -> list[Family]:
    """Choose the markers.

    The genes of a family that is dropped fall to its relatives, so that these are judged anew,
    until no family is dropped any more.
    """
    families = keep(assign(matches, models), census, FAMILY_SHARE)
    left_out = incomplete(families, census, FAMILY_SHARE, LEAST_HELD)
    log.info("not counted: %s", ", ".join(genomes[number].species for number in left_out))
    census.without(left_out)
    before = len(models) + 1
    while len(families) < before:
        before = len(families)
        families = keep(without(matches, models, [f.model for f in families]), census, MARKER_SHARE)
        families = [f for f in families if is_distinct(f, census, LEAST_GAP, MOST_REPEATED)]
        log.info("%d markers left", len(families))
    return families


def keep(families: list[Family], census: Census, share: float) -> list[Family]:
    """Set the cutoffs, drop double families and those that are no marker of any group."""
    for family in families:
        set_cutoff(family, census)
    families = drop_doubles(families, census)
    return [family for family in families if any(is_marker(family, census, share).values())]


def one_of_each(
    genomes: Sequence[Genome], among: Iterable[int], key: Callable[[Genome], object]
) -> list[int]:
    """The longest of the genomes that share a key, for each key."""
    longest: dict[object, int] = {}
    for number in sorted(among, key=lambda number: -genomes[number].bp):
        longest.setdefault(key(genomes[number]), number)
    return sorted(longest.values())


def profiles_of(
    members: list[list[int]],
    genes: list[TrainingGene],
    genomes: list[Genome],
    aligned: int,
    threads: int,
) -> list[Model]:
    """Build a profile from at most `aligned` members of each family."""

    def build_one(job: tuple[int, list[int]]) -> Model:
        chosen = spread(job[1], genes, genomes, aligned)
        return build_profile(f"F{job[0]:04d}", chosen, genes)

    with ThreadPool(threads) as pool:
        return pool.map(build_one, enumerate(members), chunksize=1)


def write(
    families: list[Family],
    genes: list[TrainingGene],
    genomes: list[Genome],
    census: Census,
    out: Path,
) -> None:
    """Name the markers and write the profiles, their statistics and their sets."""
    names = name_families(families, genes, genomes)
    for family, (name, product) in zip(families, names, strict=True):
        family.model.name, family.model.description = name, product
    families = sorted(families, key=lambda family: family.model.name)
    flags = [is_marker(family, census, MARKER_SHARE) for family in families]
    sets = {}
    for group in GROUPS:
        chosen = [f for f, flag in zip(families, flags, strict=True) if flag[group]]
        grouped = collocated(
            chosen, genes, census, group, distance=COLLOCATED_BP, share=COLLOCATED_SHARE
        )
        sets[group] = [[chosen[position].model.name for position in one] for one in grouped]
        log.info("%s: %d markers in %d sets", group, len(chosen), len(grouped))
    packed = BytesIO()
    rows = []
    for family, flag in zip(families, flags, strict=True):
        family.model.cutoffs.gathering = (family.cutoff, family.cutoff)
        family.model.cutoffs.trusted = (family.cutoff, family.cutoff)
        family.model.write(packed)
        rows.append(describe(family, flag, census))
    out.mkdir(parents=True, exist_ok=True)
    (out / HMM_FILE).write_bytes(gzip.compress(packed.getvalue(), 9, mtime=0))
    text = json.dumps({"profiles": rows, "sets": sets}, indent=1)
    (out / SETS_FILE).write_text(text + "\n", encoding="utf-8")


def describe(family: Family, flag: dict[str, bool], census: Census) -> dict[str, object]:
    """Statistics of one profile."""
    copies = census.copies(family.members)
    row: dict[str, object] = {
        "name": family.model.name,
        "product": family.model.description,
        "length": family.model.M,
        "cutoff": round(family.cutoff, 1),
        "sequences": family.model.nseq,
        "marker_of": [group for group in GROUPS if flag[group]],
    }
    for group in GROUPS:
        row[group] = {
            "present": round(census.share(copies > 0, group), 3),
            "single": round(census.share(copies == 1, group), 3),
        }
    return row


if __name__ == "__main__":
    sys.exit(main())
