"""llmbin run: all stages, from contigs and alignments to bins, in one folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmbin_tools._common import Cli, log, make_parser, positive, run_tool
from llmbin_tools._options import (
    add_bin_options,
    add_circular,
    add_depth_filters,
    add_grid,
    add_out,
    add_profiles,
    add_reads,
    add_training,
    add_views,
    training_options,
)

from llmbin_core import defaults, outputs

_SHOWN_BINS = 20


def _min_length(text: str) -> int | str:
    return text if text == "auto" else positive(text)


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "run",
        "Bin the contigs of an assembly: all stages in one folder.\n"
        "Given again, the same command goes on where it stopped; with another option or input it\n"
        "runs what depends on it.",
        "llmbin run --contigs assembly.fasta.gz --bam *.bam --out binned",
        seed=True,
        device=True,
    )
    _add_main(cli)
    add_reads(cli)
    add_circular(cli)
    add_bin_options(cli)
    _add_run_control(cli)
    add_depth_filters(cli)
    add_profiles(cli)
    add_views(cli)
    add_training(cli)
    add_grid(cli)
    return cli.parser


def _add_main(cli: Cli) -> None:
    add = cli.main.add_argument
    add("--contigs", type=Path, nargs="+", required=True, metavar="FASTA",
        help="assembly; plain, gz, bz2, xz or zst")  # fmt: skip
    source = cli.main.add_mutually_exclusive_group(required=True)
    source.add_argument("--bam", type=Path, nargs="+", default=(), metavar="BAM",
        help="reads of each sample mapped to the assembly; BAM or CRAM, sorted or not")  # fmt: skip
    source.add_argument("--depth-table", type=Path, nargs="+", default=(), metavar="TSV",
        help="instead of BAM: tables of jgi_summarize_bam_contig_depths, CoverM or strobealign "
        "--aemb; results are better with BAM")  # fmt: skip
    add_out(cli, "folder to write to", "DIR")
    add("--sample-names", nargs="+", default=(), metavar="NAME",
        help="one per sample, in their order (without: the file names)")  # fmt: skip
    add("--min-length", type=_min_length, default=defaults.MIN_LENGTH, metavar="BP",
        help="leave out shorter contigs; auto: 2500 when contigs of 1000..2500 bp hold at least "
        "5 %% of the bases, else 1000")  # fmt: skip
    add("--glm", default=defaults.GLM, metavar="NAME",
        help="gLM or baseline that embeds the contigs, or a gLM folder; none: no "
        "embedding")  # fmt: skip
    add("--model", type=Path, default=None, metavar="FILE",
        help="output of llmbin-train to use instead of training one")  # fmt: skip


def _add_run_control(cli: Cli) -> None:
    add = cli.main.add_argument
    add("--from", dest="first", default=None, metavar="STAGE",
        help="run this stage and all that use its results, even if they are up to "
        "date")  # fmt: skip
    add("--dry-run", action="store_true", help="only say what would be run, and why")


def _body(args: argparse.Namespace) -> None:
    from llmbin_core import pipeline

    training = training_options(args)
    options = pipeline.RunOptions(
        contigs=tuple(args.contigs),
        out=args.out,
        bams=tuple(args.bam),
        depth_tables=tuple(args.depth_table),
        sample_names=tuple(args.sample_names),
        reference=args.reference,
        profiles=args.profiles,
        marker_sets=args.marker_sets,
        model=args.model,
        glm=args.glm,
        min_length=args.min_length,
        min_mapq=args.min_mapq,
        min_identity=args.min_identity,
        n_views=args.views,
        seed=args.seed,
        reads=args.reads,
        circular=args.circular,
        grid=args.grid,
        min_bin_size=args.min_bin_size,
        choose=args.choose,
        compress=args.gzip,
        prefix=args.prefix,
        training={k: v for k, v in training.items() if v != defaults.TRAINING[k]},
        device=args.device,
        threads=args.threads,
    )
    steps = pipeline.run(options, first=args.first, dry_run=args.dry_run)
    if args.dry_run:
        for step in steps:
            print(
                f"{step.stage}\t{'run' if step.reason else 'skip'}\t{step.reason or 'up to date'}"
            )
        return
    _show(pipeline.read_bins(args.out), args.out)


def _show(bins: Sequence[dict[str, str]], out: Path) -> None:
    names = ("bin", "bp", "completeness", "contamination", "class")
    table = [names, *(tuple(row[name] for name in names) for row in bins[:_SHOWN_BINS])]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table if bins else ():
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        log.info("%s", "  ".join(padded))
    if len(bins) > _SHOWN_BINS:
        log.info("... and %d more", len(bins) - _SHOWN_BINS)
    near = sum(row["class"] == "near-complete" for row in bins)
    log.info("%d bins, %d of them near-complete", len(bins), near)
    for name in (outputs.BINS_FOLDER, outputs.BINS_TABLE, outputs.CONTIG2BIN, outputs.RUN_RECORD):
        log.info("%s", out / name)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
