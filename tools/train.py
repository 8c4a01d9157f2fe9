"""llmbin-train: train a binning encoder on the features of one or several samples."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmbin_tools._common import make_parser, run_tool
from llmbin_tools._options import add_out, add_training, training_options


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "train",
        "Train a binning encoder on composition, coverage and, where given, embedding of one or\n"
        "several samples, by contrasting views of contigs.",
        "llmbin-train --features composition.safetensors coverage.safetensors "
        "--out model.safetensors",
        seed=True,
        device=True,
    )
    cli.main.add_argument(
        "--features",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="outputs of composition, coverage and embed, or folders that hold them; files of the "
        "same contigs form a sample",
    )
    add_out(cli, "model to write")
    cli.main.add_argument(
        "--curve", type=Path, default=None, metavar="TSV", help="also write the training curve"
    )
    cli.advanced.add_argument(
        "--checkpoint",
        type=Path,
        default=None,
        metavar="FILE",
        help="written during training and removed after it; a training that was stopped goes on "
        "from there",
    )
    add_training(cli)
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    from llmbin_core import stages

    stages.train(
        args.features,
        args.out,
        curve_out=args.curve,
        checkpoint=args.checkpoint,
        device=args.device,
        threads=args.threads,
        seed=args.seed,
        **training_options(args),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
