"""llmbin-composition: 4-mer spectra of the views of every contig."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from llmbin_tools._common import make_parser, run_tool
from llmbin_tools._options import add_out, add_reads, add_shards, add_views, check_source

from llmbin_core import defaults


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "composition",
        "Count canonical 4-mers in every view of every contig.\n"
        "Contigs can be shared out over machines (--shard) and the parts joined (--merge).",
        "llmbin-composition --contigs contigs.fasta.gz --out composition.safetensors",
        seed=True,
    )
    add_shards(cli)
    add_out(cli)
    add_reads(cli)
    add_views(cli)
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    unused = {
        "views": defaults.N_VIEWS,
        "seed": defaults.RANDOM_SEED,
        "reads": defaults.READS,
    }
    check_source(args, unused)

    from llmbin_core import stages

    if args.merge:
        stages.merge_shards(args.merge, args.out)
    else:
        stages.composition(
            args.contigs,
            args.out,
            n_views=args.views,
            seed=args.seed,
            reads=args.reads,
            shard=args.shard or (1, 1),
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
