"""Readable names of families, by anchor genes.

`names.tsv` lists genes of training genomes whose function is known from public annotation (see
README.md): place, gene symbol, product. A family that holds such a gene takes its name.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from llmbin_core.markers.build.genomes import Genome, TrainingGene
from llmbin_core.markers.build.select import Family

NAMES_FILE = Path(__file__).parent / "names.tsv"


def name_families(
    families: Sequence[Family], genes: Sequence[TrainingGene], genomes: Sequence[Genome]
) -> list[tuple[str, str]]:
    """Name and description of each family; families without an anchor are numbered.

    Returns
    -------
    names : list of (str, str)
        Symbol and product, all symbols different; ``LB0001`` and so on without a known function.
    """
    anchors = _read_anchors()
    taken: set[str] = set()
    names: list[tuple[str, str]] = []
    for family in families:
        places = (_place(genes[member], genomes) for member in family.members)
        found = (anchors[place] for place in places if place in anchors)
        named = next((entry for entry in found if entry[0] not in taken), None)
        number = sum(name.startswith("LB") for name in taken) + 1
        name, product = named or (f"LB{number:04d}", "protein family of unknown name")
        taken.add(name)
        names.append((name, product))
    return names


def _place(gene: TrainingGene, genomes: Sequence[Genome]) -> tuple[str, int, int]:
    """Genome, sequence and stop codon: gene callers agree on the stop, less so on the start."""
    stop = gene.end if gene.strand > 0 else -gene.begin
    return genomes[gene.genome].name, gene.contig, stop


def _read_anchors() -> dict[tuple[str, int, int], tuple[str, str]]:
    with NAMES_FILE.open(newline="", encoding="utf-8") as handle:
        return {
            (row["genome"], int(row["sequence"]), int(row["stop"])): (row["name"], row["product"])
            for row in csv.DictReader(handle, delimiter="\t")
        }
