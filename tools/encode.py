"""llmbin-encode: latents of contigs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmbin_tools._common import make_parser, run_tool
from llmbin_tools._options import add_out, add_split


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
        required=True,
        metavar="NAME",
        help="output of llmbin-train, or name of a bundled or installed encoder (llmbin models "
        "list)",
    )
    add_out(cli)
    add_split(cli)
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    from llmbin_core import stages

    stages.encode(
        args.features,
        args.model,
        args.out,
        separator=args.separator,
        device=args.device,
        threads=args.threads,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
