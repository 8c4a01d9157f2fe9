"""llmbin-prepare: check assemblies and write the contigs that are binned."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmbin_tools._common import make_parser, positive, run_tool
from llmbin_tools._options import add_circular

from llmbin_core import defaults


def _min_length(text: str) -> int | str:
    return text if text == "auto" else positive(text)


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "prepare",
        "Check one or several assemblies and write the contigs that are binned.\n"
        "With several assemblies (multi-sample binning) contigs are named SAMPLE:CONTIG; map the\n"
        "reads of every sample to the written file.",
        "llmbin-prepare --contigs assembly.fasta.gz --out prepared",
    )
    cli.main.add_argument(
        "--contigs",
        type=Path,
        nargs="+",
        required=True,
        metavar="FASTA",
        help="assemblies; plain, gz, bz2, xz or zst",
    )
    cli.main.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write to"
    )
    cli.main.add_argument(
        "--min-length",
        type=_min_length,
        default=defaults.MIN_LENGTH,
        metavar="BP",
        help="leave out shorter contigs; auto: 2500 when contigs of 1000..2500 bp hold at least "
        "5 %% of the bases, else 1000",
    )
    cli.main.add_argument(
        "--sample-names",
        nargs="+",
        default=None,
        metavar="NAME",
        help="one per assembly, in their order (without: the file names)",
    )
    cli.main.add_argument(
        "--separator",
        default=defaults.SEPARATOR,
        metavar="TEXT",
        help="between sample and contig name",
    )
    add_circular(cli)
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    from llmbin_core import stages

    stages.prepare(
        args.contigs,
        args.out,
        min_length=args.min_length,
        sample_names=args.sample_names,
        separator=args.separator,
        circular=args.circular,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
