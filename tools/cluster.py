"""llmbin-cluster: candidate partitions of the contigs of each sample."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmbin_tools._common import make_parser, run_tool
from llmbin_tools._options import (
    add_grid,
    add_join,
    add_min_bin_size,
    add_min_sample_contigs,
    add_out,
    add_reads,
    add_sample,
    check_join,
)

from llmbin_core import defaults
from llmbin_core.errors import UsageError


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "cluster",
        "Partition the contigs of each sample in many ways; llmbin-bin chooses among them.",
        "llmbin-cluster --latent latent.safetensors --markers markers.tsv "
        "--out partitions.safetensors",
        seed=True,
    )
    cli.main.add_argument(
        "--latent", type=Path, required=True, metavar="FILE", help="output of llmbin-encode"
    )
    cli.main.add_argument(
        "--markers", type=Path, default=None, metavar="TSV", help="table that llmbin-markers wrote"
    )
    add_join(cli, "--markers")
    cli.main.add_argument(
        "--coverage",
        type=Path,
        default=None,
        metavar="FILE",
        help="output of llmbin-coverage, for density clustering with depths",
    )
    add_out(cli)
    add_reads(cli)
    add_sample(cli, "cluster")
    add_min_bin_size(cli, "smaller bins do not count where the grid is refined; as for llmbin-bin")
    add_min_sample_contigs(cli)
    add_grid(cli)
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    unused: dict[str, Any] = {"grid": defaults.GRID, "seed": defaults.RANDOM_SEED}
    unused |= {"reads": defaults.READS, "min_bin_size": defaults.MIN_BIN_SIZE}
    check_join(args, ["markers"], unused | {"min_sample_contigs": defaults.MIN_SAMPLE_CONTIGS})
    if args.coverage and args.reads == defaults.READS:
        raise UsageError(f"--coverage has no effect with --reads {args.reads}; leave it out")

    from llmbin_core import stages

    if args.merge:
        stages.merge_partitions(args.merge, args.latent, args.out)
        return
    stages.cluster(
        args.latent,
        args.markers,
        args.out,
        coverage=args.coverage,
        sample=args.sample,
        min_sample_contigs=args.min_sample_contigs,
        min_bin_size=args.min_bin_size,
        grid=args.grid,
        reads=args.reads,
        seed=args.seed,
        threads=args.threads,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
