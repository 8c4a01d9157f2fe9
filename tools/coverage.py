"""llmbin-coverage: depth of every view of every contig in every sample."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmbin_tools._common import Cli, make_parser, run_tool
from llmbin_tools._options import add_contigs, add_depth_filters, add_out, add_reads, add_views

from llmbin_core.errors import UsageError

# What each source makes use of; anything else given with it is a mistake.
_OF_ALIGNMENTS = (
    "contigs",
    "sample_names",
    "seed",
    "views",
    "reference",
    "min_mapq",
    "min_identity",
    "reads",
)
_OF_TABLES = ("contigs", "sample_names", "seed", "views")


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "coverage",
        "Compute mean and variance of the depth of every view of every contig, per sample.\n"
        "Samples can be computed one by one (--bam with one file) and joined with --merge.",
        "llmbin-coverage --contigs contigs.fasta.gz --bam *.bam --out coverage.safetensors",
        seed=True,
    )
    _add_main(cli)
    add_reads(cli)
    add_depth_filters(cli)
    add_views(cli)
    return cli.parser


def _add_main(cli: Cli) -> None:
    add_contigs(cli, required=False)
    source = cli.main.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--bam",
        type=Path,
        nargs="+",
        metavar="BAM",
        help="reads of each sample mapped to the contigs; BAM or CRAM, sorted or not",
    )
    source.add_argument(
        "--depth-table",
        type=Path,
        nargs="+",
        metavar="TSV",
        help="instead of BAM: tables of jgi_summarize_bam_contig_depths, CoverM or strobealign "
        "--aemb; they know no views, so results are better with BAM",
    )
    source.add_argument(
        "--merge",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="coverage files of different samples of the same contigs",
    )
    add_out(cli)
    cli.main.add_argument(
        "--sample-names",
        nargs="+",
        default=None,
        metavar="NAME",
        help="one per sample, in their order (without: the file names)",
    )


def _check_use(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    used = _OF_ALIGNMENTS if args.bam else _OF_TABLES if args.depth_table else ()
    source = "--bam" if args.bam else "--depth-table" if args.depth_table else "--merge"
    for option in _OF_ALIGNMENTS:
        if option not in used and getattr(args, option) != parser.get_default(option):
            name = option.replace("_", "-")
            raise UsageError(f"--{name} has no effect with {source}; leave it out")
    if used and args.contigs is None:
        raise UsageError(f"{source} needs --contigs; give the FASTA that llmbin-prepare wrote")


def _body(args: argparse.Namespace) -> None:
    _check_use(args, _parser())

    from llmbin_core import stages

    if args.merge:
        stages.merge_coverage(args.merge, args.out)
        return
    stages.coverage(
        args.contigs,
        args.out,
        alignments=args.bam or (),
        tables=args.depth_table or (),
        sample_names=args.sample_names,
        reference=args.reference,
        min_mapq=args.min_mapq,
        min_identity=args.min_identity,
        n_views=args.views,
        seed=args.seed,
        reads=args.reads,
        threads=args.threads,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
