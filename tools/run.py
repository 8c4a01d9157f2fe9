"""llmbin run: all stages, from contigs and alignments to bins, in one folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmbin_tools._common import Cli, log, make_parser, positive, run_tool
from llmbin_tools._options import (
    add_bin_options,
    add_circular,
    add_depth_filters,
    add_grid,
    add_min_sample_contigs,
    add_out,
    add_profiles,
    add_reads,
    add_training,
    add_views,
    training_options,
)

from llmbin_core import defaults, outputs

if TYPE_CHECKING:
    from llmbin_core.results import RunResult


def _min_length(text: str) -> int | str:
    return text if text == "auto" else positive(text)


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "run",
        "Bin the contigs of an assembly, or of each sample's own: all stages in one folder.\n"
        "Given again, the same command goes on where it stopped; with another option or input it\n"
        "runs what depends on it.",
        "llmbin run --contigs assembly.fasta.gz --bam *.bam --out binned",
        seed=True,
        device=True,
    )
    _add_main(cli)
    add_reads(cli, "; with --depth-table the latter alone")
    add_circular(cli)
    add_bin_options(cli)
    _add_run_control(cli)
    add_depth_filters(cli)
    add_profiles(cli)
    add_views(cli)
    _add_samples(cli)
    add_training(cli)
    add_grid(cli)
    return cli.parser


def _add_main(cli: Cli) -> None:
    add = cli.main.add_argument
    add("--contigs", type=Path, nargs="+", required=True, metavar="FASTA",
        help="assembly, or one per sample (multi-sample binning: their contigs are named "
        "SAMPLE:CONTIG, and the reads are mapped to all of them); plain, gz, bz2, xz or "
        "zst")  # fmt: skip
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
        help="gLM that embeds the contigs: name of a bundled or installed one (llmbin models "
        "list), baseline or gLM folder; none: no embedding")  # fmt: skip
    add("--model", default=None, metavar="NAME",
        help="encoder to use instead of training one: name of a bundled or installed one (llmbin "
        "models list), or output of llmbin-train")  # fmt: skip


def _add_samples(cli: Cli) -> None:
    add = cli.advanced.add_argument
    add("--multi-sample", choices=defaults.MULTI_SAMPLE, default="auto",
        help="bin the contigs of each sample on their own; auto: with several assemblies, or with "
        "one in which every contig is named SAMPLE:CONTIG")  # fmt: skip
    add("--assembly-names", nargs="+", default=(), metavar="NAME",
        help="samples of several assemblies, in their order (without: the file names)")  # fmt: skip
    add("--separator", default=defaults.SEPARATOR, metavar="TEXT",
        help="between sample and contig name")  # fmt: skip
    add("--model-per-sample", action="store_true",
        help="multi-sample binning: train a model for each sample, not one for all")  # fmt: skip
    add_min_sample_contigs(cli)


def _add_run_control(cli: Cli) -> None:
    add = cli.main.add_argument
    add("--from", dest="first", default=None, metavar="STAGE",
        help="run this stage and all that use its results, even if they are up to "
        "date")  # fmt: skip
    add("--dry-run", action="store_true", help="only say what would be run, and why")


def _body(args: argparse.Namespace) -> None:
    from llmbin_core import pipeline
    from llmbin_core.runoptions import RunOptions

    kept = defaults.NETWORK if args.init is not None else ()
    training = {
        name: value
        for name, value in training_options(args).items()
        if name in kept or value != defaults.TRAINING[name]
    }
    options = RunOptions(
        contigs=tuple(args.contigs),
        out=args.out,
        bams=tuple(args.bam),
        depth_tables=tuple(args.depth_table),
        sample_names=tuple(args.sample_names),
        reference=args.reference,
        profiles=args.profiles,
        marker_sets=args.marker_sets,
        assembly_names=tuple(args.assembly_names),
        separator=args.separator,
        multi_sample=args.multi_sample,
        model=args.model,
        init=args.init,
        per_sample=args.model_per_sample,
        taxonomy=args.taxonomy,
        glm=args.glm,
        min_length=args.min_length,
        min_mapq=args.min_mapq,
        min_identity=args.min_identity,
        n_views=args.views,
        seed=args.seed,
        reads=args.reads,
        circular=args.circular,
        grid=args.grid,
        min_sample_contigs=args.min_sample_contigs,
        min_bin_size=args.min_bin_size,
        choose=args.choose,
        compress=args.gzip,
        prefix=args.prefix,
        training=training,
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
    from llmbin_core.results import read_result

    _show(read_result(args.out, steps))


def _show(result: RunResult) -> None:
    """The last lines of a run: bins by class, what is in none, time and memory of the stages."""
    from llmbin_core.wording import duration, megabases

    rows = [("bins", "number", "size", "share")]
    for name, bins in result.table.classes.items():
        rows.append((name, str(len(bins)), *_part(sum(one.bp for one in bins), result.bp)))
    rows.append(("in no bin", "", *_part(result.bp - result.binned_bp, result.bp)))
    ran = {step.stage for step in result.steps if step.reason}
    rows.append(("stages", "time", "CPU time", "memory"))
    for stage in result.stages:
        if stage.name in {step.stage for step in result.steps}:
            times = (duration(stage.wall_seconds), duration(stage.cpu_seconds))
            before = "" if stage.name in ran else " (before)"
            rows.append((f"{stage.name}{before}", *times, f"{stage.peak_mib:.0f} MiB"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        log.info("%s", "  ".join((first.ljust(widths[0]), *cells)).rstrip())
    near = len(result.table.classes["near-complete"])
    size = megabases(result.binned_bp)
    log.info("%d bins of %s, %d of them near-complete", len(result.bins), size, near)
    for name in (outputs.BINS_FOLDER, outputs.BINS_TABLE, outputs.CONTIG2BIN, outputs.REPORT):
        log.info("%s", result.folder / name)


def _part(bp: int, whole: int) -> tuple[str, str]:
    from llmbin_core.wording import megabases, percent

    return megabases(bp), percent(bp / max(whole, 1))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
