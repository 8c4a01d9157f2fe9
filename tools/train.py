"""llmbin-train: train a binning encoder on the features of one or several samples."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmbin_tools._common import make_parser, run_tool
from llmbin_tools._options import add_out, add_sample, add_split, add_training, training_options


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "train",
        "Train a binning encoder on composition, coverage and, where given, embedding of one or\n"
        "several samples, by contrasting views of contigs. For a cohort, train on some samples\n"
        "with one alignment each, and bin all of them with the model (llmbin run --model).",
        "llmbin-train --features sample1 sample2 sample3 --out model.safetensors",
        seed=True,
        device=True,
    )
    cli.main.add_argument(
        "--features",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="folders with the outputs of composition, coverage and embed, one for each sample; or "
        "the files: those of the same contigs form a sample",
    )
    add_out(cli, "model to write (with --per-sample: folder)")
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
    cli.advanced.add_argument(
        "--per-sample",
        action="store_true",
        help="with --separator: train a model for each sample, not one for all",
    )
    cli.advanced.add_argument(
        "--half", action="store_true", help="store the weights in 16 bits: half the size"
    )
    add_sample(cli, "train on")
    add_split(cli)
    add_training(cli)
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    from llmbin_core import stages

    stages.train(
        args.features,
        args.out,
        separator=args.separator,
        sample=args.sample,
        per_sample=args.per_sample,
        init=args.init,
        taxonomy=args.taxonomy,
        half=args.half,
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
