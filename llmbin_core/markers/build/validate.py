"""How complete held-out genomes look, whole and in pieces, with the bundled profiles.

Run as ``python -m llmbin_core.markers.build.validate --genomes DIR --catalog TSV``; the errors
of the estimates in README.md were made with ``tests/bench/quality.py``.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmbin_core.markers.build.genomes import REDUCED_BP, read_sequences
from llmbin_core.markers.profiles import Profiles, bundled_profiles, cutoff_of
from llmbin_core.markers.search import find_markers
from llmbin_core.markertable import MarkerHit


@dataclass(frozen=True)
class Figures:
    """Shares of the markers of a domain, in per cent.

    Attributes
    ----------
    completeness : float
        Mean over the collocated sets of the share of markers present.
    doubled : float
        Markers with two hits or more.
    copies : float
        Markers with two hits whose columns of the profile overlap.
    false : float
        Hits where the whole genome has no such marker, as a share of its markers.
    """

    completeness: float
    doubled: float
    copies: float
    false: float

    def __str__(self) -> str:
        values = (self.completeness, self.doubled, self.copies, self.false)
        return "\t".join(f"{value:.1f}" for value in values)


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line for each genome and way of cutting it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m llmbin_core.markers.build.validate")
    parser.add_argument("--genomes", type=Path, required=True, help="folder with ID.fna files")
    parser.add_argument("--catalog", type=Path, required=True, help="TSV, one row per genome")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--pieces", type=int, nargs="*", default=[], help="lengths in bp")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(argv)
    profiles = bundled_profiles()
    print(
        "species\tphylum\tset\tpiece_bp\tcutoff\tcompleteness\tdoubled\tcopies\tfalse", flush=True
    )
    with arguments.catalog.open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle, delimiter="\t"):
            if row["split"] != arguments.split or row["whole"] != "yes":
                continue
            domain = "reduced" if int(row["genome_bp"]) < REDUCED_BP else row["domain"].lower()
            sequences = read_sequences(arguments.genomes / f"{row['id']}.fna")
            for line in measure(sequences, profiles, domain, arguments.pieces, arguments.threads):
                print(row["species"], row["phylum"], domain, line, sep="\t", flush=True)
    return 0


def measure(
    sequences: list[bytes], profiles: Profiles, domain: str, pieces: Iterable[int], threads: int
) -> Iterator[str]:
    """Lines for the whole genome, then for each length of piece with both kinds of cutoff."""
    truth = find_markers(_cut(sequences, None), profiles, threads)
    sets = profiles.sets[domain]
    yield f"whole\t-\t{figures(truth, truth, sets)}"
    cutoffs = {model.name: cutoff_of(model) or 0.0 for model in profiles.models}
    for length in pieces:
        hits = find_markers(_cut(sequences, length), profiles, threads)
        fixed = [hit for hit in hits if hit.score >= cutoffs[hit.marker]]
        yield f"{length}\tfixed\t{figures(fixed, truth, sets)}"
        yield f"{length}\tscaled\t{figures(hits, truth, sets)}"


def figures(
    hits: Sequence[MarkerHit], truth: Sequence[MarkerHit], sets: Sequence[Sequence[str]]
) -> Figures:
    """Compare the hits in pieces of a genome with those in the whole genome."""
    places = defaultdict(list)
    for hit in truth:
        places[hit.marker].append(_span(hit))
    found: dict[str, list[MarkerHit]] = defaultdict(list)
    false = 0
    names = {name for group in sets for name in group}
    for hit in hits:
        if hit.marker in names:
            if any(_overlap(_span(hit), place) for place in places[hit.marker]):
                found[hit.marker].append(hit)
            else:
                false += 1
    present = [sum(name in found for name in group) / len(group) for group in sets]
    doubled = sum(len(group) > 1 for group in found.values())
    copies = sum(_copies(group) > 1 for group in found.values())
    return Figures(
        100 * sum(present) / len(sets),
        100 * doubled / len(names),
        100 * copies / len(names),
        100 * false / len(names),
    )


def _cut(sequences: list[bytes], length: int | None) -> Iterator[tuple[str, bytes]]:
    """Pieces named by sequence and offset."""
    for number, sequence in enumerate(sequences):
        step = length or len(sequence)
        for start in range(0, len(sequence), step):
            yield f"{number}:{start}", sequence[start : start + step]


def _span(hit: MarkerHit) -> tuple[str, int, int]:
    sequence, start = hit.contig.split(":")
    return sequence, int(start) + hit.begin, int(start) + hit.end


def _overlap(one: tuple[str, int, int], other: tuple[str, int, int]) -> bool:
    return one[0] == other[0] and one[1] <= other[2] and other[1] <= one[2]


def _copies(hits: Iterable[MarkerHit]) -> int:
    """Most hits on one column of the profile; an overlap of 10 % of the profile is forgiven."""
    ends = []
    for hit in hits:
        margin = hit.profile_length // 20
        ends += [(hit.profile_from + margin, 1), (max(hit.profile_to - margin, 0), -1)]
    depth = deepest = 0
    for _, step in sorted(ends, key=lambda end: (end[0], end[1])):
        depth += step
        deepest = max(deepest, depth)
    return deepest


if __name__ == "__main__":
    sys.exit(main())
