"""Joining the bins of samples, which are checked against the contigs of all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from llmbin_core import outputs
from llmbin_core.bins.writing import write_unbinned
from llmbin_core.contigs import ContigSet, read_contigs
from llmbin_core.errors import InputError
from llmbin_core.fasta import iter_fasta
from llmbin_core.files import atomic_folder, compression_of, open_decompressed, write_text

# Tables of a folder; whether their first line is a header.
_TABLES = {
    outputs.CONTIG2BIN: True,
    outputs.CONTIG2BIN_DASTOOL: False,
    outputs.OUTLIERS: True,
    outputs.SAMPLES_TABLE: True,
    outputs.BINS_TABLE: True,
}


def join_folders(folders: Sequence[Path], contigs: Path, out: Path, compress: bool) -> None:
    """Write the folder of all samples; see `llmbin_core.stages.merge_bins`.

    Raises
    ------
    InputError
        A folder of no single sample, a sample given twice, tables with other columns, a contig
        that is missing, given twice, unknown or has other bases.
    """
    ending = ".gz" if compress else ""
    of_sample: dict[str, Path] = {}
    for folder in folders:
        sample = _sample(folder)
        if sample in of_sample:
            raise InputError(
                f"{of_sample[sample]} and {folder} are both of sample '{sample}'; give every "
                "sample once"
            )
        of_sample[sample] = folder
    ordered = [of_sample[sample] for sample in sorted(of_sample)]
    whole = read_contigs(contigs)
    tables = {name: _join_tables([f / name for f in ordered], _TABLES[name]) for name in _TABLES}
    unbinned = _check(ordered, whole, contigs, ending)
    with atomic_folder(out / outputs.BINS_FOLDER) as target:
        for folder in ordered:
            for path in _bins(folder, ending):
                shutil.copyfile(path, target / path.name)
    write_unbinned(out / f"{outputs.UNBINNED}{ending}", whole, unbinned)
    for name, text in tables.items():
        write_text(out / name, text)


def _sample(folder: Path) -> str:
    lines = _lines(folder / outputs.SAMPLES_TABLE)
    if len(lines) != 2:
        raise InputError(f"{folder}: is not of one sample; make it with llmbin-bin --sample")
    return lines[1].split("\t")[0]


def _lines(path: Path) -> list[str]:
    with open_decompressed(path) as handle:
        # By line feeds alone: names may hold other characters that `str.splitlines` ends lines at.
        lines = handle.read().decode().split("\n")
    return lines[:-1] if not lines[-1] else lines


def _join_tables(paths: Sequence[Path], with_header: bool) -> str:
    joined: list[str] = []
    for path in paths:
        lines = _lines(path)
        if with_header and joined and lines[:1] != joined[:1]:
            raise InputError(f"{paths[0]} and {path} have other columns; bin all samples alike")
        joined += lines[1:] if with_header and joined else lines
    return "".join(f"{line}\n" for line in joined)


def _bins(folder: Path, ending: str) -> list[Path]:
    return sorted((folder / outputs.BINS_FOLDER).glob(f"*.fa{ending}"))


def _records(folders: Sequence[Path], ending: str) -> Iterator[tuple[Path, str, bytes, bool]]:
    for folder in folders:
        for path in _bins(folder, ending):
            yield from ((path, *record, True) for record in iter_fasta(path))
        rest = folder / f"{outputs.UNBINNED}{ending}"
        compression_of(rest)  # a missing file is reported as such
        if rest.stat().st_size:
            yield from ((rest, *record, False) for record in iter_fasta(rest, may_be_empty=True))


def _check(folders: Sequence[Path], whole: ContigSet, source: Path, ending: str) -> list[int]:
    """Compare all records with the contigs; returns the rows of those in no bin."""
    row_of = {name: row for row, name in enumerate(whole.table.names)}
    state = np.zeros(len(whole), dtype=np.int8)  # 1 in a bin, 2 in none
    for path, name, letters, binned in _records(folders, ending):
        row = row_of.get(name)
        if row is None or whole.letters(row) != letters:
            what = "is not in" if row is None else "has other bases in"
            raise InputError(f"{path}: contig '{name}' {what} {source}; bin the same contigs")
        if state[row]:
            raise InputError(f"{path}: contig '{name}' stands in another file already")
        state[row] = 1 if binned else 2
    missing = np.flatnonzero(state == 0)
    if len(missing):
        raise InputError(
            f"{len(missing)} contigs of {source} are in none of the folders, such as "
            f"'{whole.table.names[missing[0]]}'; give those of all samples"
        )
    rows: list[int] = np.flatnonzero(state == 2).tolist()
    return rows
