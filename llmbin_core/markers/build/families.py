"""Protein families: MMseqs2 clusters of all genes, and the profile of a family."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyfamsa
import pyhmmer
import pytrimal

from llmbin_core.markers.build.genomes import Genome, TrainingGene
from llmbin_core.markers.profiles import Model

ALPHABET: pyhmmer.easel.Alphabet = pyhmmer.easel.Alphabet.amino()

# Proteins shorter than this carry too few bits for a cutoff that holds on fragments.
SHORTEST = 60
# Columns of an alignment held by fewer sequences than this are trimmed away.
_COLUMN_OCCUPANCY = 0.3


def cluster(
    genes: Sequence[TrainingGene], chosen: Iterable[int], folder: Path, threads: int
) -> dict[int, list[int]]:
    """Cluster the complete proteins of some genomes with MMseqs2, down to distant homologues.

    Returns
    -------
    clusters : dict of int to list of int
        Members of each cluster as positions in `genes`, by the representative.
    """
    wanted = set(chosen)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "proteins.faa").open("w") as handle:
        for number, gene in enumerate(genes):
            if gene.genome in wanted and not gene.partial and len(gene.protein) >= SHORTEST:
                handle.write(f">{number}\n{gene.protein}\n")
    command = ["mmseqs", "easy-cluster", "proteins.faa", "clusters", "tmp"]
    command += ["-s", "7", "-e", "1e-4", "-c", "0.5", "--cov-mode", "0", "--cluster-mode", "0"]
    command += ["--threads", str(threads), "-v", "1"]
    subprocess.run(command, cwd=folder, check=True)
    clusters = defaultdict(list)
    with (folder / "clusters_cluster.tsv").open() as handle:
        for line in handle:
            head, member = line.split()
            clusters[int(head)].append(int(member))
    return {head: sorted(clusters[head]) for head in sorted(clusters)}


def spread(
    members: Iterable[int], genes: Sequence[TrainingGene], genomes: Sequence[Genome], limit: int
) -> list[int]:
    """At most `limit` members, as many phyla and then genera as possible, in gene order.

    Rounds go over the phyla; each round takes one member of each, of a genus not yet seen first.
    """
    by_phylum: dict[str, list[int]] = defaultdict(list)
    seen: dict[tuple[str, str], int] = defaultdict(int)
    ranked = []
    for member in members:
        genome = genomes[genes[member].genome]
        ranked.append((seen[genome.phylum, genome.genus], member, genome.phylum))
        seen[genome.phylum, genome.genus] += 1
    for _, member, phylum in sorted(ranked):
        by_phylum[phylum].append(member)
    taken: list[int] = []
    for turn in range(max(map(len, by_phylum.values()))):
        taken += [queue[turn] for _, queue in sorted(by_phylum.items()) if turn < len(queue)]
    return sorted(taken[:limit])


def build_profile(name: str, members: Sequence[int], genes: Sequence[TrainingGene]) -> Model:
    """Align the members (FAMSA), trim the alignment (trimAl) and build its profile (HMMER)."""
    rows = [
        pyfamsa.Sequence(str(member).encode(), genes[member].protein.replace("*", "X").encode())
        for member in members
    ]
    aligned = list(pyfamsa.Aligner(threads=1, guide_tree="upgma").align(rows))
    trimmer = pytrimal.ManualTrimmer(gap_threshold=_COLUMN_OCCUPANCY)
    trimmed = trimmer.trim(
        pytrimal.Alignment([row.id for row in aligned], [row.sequence.decode() for row in aligned])
    )
    alignment = pyhmmer.easel.TextMSA(
        name=name.encode(),
        sequences=[
            pyhmmer.easel.TextSequence(name=title, sequence=row)
            for title, row in zip(trimmed.names, trimmed.sequences, strict=True)
        ],
    )
    builder = pyhmmer.plan7.Builder(ALPHABET, seed=42)
    profile, _, _ = builder.build_msa(
        alignment.digitize(ALPHABET), pyhmmer.plan7.Background(ALPHABET)
    )
    # A file must not depend on the day it was made.
    profile.creation_time = None
    profile.command_line = None
    return profile
