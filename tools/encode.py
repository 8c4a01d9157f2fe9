"""llmbin-encode: latents of contigs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmbin_tools._common import make_parser, run_tool
from llmbin_tools._options import add_join, add_out, add_sample, add_split, check_join


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "encode",
        "Encode contigs with a binning encoder.",
        "llmbin-encode --features composition.safetensors coverage.safetensors "
        "--model model.safetensors --out latent.safetensors",
        device=True,
    )
    cli.main.add_argument(
        "--features",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="outputs of composition, coverage and embed of one set of contigs, or the folder that "
        "holds them",
    )
    cli.main.add_argument(
        "--model",
        default=None,
        metavar="NAME",
        help="output of llmbin-train, or name of a bundled or installed encoder (llmbin models "
        "list)",
    )
    add_join(cli, "--model")
    add_out(cli)
    add_sample(cli, "encode")
    add_split(cli)
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    check_join(args, ["model"], {"separator": None})

    from llmbin_core import stages

    if args.merge:
        stages.merge_latents(args.merge, args.features, args.out)
        return
    stages.encode(
        args.features,
        args.model,
        args.out,
        separator=args.separator,
        sample=args.sample,
        device=args.device,
        threads=args.threads,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
