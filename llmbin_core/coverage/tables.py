"""Depth tables of other programs: jgi_summarize_bam_contig_depths, CoverM, strobealign --aemb.

Which program wrote a table is told by its first line. The tables know contigs, not views.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmbin_core.contigs import ContigTable
from llmbin_core.coverage.samples import sample_name
from llmbin_core.errors import InputError
from llmbin_core.files import open_decompressed

_JGI_FIXED = 3
_JGI_VARIANCE = "-var"
_COVERM_MEAN, _COVERM_VARIANCE, _COVERM_TRIMMED = " Mean", " Variance", " Trimmed Mean"

_ACCEPTED = (
    "give the output of jgi_summarize_bam_contig_depths, of 'coverm contig -m mean variance', or "
    "of 'strobealign --aemb' (one file per sample)"
)


@dataclass(frozen=True)
class TableColumn:
    """Depth of one sample in a table: mean and variance (0 where it has none), float64 [n]."""

    sample: str
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]


class _Layout(NamedTuple):
    """Where a table holds what; columns are numbered from 0."""

    samples: list[str]
    mean: list[int]
    variance: list[int | None]
    length: int | None
    columns: int
    has_header: bool


def read_depth_table(path: Path, contigs: ContigTable) -> list[TableColumn]:
    """Read the samples of one depth table.

    Parameters
    ----------
    path : Path
        Tab-separated, plain or compressed; contigs beyond the set are passed over.
    contigs : ContigTable

    Raises
    ------
    InputError
        An unknown format; a contig missing, doubled or of another length; a depth that is no
        number, negative or not finite. The message names file and line.
    """
    row_of = {name: row for row, name in enumerate(contigs.names)}
    line_of = np.zeros(len(contigs), dtype=np.int64)
    layout: _Layout | None = None
    values = np.empty((0, 0))
    wanted: list[int] = []
    with open_decompressed(path) as handle:
        for number, raw in enumerate(handle, 1):
            fields = _fields(path, number, raw)
            if layout is None:
                layout = _layout(path, fields)
                wanted = [*layout.mean, *(c for c in layout.variance if c is not None)]
                values = np.zeros((len(contigs), layout.columns))
                if layout.has_header:
                    continue
            row = row_of.get(fields[0])
            if row is None:
                continue
            if len(fields) != layout.columns:
                raise InputError(
                    f"{path}, line {number}: {len(fields)} columns, but the first line has "
                    f"{layout.columns}; is the file cut short?"
                )
            if line_of[row]:
                raise InputError(
                    f"{path}, line {number}: contig '{fields[0]}' stands already at line "
                    f"{line_of[row]}; every contig must stand once"
                )
            line_of[row] = number
            _check_length(path, number, fields, layout, int(contigs.lengths[row]))
            for column in wanted:
                values[row, column] = _depth(path, number, fields[column])
    if layout is None:
        raise InputError(f"{path}: is empty; {_ACCEPTED}")
    _require_all(path, contigs, line_of)
    nothing = np.zeros(len(contigs))
    return [
        TableColumn(sample, values[:, mean], nothing if var is None else values[:, var])
        for sample, mean, var in zip(layout.samples, layout.mean, layout.variance, strict=True)
    ]


def samples_of_table(path: Path) -> list[str]:
    """Names of the samples of a depth table, by its first line.

    Raises
    ------
    InputError
        See `read_depth_table`.
    """
    with open_decompressed(path) as handle:
        first = next(iter(handle), None)
    if first is None:
        raise InputError(f"{path}: is empty; {_ACCEPTED}")
    return _layout(path, _fields(path, 1, first)).samples


def _fields(path: Path, number: int, raw: bytes) -> list[str]:
    try:
        return raw.decode().rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        raise InputError(f"{path}, line {number}: not text; {_ACCEPTED}") from None


def _layout(path: Path, first: Sequence[str]) -> _Layout:
    columns = len(first)
    if first[0] == "contigName" and columns > _JGI_FIXED:
        mean = [c for c in range(_JGI_FIXED, columns) if not first[c].endswith(_JGI_VARIANCE)]
        variance = [_find(first, first[c] + _JGI_VARIANCE) for c in mean]
        names = [sample_name(first[c]) for c in mean]
        return _Layout(names, mean, variance, 1, columns, True)
    if first[0] == "Contig":
        mean = [
            c
            for c, title in enumerate(first)
            if title.endswith(_COVERM_MEAN) and not title.endswith(_COVERM_TRIMMED)
        ]
        if not mean:
            raise InputError(
                f"{path}, line 1: has no column '<sample> Mean'; run 'coverm contig -m mean "
                "variance' with the dense output format"
            )
        titles = [first[c].removesuffix(_COVERM_MEAN) for c in mean]
        variance = [_find(first, title + _COVERM_VARIANCE) for title in titles]
        return _Layout([sample_name(t) for t in titles], mean, variance, None, columns, True)
    if columns == 2 and _is_number(first[1]):
        return _Layout([sample_name(path.name)], [1], [None], None, columns, False)
    raise InputError(f"{path}, line 1: no depth table, starts with {first[0][:40]!r}; {_ACCEPTED}")


def _find(titles: Sequence[str], title: str) -> int | None:
    return titles.index(title) if title in titles else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_length(
    path: Path, number: int, fields: Sequence[str], layout: _Layout, length: int
) -> None:
    if layout.length is None:
        return
    text = fields[layout.length]
    if not _is_number(text) or float(text) != length:
        raise InputError(
            f"{path}, line {number}: contig '{fields[0]}' has {text} bp here and {length} bp in "
            "the FASTA; give the depths of these contigs"
        )


def _depth(path: Path, number: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(
            f"{path}, line {number}: {text!r} is not a depth; expected a number of at least 0"
        )
    return value


def _require_all(path: Path, contigs: ContigTable, line_of: NDArray[np.int64]) -> None:
    absent = np.flatnonzero(line_of == 0)
    if not len(absent):
        return
    shown = ", ".join(f"'{contigs.names[row]}'" for row in absent[:3].tolist())
    if len(absent) == len(contigs):
        raise InputError(
            f"{path}: holds none of the {len(contigs)} contigs ({shown} ...); "
            "was it made from another assembly?"
        )
    raise InputError(
        f"{path}: lacks {len(absent)} of {len(contigs)} contigs: {shown}"
        f"{', ...' if len(absent) > 3 else ''}; make it from the FASTA given here"
    )
