"""llmbin-report: a page that shows the bins, and files for MultiQC."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmbin_tools._common import make_parser, natural, run_tool

from llmbin_core import defaults, outputs
from llmbin_core.errors import UsageError

# Option -> where `llmbin run` leaves the file, and what it is.
_FILES = {
    "bins": (outputs.BINS_TABLE, "table of bins"),
    "contig2bin": (outputs.CONTIG2BIN, "bin of every contig; the figures of contigs need it"),
    "contigs_table": (outputs.CONTIGS_TABLE, "table of contigs that llmbin-prepare wrote"),
    "coverage": (outputs.COVERAGE, "output of llmbin-coverage: depth of contigs"),
    "latent": (outputs.LATENT, "output of llmbin-encode: the latent map"),
    "partitions": (outputs.PARTITIONS, "output of llmbin-cluster: the candidates"),
    "markers": (outputs.MARKERS, "table that llmbin-markers wrote, for the candidates"),
    "sets": (outputs.MARKER_SETS, "marker sets it wrote with it"),
    "curve": (outputs.TRAINING_CURVE, "training curve that llmbin-train wrote"),
    "bin_files": (outputs.BINS_FOLDER, "folder of the bins, for links to them"),
    "record": (outputs.RUN_RECORD, "record of llmbin run: time, memory, versions"),
}


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "report",
        f"Show bins in one page ({outputs.REPORT}, which needs no network), and write files for\n"
        "MultiQC. Give the folder of llmbin run, or the files one by one; of these only --bins is\n"
        "needed, the others add figures.",
        "llmbin-report --run binned",
    )
    add = cli.main.add_argument
    add("--run", type=Path, default=None, metavar="DIR", help="folder that llmbin run wrote")
    add("--out", type=Path, default=None, metavar="DIR",
        help="folder to write to (without: that of --run)")  # fmt: skip
    add("--title", default="", metavar="TEXT",
        help="name of the run (without: that of its only sample or of its assembly)")  # fmt: skip
    for name, (_, text) in _FILES.items():
        option = f"--{name.replace('_', '-')}"
        add(option, type=Path, default=None, metavar="PATH", help=text)
    cli.advanced.add_argument(
        "--min-bin-size",
        type=natural,
        default=defaults.MIN_BIN_SIZE,
        metavar="BP",
        help="as given to llmbin-bin: smaller clusters of a candidate do not count",
    )
    return cli.parser


def _body(args: argparse.Namespace) -> None:
    given = {name: getattr(args, name) for name in _FILES}
    if args.run is not None:
        found = {name: args.run / file for name, (file, _) in _FILES.items()}
        # The table of bins has to be there: what is missing is told by name.
        found = {n: p for n, p in found.items() if n == "bins" or p.exists()}
        given = {name: path or found.get(name) for name, path in given.items()}
    out = args.out or args.run
    if given["bins"] is None or out is None:
        raise UsageError("give either --run, or --bins and --out")

    from llmbin_core import stages

    stages.report(out=out, min_bin_size=args.min_bin_size, title=args.title, **given)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
