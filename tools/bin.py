"""llmbin-bin: choose bins among the candidate partitions and write them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmbin_tools._common import make_parser, run_tool
from llmbin_tools._options import (
    add_bin_options,
    add_contigs,
    add_join,
    add_out,
    add_sample,
    check_join,
)

from llmbin_core import defaults


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "bin",
        "Choose bins among the candidate partitions by completeness, contamination and size, and\n"
        "write them with their tables.",
        "llmbin-bin --partitions partitions.safetensors --markers markers.tsv "
        "--sets marker_sets.json --contigs contigs.fasta.gz --out binned",
    )
    cli.main.add_argument(
        "--partitions", type=Path, default=None, metavar="FILE", help="output of llmbin-cluster"
    )
    cli.main.add_argument(
        "--markers", type=Path, default=None, metavar="TSV", help="table that llmbin-markers wrote"
    )
    cli.main.add_argument(
        "--sets", type=Path, default=None, metavar="JSON", help="marker sets it wrote with it"
    )
    add_contigs(cli)
    cli.main.add_argument(
        "--coverage",
        type=Path,
        default=None,
        metavar="FILE",
        help="output of llmbin-coverage: adds the mean depth of the bins per sample, and tells "
        "strains of one species apart",
    )
    cli.main.add_argument(
        "--latent",
        type=Path,
        default=None,
        metavar="FILE",
        help="output of llmbin-encode: with --coverage, contigs that contradict their bin are told",
    )
    add_join(cli, "--partitions, --markers and --sets", "DIR")
    add_sample(cli, "bin")
    add_out(cli, "folder to write to", "DIR")
    add_bin_options(cli)
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    unused: dict[str, Any] = {
        "coverage": None,
        "latent": None,
        "min_bin_size": defaults.MIN_BIN_SIZE,
    }
    unused |= {"choose": defaults.CHOOSE, "prefix": defaults.PREFIX}
    check_join(args, ["partitions", "markers", "sets"], unused)

    from llmbin_core import stages

    if args.merge:
        stages.merge_bins(args.merge, args.contigs, args.out, compress=args.gzip)
        return
    stages.make_bins(
        args.partitions,
        args.markers,
        args.sets,
        args.contigs,
        args.out,
        coverage=args.coverage,
        latent=args.latent,
        sample=args.sample,
        min_bin_size=args.min_bin_size,
        choose=args.choose,
        compress=args.gzip,
        prefix=args.prefix,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
