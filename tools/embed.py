"""llmbin-embed: embedding of the views of every contig by a genomic language model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from llmbin_tools._common import make_parser, run_tool
from llmbin_tools._options import add_out, add_reads, add_shards, add_views, check_source

from llmbin_core import defaults


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "embed",
        "Embed every view of every contig with a genomic language model (gLM).\n"
        "Contigs can be shared out over machines (--shard) and the parts joined (--merge).",
        "llmbin-embed --contigs contigs.fasta.gz --out embedding.safetensors",
        seed=True,
        device=True,
    )
    add_shards(cli)
    cli.main.add_argument(
        "--glm",
        default=defaults.GLM,
        metavar="NAME",
        help="name of a gLM or baseline, or a gLM folder",
    )
    add_out(cli)
    add_reads(cli)
    add_views(cli)
    cli.advanced.add_argument(
        "--per-view",
        action="store_true",
        help="run the model on each view instead of pooling one pass over the contig",
    )
    cli.advanced.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="let the transformers library run Python code that comes with a gLM of others",
    )
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    unused = {
        "glm": defaults.GLM,
        "views": defaults.N_VIEWS,
        "seed": defaults.RANDOM_SEED,
        "reads": defaults.READS,
        "device": "auto",
        "per_view": False,
        "trust_remote_code": False,
    }
    check_source(args, unused)

    from llmbin_core import stages

    if args.merge:
        stages.merge_shards(args.merge, args.out)
    else:
        stages.embed(
            args.contigs,
            args.out,
            glm=args.glm,
            n_views=args.views,
            seed=args.seed,
            reads=args.reads,
            shard=args.shard or (1, 1),
            device=args.device,
            per_view=args.per_view,
            trust_remote_code=args.trust_remote_code,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
