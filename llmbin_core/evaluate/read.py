"""Reading gold standards and binnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llmbin_core.errors import InputError
from llmbin_core.fasta import iter_fasta
from llmbin_core.files import open_decompressed

_UNBINNED = {"", "-1", "unbinned"}
_CONTIG = ("contig", "contigname", "contig_name", "contig_id", "sequenceid", "scaffold")
_BIN = ("bin", "binid", "bin_id", "bin_name", "cluster", "clustername")
_GENOME = ("genome", "genome_id", "binid", "bin_id")
_LENGTH = ("length", "_length")
_FASTA = (".fa", ".fna", ".fasta", ".fas")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class Gold:
    """Gold standard: the genome and the length (bp) of each contig of at least the minimum."""

    path: Path
    genome: Mapping[str, str]
    length: Mapping[str, int]
    short: frozenset[str]


@dataclass(frozen=True)
class Binning:
    """Pairs of contig and bin, each once; a contig may lie in several bins."""

    name: str
    path: Path
    pairs: Sequence[tuple[str, str]]


def read_gold(path: Path, min_contig: int = 0) -> Gold:
    """Read a gold standard.

    Parameters
    ----------
    path : Path
        Table with the columns contig, genome and length in its header, or the CAMI format
        (``@@SEQUENCEID``, ``BINID``, ``LENGTH``); further columns are allowed.
    min_contig : int
        Shorter contigs are left out of every number (bp).

    Raises
    ------
    InputError
        Missing columns, lengths that are no numbers, a contig with two genomes, no contigs.
    """
    rows = _rows(path)
    number, header = next(rows, (0, []))
    at = [_column(header, names) for names in (_CONTIG, _GENOME, _LENGTH)]
    if None in at:
        missing = ("contig", "genome", "length")[at.index(None)]
        raise InputError(
            f"{path}, line {max(number, 1)}: the header has no column '{missing}'; give a table "
            "with the columns contig, genome, length, or @@SEQUENCEID, BINID, LENGTH (CAMI format)"
        )
    columns = [i for i in at if i is not None]
    genome: dict[str, str] = {}
    length: dict[str, int] = {}
    for number, cells in rows:
        contig, name, text = (_cell(path, number, cells, i, "gold standard") for i in columns)
        bp = int(text) if text.isdecimal() else 0
        if not bp or not name:
            raise InputError(
                f"{path}, line {number}: genome '{name}', length '{text}' of contig '{contig}'; "
                "every contig needs a genome and a length in bp"
            )
        if genome.setdefault(contig, name) != name or length.setdefault(contig, bp) != bp:
            raise InputError(
                f"{path}, line {number}: contig '{contig}' stands there twice, with different "
                "genomes or lengths; keep one line per contig, and one sample per file"
            )
    short = frozenset(c for c, bp in length.items() if bp < min_contig)
    kept = {c: bp for c, bp in length.items() if c not in short}
    if not kept:
        raise InputError(f"{path}: no contig of at least {min_contig} bp; nothing to compare with")
    return Gold(path, {c: genome[c] for c in kept}, kept, short)


def read_binning(name: str, path: Path) -> Binning:
    """Read a contig-to-bin table (with or without header, or CAMI format) or a folder of FASTA.

    Without a known header the first column is the contig and the second the bin.

    Raises
    ------
    InputError
        A line without two columns, a folder without FASTA files, damaged files.
    """
    found = _pairs_of_folder(path) if path.is_dir() else _pairs_of_table(path)
    pairs = dict.fromkeys(p for p in found if p[1].lower() not in _UNBINNED)
    return Binning(name, path, tuple(pairs))


def _pairs_of_table(path: Path) -> Iterator[tuple[str, str]]:
    contig, group = 0, 1
    for row, (number, cells) in enumerate(_rows(path)):
        if row == 0:
            named = _column(cells, _CONTIG), _column(cells, _BIN)
            if named[0] is not None and named[1] is not None:
                contig, group = named[0], named[1]
                continue
        yield (
            _cell(path, number, cells, contig, "contig-to-bin table"),
            _cell(path, number, cells, group, "contig-to-bin table"),
        )


def _pairs_of_folder(path: Path) -> Iterator[tuple[str, str]]:
    any_file = False
    for file in sorted(path.iterdir()):
        stem = file.name
        for ending in _COMPRESSED:
            stem = stem.removesuffix(ending)
        if file.is_file() and not stem.startswith(".") and stem.endswith(_FASTA):
            any_file = True
            for contig, _ in iter_fasta(file):
                yield contig, stem.rsplit(".", 1)[0]
    if not any_file:
        raise InputError(
            f"{path}: holds no FASTA file ({', '.join(_FASTA)}, compressed or not); "
            "give the folder of the bins or a contig-to-bin table"
        )


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of a table; of a CAMI file its ``@@`` header and the lines after it."""
    with open_decompressed(path) as handle:
        samples = 0
        for number, line in _lines(path, handle):
            if not line or line.startswith("#"):
                continue
            if line.startswith("@") and not line.startswith("@@"):
                continue
            if line.startswith("@@"):
                samples += 1
                if samples > 1:
                    raise InputError(
                        f"{path}, line {number}: a second sample begins; "
                        "give one file per sample and evaluate them one by one"
                    )
            yield number, line.removeprefix("@@").split("\t")


def _lines(path: Path, handle: BinaryIO) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(handle, 1):
        try:
            yield number, raw.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise InputError(
                f"{path}, line {number}: not UTF-8 text; give a tab-separated table"
            ) from None


def _column(header: Sequence[str], names: Sequence[str]) -> int | None:
    lower = [cell.strip().lower() for cell in header]
    return next((lower.index(name) for name in names if name in lower), None)


def _cell(path: Path, number: int, cells: Sequence[str], column: int, what: str) -> str:
    if column >= len(cells) or (column == 0 and not cells[0]):
        raise InputError(
            f"{path}, line {number}: {len(cells)} tab-separated column(s), column {column + 1} is "
            f"missing or empty; is this a {what}?"
        )
    return cells[column].strip()
