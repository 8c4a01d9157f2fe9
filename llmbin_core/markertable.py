"""The table of marker genes and the marker sets that belong to it: what the stages after share.

Written by llmbin-markers; read by llmbin-cluster (marker seeds) and llmbin-bin (quality).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.files import open_decompressed, write_text


@dataclass(frozen=True, slots=True)
class MarkerHit:
    """A marker gene on a contig.

    Attributes
    ----------
    score : float
        Bit score of the gene against the profile.
    profile_from, profile_to : int
        First and last column of the profile that the gene covers, counted from 1.
    begin, end, strand : int
        Place of the gene on the contig: bases counted from 1, `begin` < `end`; 1 or -1.
    partial : str
        Side of the contig at which the gene is cut: ``""``, ``left``, ``right`` or ``both``.
    protein : str
        The protein of the gene.
    """

    contig: str
    marker: str
    score: float
    evalue: float
    profile_from: int
    profile_to: int
    profile_length: int
    begin: int
    end: int
    strand: int
    partial: str
    protein: str = field(repr=False)


COLUMNS = tuple(f.name for f in fields(MarkerHit))

_T = TypeVar("_T")
_SIDES = ("left", "right", "both")
_WHOLE = "-"


def write_markers(path: Path, hits: Iterable[MarkerHit]) -> None:
    """Write marker genes as a TSV file with a header line; no hits leave the header alone.

    The columns are the attributes of `MarkerHit`; strand is ``+`` or ``-``, and a gene that is not
    cut has ``-`` as `partial`.
    """
    lines = ["\t".join(COLUMNS)]
    for hit in hits:
        values = dict(zip(COLUMNS, astuple(hit), strict=True))
        values["strand"] = "+" if hit.strand > 0 else "-"
        values["partial"] = hit.partial or _WHOLE
        lines.append("\t".join(map(str, values.values())))
    write_text(path, "\n".join(lines) + "\n")


def read_markers(path: Path) -> list[MarkerHit]:
    """Read a table of marker genes, plain or compressed.

    Raises
    ------
    InputError
        The file is missing, is not such a table, or a line of it is malformed.
    """
    remedy = "write it again with llmbin-markers"
    with open_decompressed(path) as handle:
        try:
            text = handle.read().decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path}: is not a text file; {remedy}") from None
    # Not splitlines: a name may hold what Unicode calls a line break.
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    header = tuple(lines[0].split("\t"))
    if header != COLUMNS:
        raise InputError(
            f"{path}: line 1 is not the header of a marker table "
            f"({', '.join(COLUMNS)}, tab-separated); {remedy}"
        )
    hits = []
    for number, line in enumerate(lines[1:], 2):
        try:
            hits.append(_parse(line))
        except ValueError as error:
            raise InputError(f"{path}: line {number}: {error}; {remedy}") from None
    return hits


def read_markers_of(path: Path, contigs: ContigTable, *, part: bool = False) -> list[MarkerHit]:
    """Read a table of marker genes of an assembly.

    Parameters
    ----------
    path : Path
    contigs : ContigTable
    part : bool
        The contigs are a part of the assembly, which may have no marker gene.

    Raises
    ------
    InputError
        As `read_markers`; the table was made of other contigs: a gene lies beyond the end of its
        contig, or there are genes and none of them is on these contigs.
    """
    hits = read_markers(path)
    length_of = dict(zip(contigs.names, contigs.lengths.tolist(), strict=True))
    remedy = "give the table that llmbin-markers made of these contigs"
    for hit in hits:
        if hit.end > length_of.get(hit.contig, hit.end):
            raise InputError(
                f"{path}: a gene of {hit.marker} ends at base {hit.end} of contig '{hit.contig}', "
                f"which has {length_of[hit.contig]} bp; {remedy}"
            )
    if hits and not part and not any(hit.contig in length_of for hit in hits):
        raise InputError(
            f"{path}: has genes of contigs such as '{hits[0].contig}', and none of these contigs "
            f"(such as '{next(iter(contigs.names), '')}'); {remedy}"
        )
    return hits


def _parse(line: str) -> MarkerHit:
    """One line as a hit; a `ValueError` says which column is wrong."""
    cells = line.split("\t")
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{len(cells)} columns instead of {len(COLUMNS)}")
    row = dict(zip(COLUMNS, cells, strict=True))
    hit = MarkerHit(
        contig=_checked(row, "contig", str),
        marker=_checked(row, "marker", str),
        score=_checked(row, "score", float),
        evalue=_checked(row, "evalue", float),
        profile_from=_checked(row, "profile_from", int),
        profile_to=_checked(row, "profile_to", int),
        profile_length=_checked(row, "profile_length", int),
        begin=_checked(row, "begin", int),
        end=_checked(row, "end", int),
        strand=_checked(row, "strand", {"+": 1, "-": -1}.__getitem__),
        partial=_checked(row, "partial", {_WHOLE: "", **{s: s for s in _SIDES}}.__getitem__),
        protein=_checked(row, "protein", str),
    )
    if not 1 <= hit.profile_from <= hit.profile_to <= hit.profile_length:
        raise ValueError("profile_from, profile_to and profile_length are not in order")
    if not 1 <= hit.begin <= hit.end:
        raise ValueError("begin and end are not in order")
    return hit


def _checked(row: dict[str, str], column: str, parse: Callable[[str], _T]) -> _T:
    value = row[column]
    try:
        if value:
            return parse(value)
    except (ValueError, KeyError):
        pass
    raise ValueError(f"column {column} holds {value!r}")


MarkerSets = Mapping[str, Sequence[Sequence[str]]]


def write_marker_sets(path: Path, sets: MarkerSets) -> None:
    """Write marker sets as JSON: domain -> collocated sets of marker names."""
    plain = {domain: [list(group) for group in groups] for domain, groups in sets.items()}
    write_text(path, json.dumps(plain, indent=1) + "\n")


def read_marker_sets(path: Path) -> MarkerSets:
    """Read marker sets.

    Raises
    ------
    InputError
        The file is missing or is not what `write_marker_sets` writes.
    """
    with open_decompressed(path) as handle:
        try:
            sets = json.load(handle)
        except ValueError:
            sets = None
    well_formed = isinstance(sets, dict) and all(
        isinstance(groups, list)
        and all(isinstance(g, list) and all(isinstance(m, str) for m in g) for g in groups)
        for groups in sets.values()
    )
    if not sets or not well_formed:
        raise InputError(
            f"{path}: is no table of marker sets; give the JSON file that llmbin-markers wrote"
        )
    return dict(sets)
