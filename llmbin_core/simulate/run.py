"""The whole simulation: genomes, abundances, contigs, reads, and the files of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmbin_core import outputs, progress
from llmbin_core.contigs import SEPARATOR
from llmbin_core.errors import UsageError
from llmbin_core.files import atomic_path, gzip_writer, write_text
from llmbin_core.simulate.bam import pair_records, write_bam
from llmbin_core.simulate.community import Assembly, cut_genomes, draw_depths, misread
from llmbin_core.simulate.composition import Codes
from llmbin_core.simulate.genomes import Genome, make_genome, make_strain, read_genomes
from llmbin_core.simulate.longreads import LongRecord, align_long
from llmbin_core.simulate.options import DEFAULT_GENOMES, SimulateOptions
from llmbin_core.simulate.pairs import AlignedReads, align_pairs, join
from llmbin_core.simulate.proteins import encode_proteins
from llmbin_core.simulate.randomness import stream
from llmbin_core.simulate.reads import (
    Fragments,
    draw_long,
    draw_pairs,
    targets_of,
    window_ends,
)

ASSEMBLIES_FOLDER = "assemblies"
GENOMES_FOLDER = "genomes"
GENES_TABLE = "genes.tsv"

_GC_RANGE = (0.28, 0.70)
_LETTERS = b"ACGTN" + bytes(251)
_LINE = 80


@dataclass(frozen=True)
class SimulatedCommunity:
    """The files of a simulated community and what they hold.

    Attributes
    ----------
    contigs : tuple of Path
        One assembly, or one of each sample (mode "multi").
    bams : tuple of Path
        One per sample. In mode "multi" the contigs are named ``sample:contig`` in it.
    gold, abundance : Path
        Genome and length of each contig; depth of each genome in each sample.
    """

    contigs: tuple[Path, ...]
    bams: tuple[Path, ...]
    gold: Path
    abundance: Path
    genomes: int
    n_contigs: int
    assembled_bp: int


def simulate(
    out: Path, options: SimulateOptions, proteins: Mapping[str, str]
) -> SimulatedCommunity:
    """Write the contigs, alignments and gold standard of a simulated community.

    Parameters
    ----------
    out : Path
        Folder for the files; other files in it stay. The gold standard is written last.
    options : SimulateOptions
    proteins : mapping of str to str
        Marker proteins by name. Every made-up genome gets a version of each once.

    Raises
    ------
    UsageError
        No genome is deep enough to give a contig; `out` is a file.
    InputError
        See `genomes.read_genomes` and `proteins.encode_proteins`.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file; give a folder")
    genomes = _genomes(options, proteins)
    depths = draw_depths(stream(options.seed, "depth"), len(genomes), options)
    assemblies = _assemblies(options, genomes, depths)
    n_contigs = sum(map(len, assemblies))
    if not n_contigs:
        raise UsageError(
            f"--depth {options.depth}: no genome gives a contig of {options.min_length} bp; "
            "give a larger depth or larger genomes"
        )
    contigs = _write_contigs(out, options, genomes, assemblies)
    if options.write_genomes:
        _write_genomes(out, genomes)
    bams = _write_alignments(out, options, genomes, depths, assemblies)
    _write_abundance(out / outputs.ABUNDANCE, options, genomes, depths)
    _write_gold(out / outputs.GOLD, genomes, assemblies)
    return SimulatedCommunity(
        contigs,
        bams,
        out / outputs.GOLD,
        out / outputs.ABUNDANCE,
        len(genomes),
        n_contigs,
        sum(int(a.lengths.sum()) for a in assemblies),
    )


def _genomes(options: SimulateOptions, proteins: Mapping[str, str]) -> list[Genome]:
    rng = stream(options.seed, "community")
    if options.genomes is not None:
        return read_genomes(options.genomes, options.n_genomes, rng)
    n = DEFAULT_GENOMES if options.n_genomes is None else options.n_genomes
    encoded = encode_proteins(proteins)
    # GC contents are spread over the whole range, as those of communities are.
    low, high = _GC_RANGE
    gc = rng.permutation(low + (high - low) * (np.arange(n) + rng.random(n)) / n)
    lengths = rng.integers(options.genome_size[0], options.genome_size[1], n, endpoint=True)
    divergence = rng.uniform(*options.divergence, n)
    width = len(str(n))
    genomes = []
    with progress.task("genomes", n, "genomes") as task:
        for i in range(n):
            name = f"genome_{i + 1:0{width}d}"
            own = stream(options.seed, "genome", i)
            genomes.append(make_genome(own, name, int(lengths[i]), gc[i], encoded, divergence[i]))
            task.advance()
    for i in range(options.strains):
        origin = genomes[i % n]
        own = stream(options.seed, "strain", i)
        ani = own.uniform(*options.strain_ani) / 100
        genomes.append(make_strain(own, origin, f"{origin.name}_strain_{i // n + 2}", ani))
    return genomes


def _assemblies(
    options: SimulateOptions, genomes: Sequence[Genome], depths: NDArray[np.float64]
) -> list[Assembly]:
    if options.mode == "coassembly":
        cases = [("", depths.sum(axis=1))]
    else:
        cases = [(f"{s}{SEPARATOR}", depths[:, i]) for i, s in enumerate(options.sample_names)]
    return [
        cut_genomes(
            stream(options.seed, "assembly", i),
            genomes,
            depth,
            prefix,
            options.reads,
            options.min_length,
            options.circular,
        )
        for i, (prefix, depth) in enumerate(cases)
    ]


def _write_contigs(
    out: Path,
    options: SimulateOptions,
    genomes: Sequence[Genome],
    assemblies: Sequence[Assembly],
) -> tuple[Path, ...]:
    paths = []
    rng = stream(options.seed, "contig errors")
    for assembly in assemblies:
        sample = assembly.prefix.removesuffix(SEPARATOR)
        path = out / outputs.CONTIGS_FASTA
        if sample:
            path = out / ASSEMBLIES_FOLDER / f"{sample}.fasta.gz"
        heads = [
            f"{name} circular=true" if circular else name
            for name, circular in zip(assembly.names, assembly.circular.tolist(), strict=True)
        ]
        codes = (assembly.codes(genomes, row) for row in range(len(assembly)))
        read = (misread(rng, c, options.contig_errors) for c in codes)
        _write_fasta(path, zip(heads, read, strict=True))
        paths.append(path)
    return tuple(paths)


def _write_fasta(path: Path, records: Iterator[tuple[str, Codes]]) -> None:
    with atomic_path(path) as temporary, gzip_writer(temporary) as handle:
        for name, codes in records:
            letters = codes.tobytes().translate(_LETTERS)
            lines = (letters[i : i + _LINE] for i in range(0, len(letters), _LINE))
            handle.write(b">%s\n%s\n" % (name.encode(), b"\n".join(lines)))


def _write_genomes(out: Path, genomes: Sequence[Genome]) -> None:
    rows = ["genome\tbegin\tend\tstrand\tmarker\n"]
    for genome in genomes:
        pairs = list(zip(genome.bounds[:-1].tolist(), genome.bounds[1:].tolist(), strict=True))
        single = len(pairs) == 1
        records = (
            (genome.name if single else f"{genome.name}_{i}", genome.codes[a:b])
            for i, (a, b) in enumerate(pairs, 1)
        )
        _write_fasta(out / GENOMES_FOLDER / f"{genome.name}.fasta.gz", records)
        rows += [
            f"{genome.name}\t{g.begin}\t{g.end}\t{'+' if g.forward else '-'}\t{g.marker}\n"
            for g in genome.genes
        ]
    if any(genome.genes for genome in genomes):
        write_text(out / GENES_TABLE, "".join(rows))


def _write_alignments(
    out: Path,
    options: SimulateOptions,
    genomes: Sequence[Genome],
    depths: NDArray[np.float64],
    assemblies: Sequence[Assembly],
) -> tuple[Path, ...]:
    names = [f"{a.prefix}{name}" for a in assemblies for name in a.names]
    lengths = [bp for a in assemblies for bp in a.lengths.tolist()]
    bases = np.concatenate([g.codes for g in genomes])
    paths = tuple(out / f"{name}.bam" for name in options.sample_names)
    with progress.task("alignments", options.samples, "samples") as task:
        for sample, path in enumerate(paths):
            drawn = _fragments(options, genomes, depths[:, sample], sample)
            errors = stream(options.seed, "errors", sample)
            if options.reads == "short":
                reads = _align_pairs(options, genomes, assemblies, drawn, sample)
                rate, length = options.error_rate, options.read_length
                records = pair_records(errors, reads, bases, length, rate)
            else:
                records = _long_records(options, genomes, assemblies, drawn, names, errors)
            write_bam(path, names, lengths, records)
            task.advance()
    return paths


def _fragments(
    options: SimulateOptions,
    genomes: Sequence[Genome],
    depths: NDArray[np.float64],
    sample: int,
) -> list[Fragments]:
    drawn = []
    for row, (genome, depth) in enumerate(zip(genomes, depths.tolist(), strict=True)):
        # Unevenness along a genome is the same in all samples, as in real ones.
        ends = window_ends(stream(options.seed, "windows", row), len(genome))
        rng = stream(options.seed, "reads", sample, row)
        if options.reads == "short":
            length, insert = options.read_length, options.insert_size
            drawn.append(draw_pairs(rng, genome, ends, depth, length, insert))
        else:
            drawn.append(draw_long(rng, genome, ends, depth))
    return drawn


def _align_pairs(
    options: SimulateOptions,
    genomes: Sequence[Genome],
    assemblies: Sequence[Assembly],
    drawn: Sequence[Fragments],
    sample: int,
) -> AlignedReads:
    offsets = np.cumsum([0, *map(len, genomes)])
    parts, first = [], 1
    for row, fragments in enumerate(drawn):
        rng = stream(options.seed, "alignments", sample, row)
        targets = targets_of(assemblies, row)
        length = options.read_length
        parts.append(align_pairs(rng, fragments, targets, length, int(offsets[row]), first))
        first += len(fragments.begin)
    return join(parts)


def _long_records(
    options: SimulateOptions,
    genomes: Sequence[Genome],
    assemblies: Sequence[Assembly],
    drawn: Sequence[Fragments],
    names: Sequence[str],
    rng: np.random.Generator,
) -> Iterator[bytes]:
    records: list[LongRecord] = []
    first = 1
    for row, (genome, fragments) in enumerate(zip(genomes, drawn, strict=True)):
        targets = targets_of(assemblies, row)
        rate = options.error_rate
        records += align_long(rng, fragments, targets, genome, names, rate, first)
        first += len(fragments.begin)
    records.sort(key=lambda r: (r.contig, r.position))
    return (record.data for record in records)


def _write_abundance(
    path: Path,
    options: SimulateOptions,
    genomes: Sequence[Genome],
    depths: NDArray[np.float64],
) -> None:
    lines = ["\t".join(["genome", "length", "strain_of", *options.sample_names])]
    for genome, row in zip(genomes, depths.tolist(), strict=True):
        cells = [genome.name, str(len(genome)), genome.origin, *(f"{d:.4f}" for d in row)]
        lines.append("\t".join(cells))
    write_text(path, "\n".join(lines) + "\n")


def _write_gold(path: Path, genomes: Sequence[Genome], assemblies: Sequence[Assembly]) -> None:
    lines = ["contig\tgenome\tlength\n"]
    for assembly in assemblies:
        columns = (assembly.names, assembly.genome.tolist(), assembly.lengths.tolist())
        for name, genome, length in zip(*columns, strict=True):
            lines.append(f"{assembly.prefix}{name}\t{genomes[genome].name}\t{length}\n")
    write_text(path, "".join(lines))
