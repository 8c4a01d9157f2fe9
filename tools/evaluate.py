"""llmbin-evaluate: compare bins with a gold standard."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmbin_tools._common import log, make_parser, natural, run_tool

from llmbin_core.errors import UsageError

if TYPE_CHECKING:
    from llmbin_core import evaluate as ev


def _binning(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=PATH")
    return name, Path(path)


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "evaluate",
        "Compare binnings with a gold standard, by base pairs and by contigs, as AMBER does:\n"
        "purity and completeness, recovered genomes, F1, adjusted Rand index.\n"
        "Genomes are measured by their assembled part: the contigs of the gold standard.",
        "llmbin-evaluate --gold gold.tsv --bins llmbin=contig2bin.tsv --out evaluation.tsv",
    )
    cli.main.add_argument(
        "--gold",
        type=Path,
        required=True,
        metavar="TSV",
        help="table with the columns contig, genome, length, or CAMI format (@@SEQUENCEID ...)",
    )
    cli.main.add_argument(
        "--bins",
        type=_binning,
        nargs="+",
        required=True,
        metavar="NAME=PATH",
        help="binnings: contig-to-bin table (with or without header, or CAMI format) or a folder "
        "of FASTA files; bins named -1 or unbinned are left out",
    )
    cli.main.add_argument(
        "--out", type=Path, required=True, metavar="TSV", help="table to write: a line per binning"
    )
    cli.main.add_argument(
        "--genomes-out", type=Path, metavar="TSV", help="also write a line per genome"
    )
    cli.main.add_argument("--bins-out", type=Path, metavar="TSV", help="also write a line per bin")
    cli.main.add_argument(
        "--min-bin-size",
        type=natural,
        default=0,
        metavar="BP",
        help="smaller bins count as unbinned",
    )
    cli.main.add_argument(
        "--min-contig",
        type=natural,
        default=0,
        metavar="BP",
        help="leave out shorter contigs, also from the size of the genomes",
    )
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    from llmbin_core import evaluate as ev

    names = [name for name, _ in args.bins]
    double = next((n for n in names if names.count(n) > 1), None)
    if double is not None:
        raise UsageError(f"--bins: '{double}' names several binnings; give each its own name")
    gold = ev.read_gold(args.gold, args.min_contig)
    results = []
    for name, path in args.bins:
        result = ev.evaluate(gold, ev.read_binning(name, path), args.min_bin_size)
        results.append(result)
        _report(result, path)
    ev.write_summary(args.out, results)
    if args.genomes_out:
        ev.write_genomes(args.genomes_out, results)
    if args.bins_out:
        ev.write_bins(args.bins_out, results)


def _report(result: ev.Evaluation, path: Path) -> None:
    if result.unknown_contigs:
        log.warning(
            "%s: %d contigs are not in the gold standard and were left out",
            path,
            result.unknown_contigs,
        )
    if result.repeated_contigs:
        log.warning(
            "%s: %d contigs lie in a further bin and count in each", path, result.repeated_contigs
        )
    if not result.bins:
        log.warning("%s: no bins", path)
    log.info(
        "%s: %d bins; %d of %d genomes > 90 %% complete, < 5 %% contaminated; "
        "completeness %.3f, purity %s",
        result.name,
        len(result.bins),
        result.recovered[90, 5],
        len(result.genomes),
        result.completeness_bp,
        "unknown" if result.purity_bp is None else f"{result.purity_bp:.3f}",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
