"""The whole run as one call with one typed result, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from llmbin_core import outputs, pipeline
from llmbin_core.bintable import Bin, BinTable, read_bins, read_contig2bin
from llmbin_core.report.facts import read_contigs_table
from llmbin_core.runner import Step
from llmbin_core.runoptions import RunOptions
from llmbin_core.runrecord import StageRecord, read_records

AnyPath = str | PathLike[str]


@dataclass(frozen=True)
class RunResult:
    """What a finished run left in its folder.

    Attributes
    ----------
    folder : Path
    steps : tuple of Step
        Which stages were run and why; those that were up to date have no reason.
    stages : tuple of StageRecord
        Time and memory of every stage, when it was run.
    table : BinTable
        The bins, best first, with all columns.
    contigs, bp, binned_bp : int
        Contigs that were binned or not, their bases, and the bases in bins.
    """

    folder: Path
    steps: tuple[Step, ...]
    stages: tuple[StageRecord, ...]
    table: BinTable
    contigs: int
    bp: int
    binned_bp: int

    @property
    def bins(self) -> tuple[Bin, ...]:
        """The bins, best first."""
        return self.table.bins

    @property
    def report(self) -> Path:
        """The page that shows them."""
        return self.folder / outputs.REPORT

    def contig2bin(self) -> dict[str, str]:
        """Contig -> bin, of the contigs that are in one."""
        return read_contig2bin(self.folder / outputs.CONTIG2BIN)

    def fasta(self, one: Bin) -> Path:
        """The FASTA file of a bin."""
        plain = self.folder / outputs.BINS_FOLDER / f"{one.name}.fa"
        return plain if plain.exists() else plain.with_name(f"{plain.name}.gz")


def run(
    contigs: AnyPath | Sequence[AnyPath], out: AnyPath, *, bams: Sequence[AnyPath] = (),
    depth_tables: Sequence[AnyPath] = (), **options: Any,
) -> RunResult:  # fmt: skip
    """Bin the contigs of one or several assemblies; run again, it goes on where it stopped.

    A script needs ``if __name__ == "__main__":`` around the call, because every stage runs in a
    process that starts afresh.

    Parameters
    ----------
    contigs : path, or sequence of paths
        Assembly; several for multi-sample binning.
    out : path
        Folder for everything.
    bams, depth_tables : sequence of paths
        Alignments of the samples, or tables of depths; one of the two.
    **options
        Other attributes of `llmbin_core.runoptions.RunOptions`.

    Raises
    ------
    LlmbinError
        Bad input or options, or a machine that is in the way; the message says what to do.
    """
    given = RunOptions(
        contigs=tuple(map(Path, [contigs] if isinstance(contigs, str | PathLike) else contigs)),
        out=Path(out),
        bams=tuple(map(Path, bams)),
        depth_tables=tuple(map(Path, depth_tables)),
        **options,
    )
    return read_result(given.out, pipeline.run(given))


def read_result(folder: Path, steps: Sequence[Step] = ()) -> RunResult:
    """The result of a run from its folder.

    Raises
    ------
    InputError
        A file is missing or not what a run writes.
    """
    table = read_bins(folder / outputs.BINS_TABLE)
    contigs, _ = read_contigs_table(folder / outputs.CONTIGS_TABLE)
    return RunResult(
        folder,
        tuple(steps),
        tuple(read_records(folder / outputs.RUN_RECORD).values()),
        table,
        len(contigs),
        int(contigs.lengths.sum()),
        sum(one.bp for one in table.bins),
    )
