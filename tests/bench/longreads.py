"""A set of long reads for the comparison of binners: contigs, mapped reads and a gold standard.

    python tests/bench/longreads.py --genomes FOLDER --out SET [--seed 1] [--samples 3] [--depth 5]
    python tests/bench/binning.py --contigs SET/contigs.fasta --bam SET/*.bam --gold SET/gold.tsv
        --reads long --out OUT

Contigs are pieces of the genomes, long where the depth over all samples is large, with errors of an
assembly. A genome of one sequence that is deep enough is one circular contig, named as hifiasm
does. Reads are pieces of the genomes and not of the contigs, some run over the origin of a
circle, some are chimeras of two places; minimap2 maps them, so that alignments are clipped and
split as in real data. Needs minimap2 and samtools.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbin_core.contigs import read_contigs

Codes = NDArray[np.uint8]
LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)

READ_MEDIAN, READ_SPREAD, SHORTEST_READ = 7_000, 0.6, 1_000
READ_ERRORS, CHIMERAS = 0.02, 0.02
CONTIG_ERRORS, SHORTEST_CONTIG = 0.0005, 1_000
# Median contig at a depth of 10 over all samples (bp), growing with depth; log-normal.
CONTIG_MEDIAN, CONTIG_SPREAD, CONTIG_RANGE = 25_000, 1.0, (4_000, 300_000)
CLOSED_DEPTH, CLOSED = 20.0, 0.5
# Strains of some genomes differ from them in this share of the bases.
STRAIN_DIVERGENCE = 0.03


def with_errors(rng: np.random.Generator, codes: Codes, rate: float) -> Codes:
    """Wrong, lost and doubled bases, as many of each."""
    kind = rng.random(len(codes)) / max(rate, 1e-12)
    wrong = kind < 1 / 3
    codes = codes.copy()
    codes[wrong] = (codes[wrong] + rng.integers(1, 4, wrong.sum())) % 4
    copies = 1 - ((kind >= 1 / 3) & (kind < 2 / 3)).astype(int)
    return np.repeat(codes, copies + ((kind >= 2 / 3) & (kind < 1)))


def turned(rng: np.random.Generator, codes: Codes) -> Codes:
    """A piece or its reverse complement."""
    return codes if rng.random() < 0.5 else np.where(codes < 4, 3 - codes, codes)[::-1]


def read_genomes(folder: Path, most_bp: int, strains: int) -> dict[str, list[Codes]]:
    """Sequences of the genomes that are not too long, and strains of the first ones."""
    genomes: dict[str, list[Codes]] = {}
    for path in sorted(folder.iterdir()):
        whole = list(_sequences(path))
        if sum(map(len, whole)) <= most_bp:
            genomes[path.stem] = whole
    rng = np.random.default_rng(len(genomes))
    for name in list(genomes)[:strains]:
        parts = genomes[name]
        genomes[f"{name}_strain"] = [with_errors(rng, p, STRAIN_DIVERGENCE) for p in parts]
    return genomes


def _sequences(path: Path) -> Iterator[Codes]:
    contigs = read_contigs(path)
    for row in range(len(contigs)):
        codes = contigs.sequence(row)
        yield np.where(codes > 3, 0, codes).astype(np.uint8)


def assemble(
    rng: np.random.Generator, genomes: dict[str, list[Codes]], depths: NDArray[np.float64]
) -> Iterator[tuple[str, Codes, bool]]:
    """Genome, bases and shape of every contig."""
    for (name, parts), depth in zip(genomes.items(), depths.sum(axis=1), strict=True):
        closed = len(parts) == 1 and depth >= CLOSED_DEPTH and rng.random() < CLOSED
        median = np.clip(CONTIG_MEDIAN * (depth / 10) ** 1.1, *CONTIG_RANGE)
        for codes in parts:
            if closed:
                yield name, with_errors(rng, codes, CONTIG_ERRORS), True
                continue
            steps = rng.lognormal(np.log(median), CONTIG_SPREAD, 20 + 2 * len(codes) // int(median))
            cuts = np.cumsum(steps).astype(int)
            for piece in np.split(codes, cuts[cuts < len(codes)]):
                if len(piece) >= SHORTEST_CONTIG:
                    yield name, with_errors(rng, turned(rng, piece), CONTIG_ERRORS), False


def draw_reads(rng: np.random.Generator, parts: list[Codes], depth: float) -> Iterator[Codes]:
    """Reads of one genome; those of a single sequence run over its origin."""
    sizes = np.array([len(p) for p in parts])
    left = depth * sizes.sum()
    while left > 0:
        pieces = [_piece(rng, parts, sizes)]
        if rng.random() < CHIMERAS:
            pieces.append(_piece(rng, parts, sizes))
        read = np.concatenate(pieces)
        left -= len(read)
        yield with_errors(rng, read, READ_ERRORS)


def _piece(rng: np.random.Generator, parts: list[Codes], sizes: NDArray[np.int64]) -> Codes:
    codes = parts[rng.choice(len(parts), p=sizes / sizes.sum())]
    length = min(
        max(int(rng.lognormal(np.log(READ_MEDIAN), READ_SPREAD)), SHORTEST_READ), len(codes)
    )
    if len(parts) == 1:
        begin = int(rng.integers(len(codes)))
        piece = np.concatenate(
            (codes[begin : begin + length], codes[: max(0, begin + length - len(codes))])
        )
    else:
        begin = int(rng.integers(len(codes) - length + 1))
        piece = codes[begin : begin + length]
    return turned(rng, piece)


def write_sample(
    rng: np.random.Generator, genomes: dict[str, list[Codes]], depths: NDArray[np.float64],
    contigs: Path, bam: Path,
) -> None:  # fmt: skip
    """Draw the reads of one sample and map them."""
    fasta = bam.with_suffix(".reads.fa")
    with fasta.open("wb") as out:
        number = 0
        for parts, depth in zip(genomes.values(), depths, strict=True):
            for read in draw_reads(rng, parts, depth):
                out.write(b">r%d\n%s\n" % (number, LETTERS[read].tobytes()))
                number += 1
    sam = bam.with_suffix(".sam")
    with sam.open("wb") as out:
        command = ["minimap2", "-ax", "map-ont", "-t", "1", str(contigs), str(fasta)]
        subprocess.run(command, stdout=out, stderr=subprocess.DEVNULL, check=True)
    subprocess.run(["samtools", "sort", "-o", str(bam), str(sam)], check=True)
    subprocess.run(["samtools", "index", str(bam)], check=True)
    fasta.unlink()
    sam.unlink()


def main(argv: Sequence[str] | None = None) -> int:
    """Write the set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add: Any = parser.add_argument
    add("--genomes", type=Path, required=True, help="folder of FASTA files, one per genome")
    add("--out", type=Path, required=True)
    add("--seed", type=int, default=1)
    add("--samples", type=int, default=3)
    add("--depth", type=float, default=5.0, help="mean depth of a genome in a sample")
    add("--strains", type=int, default=3, help="genomes that have a second strain")
    add("--longest", type=int, default=4_600_000, help="longer genomes are left out (bp)")
    args = parser.parse_args(argv)
    rng = np.random.default_rng(args.seed)
    genomes = read_genomes(args.genomes, args.longest, args.strains)
    depths = rng.normal(0, 0.7, (len(genomes), 1)) + rng.normal(
        0, 0.7, (len(genomes), args.samples)
    )
    depths = np.exp(depths) * args.depth / np.exp(depths).mean()
    args.out.mkdir(parents=True, exist_ok=True)
    contigs, gold = args.out / "contigs.fasta", ["contig\tgenome\tlength"]
    with contigs.open("wb") as out:
        for number, (name, codes, circle) in enumerate(assemble(rng, genomes, depths), start=1):
            contig = f"ptg{number:06d}{'c' if circle else 'l'}"
            gold.append(f"{contig}\t{name}\t{len(codes)}")
            out.write(f">{contig}\n".encode() + LETTERS[codes].tobytes() + b"\n")
    for sample in range(args.samples):
        write_sample(rng, genomes, depths[:, sample], contigs, args.out / f"S{sample + 1}.bam")
    lines = [
        "\t".join([name, *(f"{depth:.3f}" for depth in row)])
        for name, row in zip(genomes, depths, strict=True)
    ]
    (args.out / "abundance.tsv").write_text("\n".join(lines) + "\n")
    # Last: a folder with it is complete.
    (args.out / "gold.tsv").write_text("\n".join(gold) + "\n")
    print(f"{len(genomes)} genomes, {len(gold) - 1} contigs, {args.samples} samples in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
