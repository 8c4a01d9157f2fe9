"""llmbin-simulate: contigs, alignments and gold standard of a made-up community."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmbin_tools._common import log, make_parser, natural, number, positive, run_tool

from llmbin_core.errors import UsageError
from llmbin_core.simulate.options import DEFAULT_GENOMES, SimulateOptions

_MB = 1_000_000


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "simulate",
        "Simulate a community: contigs, one sorted and indexed BAM per sample, the genome of each\n"
        "contig and the depth of each genome. Genomes are read from a folder or made up, with\n"
        "genes and marker genes in a codon usage of their own.",
        "llmbin-simulate --n-genomes 8 --genome-size 0.6 1.2 --samples 3 --out community",
        seed=True,
    )
    add = cli.main.add_argument
    default = SimulateOptions()
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    add("--genomes", type=Path, default=None, metavar="DIR",
        help="FASTA files, one per genome, or compressed (without: made-up ones)")  # fmt: skip
    add("--n-genomes", type=positive, default=None, metavar="N",
        help=f"genomes (without: all of the folder, or {DEFAULT_GENOMES} made-up)")  # fmt: skip
    add("--samples", type=positive, default=default.samples, metavar="N", help="samples")
    add("--genome-size", type=float, nargs=2, metavar=("MIN", "MAX"),
        default=tuple(bp / _MB for bp in default.genome_size),
        help="made-up genomes: length (Mb)")  # fmt: skip
    add("--strains", type=natural, default=default.strains, metavar="N",
        help="made-up genomes: add N strains of them")  # fmt: skip
    add("--depth", type=float, default=default.depth, metavar="X",
        help="mean depth of a genome in a sample; deeper genomes have longer contigs")  # fmt: skip
    add("--mode", choices=("coassembly", "multi"), default=default.mode,
        help="one assembly; or one per sample, with all reads mapped to all of them")  # fmt: skip
    add("--reads", choices=("short", "long"), default=default.reads,
        help="pairs of short reads, or long reads with split alignments")  # fmt: skip
    add("--write-genomes", action="store_true",
        help="also write the genomes and the genes of made-up ones")  # fmt: skip
    _add_advanced(cli.advanced, default)
    return cli.parser


def _add_advanced(group: argparse._ArgumentGroup, default: SimulateOptions) -> None:
    add = group.add_argument
    add("--depth-spread", type=number, default=default.depth_spread, metavar="X",
        help="standard deviation of log depth between genomes, and between samples")  # fmt: skip
    add("--presence", type=float, default=default.presence, metavar="P",
        help="probability that a genome is in a sample")  # fmt: skip
    add("--strain-ani", type=float, nargs=2, metavar=("MIN", "MAX"), default=default.strain_ani,
        help="identity of a strain and its origin (%%)")  # fmt: skip
    add("--divergence", type=float, nargs=2, metavar=("MIN", "MAX"), default=default.divergence,
        help="share of residues in which marker proteins differ from the consensus")  # fmt: skip
    add("--profiles", type=Path, default=None, metavar="HMM",
        help="profiles whose consensus proteins are the markers (without: the bundled ones of "
        "bacteria)")  # fmt: skip
    add("--read-length", type=positive, default=default.read_length, metavar="BP",
        help="of short reads")  # fmt: skip
    add("--insert-size", type=positive, default=default.insert_size, metavar="BP",
        help="of pairs of short reads")  # fmt: skip
    add("--error-rate", type=float, default=default.error_rate, metavar="P",
        help="substitutions per base of a read")  # fmt: skip
    add("--min-length", type=positive, default=default.min_length, metavar="BP",
        help="shorter contigs are lost")  # fmt: skip


def _options(args: argparse.Namespace) -> SimulateOptions:
    low, high = (round(mb * _MB) for mb in args.genome_size)
    names = (
        "genomes", "n_genomes", "samples", "seed", "strains", "depth", "mode", "reads",
        "write_genomes", "depth_spread", "presence", "read_length", "insert_size", "error_rate",
        "min_length",
    )  # fmt: skip
    return SimulateOptions(
        genome_size=(low, high),
        strain_ani=tuple(args.strain_ani),
        divergence=tuple(args.divergence),
        **{name: getattr(args, name) for name in names},
    )


def _proteins(profiles: Path | None) -> dict[str, str]:
    """Consensus proteins to plant; a genome is of one domain, so only its markers of the bundled
    profiles belong into it."""
    from llmbin_core.markers.profiles import bundled_profiles, consensus_proteins, load_profiles

    if profiles is not None:
        return consensus_proteins(load_profiles(profiles))
    library = bundled_profiles()
    wanted = {name for group in library.sets["bacteria"] for name in group}
    return {name: p for name, p in consensus_proteins(library).items() if name in wanted}


def _body(args: argparse.Namespace) -> None:
    options = _options(args)
    if options.genomes and args.profiles:
        raise UsageError("--profiles has no effect with --genomes; leave it out")

    from llmbin_core.simulate import simulate

    proteins = {} if options.genomes else _proteins(args.profiles)
    made = simulate(args.out, options, proteins)
    log.info(
        "%d genomes, %d contigs (%d bp), %d samples in %s",
        made.genomes,
        made.n_contigs,
        made.assembled_bp,
        len(made.bams),
        args.out,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
