"""llmbin-markers: single-copy marker genes on the contigs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmbin_tools._common import make_parser, run_tool
from llmbin_tools._options import add_out, add_profiles, add_shards, check_source

from llmbin_core.errors import UsageError


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "markers",
        "Call genes on the contigs and find single-copy marker genes with profile HMMs.\n"
        "Contigs can be shared out over machines (--shard) and the tables joined (--merge).",
        "llmbin-markers --contigs contigs.fasta.gz --out markers.tsv --sets-out marker_sets.json",
    )
    add_shards(cli)
    add_out(cli, "table of marker genes to write", "TSV")
    cli.main.add_argument(
        "--sets-out",
        type=Path,
        default=None,
        metavar="JSON",
        help="marker sets to write; llmbin-bin needs them with the table",
    )
    add_profiles(cli)
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    check_source(args, {"sets_out": None, "profiles": None, "marker_sets": None})
    if args.contigs and args.sets_out is None:
        raise UsageError("--contigs needs --sets-out: where to write the marker sets")

    from llmbin_core import stages

    if args.merge:
        stages.merge_markers(args.merge, args.out)
    else:
        stages.markers(
            args.contigs,
            args.out,
            args.sets_out,
            profiles=args.profiles,
            marker_sets=args.marker_sets,
            shard=args.shard or (1, 1),
            threads=args.threads,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
