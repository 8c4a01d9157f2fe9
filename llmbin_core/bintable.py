"""The table of bins (``bins.tsv``) and the list of their contigs (``contig2bin.tsv``), as read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from llmbin_core.errors import InputError
from llmbin_core.files import open_decompressed

# From best to worst; see llmbin_core.bins.writing.
CLASSES = ("near-complete", "medium", "low")
DEPTH = "depth:"
# Column -> heading and explanation.
COLUMNS = {
    "bin": ("bin", "Name of the bin and of its FASTA file."),
    "contigs": ("contigs", "Number of contigs."),
    "bp": ("size (bp)", "Bases of all contigs."),
    "n50": ("N50 (bp)", "Half of the bases lie in contigs at least as long."),
    "gc": ("GC (%)", "Share of G and C."),
    "completeness": (
        "completeness (%)",
        "Share of the genome that is there: by its marker genes, corrected for cut genes and for "
        "those that reduced genomes lack.",
    ),
    "completeness_error": (
        "completeness, standard error (points)",
        "Two thirds of the genomes lie within one of the completeness, most within two.",
    ),
    "contamination": (
        "contamination (%)",
        "Marker genes found once more than expected, from another genome most likely.",
    ),
    "redundancy": (
        "redundancy (%)",
        "Marker genes found twice with nearly the same sequence, at most a third of all: assembled "
        "twice. More of them are two strains and count as contamination.",
    ),
    "class": (
        "class",
        "near-complete: > 90 % complete, < 5 % contaminated; medium: > 50 %, < 10 %; low: the "
        "rest.",
    ),
    "domain": ("domain", "Marker set that fits best."),
    "markers": ("markers", "Number of different marker genes found."),
}
_REMEDY = "give the file that llmbin-bin wrote"


@dataclass(frozen=True)
class Bin:
    """One line of the table of bins.

    Attributes
    ----------
    name : str
    contigs, bp, n50, markers : int
    gc : float
        0..1.
    completeness, contamination : float
        Percent.
    quality : str
        One of `CLASSES`.
    domain : str
    depths : mapping
        Sample -> mean depth.
    cells : mapping
        Every column as it is written, those of newer versions among them.
    """

    name: str
    contigs: int
    bp: int
    n50: int
    gc: float
    completeness: float
    contamination: float
    quality: str
    domain: str
    markers: int
    depths: Mapping[str, float]
    cells: Mapping[str, str]


@dataclass(frozen=True)
class BinTable:
    """All bins, best first, and the columns of their table."""

    columns: tuple[str, ...]
    bins: tuple[Bin, ...]

    @property
    def samples(self) -> tuple[str, ...]:
        """The samples whose depth is known."""
        return tuple(c.removeprefix(DEPTH) for c in self.columns if c.startswith(DEPTH))

    @property
    def classes(self) -> dict[str, list[Bin]]:
        """Quality class -> its bins, best class first; the three usual ones are always there."""
        found: dict[str, list[Bin]] = {name: [] for name in CLASSES}
        for one in self.bins:
            found.setdefault(one.quality, []).append(one)
        return found


def read_bins(path: Path) -> BinTable:
    """Read a table of bins.

    Raises
    ------
    InputError
        The file is missing, is not such a table, or a line of it is malformed.
    """
    lines = list(_lines(path))
    columns = tuple(lines[0].split("\t")) if lines else ()
    needed = ("bin", "contigs", "bp", "n50", "gc", "completeness", "contamination", "class",
              "domain", "markers")  # fmt: skip
    missing = [name for name in needed if name not in columns]
    if missing:
        raise InputError(f"{path}: line 1 has no column '{missing[0]}'; {_REMEDY}")
    bins = []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise InputError(
                f"{path}: line {number} has {len(cells)} columns, the header {len(columns)}; "
                f"{_REMEDY}"
            )
        try:
            bins.append(_bin(dict(zip(columns, cells, strict=True))))
        except ValueError as error:
            raise InputError(f"{path}: line {number}: {error}; {_REMEDY}") from None
    return BinTable(columns, tuple(bins))


def _bin(cells: dict[str, str]) -> Bin:
    return Bin(
        name=cells["bin"],
        contigs=int(cells["contigs"]),
        bp=int(cells["bp"]),
        n50=int(cells["n50"]),
        gc=float(cells["gc"]),
        completeness=float(cells["completeness"]),
        contamination=float(cells["contamination"]),
        quality=cells["class"],
        domain=cells["domain"],
        markers=int(cells["markers"]),
        depths={k.removeprefix(DEPTH): float(v) for k, v in cells.items() if k.startswith(DEPTH)},
        cells=cells,
    )


def read_contig2bin(path: Path) -> dict[str, str]:
    """Read which bin holds each contig: contig -> bin.

    Raises
    ------
    InputError
        The file is missing, is not such a table, or holds a contig twice.
    """
    lines = _lines(path)
    if next(lines, None) != "contig\tbin":
        raise InputError(f"{path}: line 1 is not 'contig', 'bin' (tab-separated); {_REMEDY}")
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 2):
        contig, tab, name = line.partition("\t")
        if not tab or contig in found:
            what = "holds a contig for the second time" if tab else "has no tab"
            raise InputError(f"{path}: line {number} {what}; {_REMEDY}")
        found[contig] = name
    return found


def _lines(path: Path) -> Iterator[str]:
    with open_decompressed(path) as handle:
        try:
            text = handle.read().decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path}: is not a text file; {_REMEDY}") from None
    # Not splitlines: a name may hold what Unicode calls a line break.
    yield from (line.removesuffix("\r") for line in text.split("\n") if line)
