"""Species of contigs from the tables of taxonomic classifiers.

Read are ``mmseqs taxonomy`` (the LCA table), CAT (``contig2classification`` and ``ORF2LCA`` with
``CAT add_names --only_official``), Kraken 2 (with ``--use-names``), and any table whose second
column holds lineages as GTDB writes them (``d__Bacteria;...;s__Escherichia coli``). A contig has a
species only where the classifier says so with confidence; all others have none.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.files import open_decompressed

# Share of the genes, k-mers or bits behind a label from which it counts.
CONFIDENT = 0.5

_Cells = list[str]
_Line = tuple[int, _Cells]
# Contig and species; None where a line tells no species.
_Label = tuple[str, str | None]

_GTDB_RANK = re.compile(r"(^|;)\s*[dpcofgs]__")
_RANKS = {"no rank", "species", "genus", "family", "order", "class", "phylum"}
_KRAKEN_NAME = re.compile(r"(.+) \(taxid (\d+)\)")
# Kraken tells names without ranks. A name that could be of another rank is taken for one: species
# that are unknown cost nothing, genomes of a group taken for one species do.
_GENUS = r"[A-Z][a-z]+(?:-[A-Za-z]+)?"
_BINOMIAL = re.compile(
    rf"((?:Candidatus )?(?:{_GENUS}|\[{_GENUS}\]) (?!bacterium|archaeon)[a-z]+(?:-[a-z]+)*)(?: .*)?"
)
_UNNAMED = re.compile(r"[A-Z][\w.-]+ (?:sp\.|bacterium|archaeon) \S+.*")
_HIGHER = re.compile(
    r"\b(?:sub)?(?:group|complex|cluster|clade|lineage|division|phylum|class|order|family)\b"
    r"|\b(?:incertae|sedis|unclassified|uncultured|environmental|oral|taxon|cf|aff)\b"
    r"|symbiont|phage|virus|viroid|plasmid"
    r"|^(?:Candidatus )?\[?\w*(?:bacteria|archaea|bacteriota|archaeota|ales|aceae)\b",
    re.IGNORECASE,
)


class _Malformed(ValueError):
    """What is wrong with a line."""


def read_taxonomy(path: Path) -> dict[str, str]:
    """Species by contig, of the contigs whose species is known with confidence.

    Raises
    ------
    InputError
        The file is missing, of no known format or without ranks, or a line of it is malformed.
    """
    lines = list(_lines(path))
    if not lines:
        raise InputError(f"{path}: is empty; give the table of a taxonomic classifier")
    parse = _format_of(path, lines)
    species: dict[str, set[str]] = defaultdict(set)
    unknown = set()
    for contig, label in _labels(path, lines, parse):
        if label is None:
            unknown.add(contig)
        else:
            species[contig].add(label)
    # Two classifications of one contig contradict each other or are half sure.
    return {c: s.pop() for c, s in species.items() if len(s) == 1 and c not in unknown}


def number_species(contigs: ContigTable, species: Mapping[str, str]) -> NDArray[np.int64]:
    """Number of the species of each contig, -1 where it is unknown.

    The numbers follow the sorted names of all species of the mapping.
    """
    number = {name: i for i, name in enumerate(sorted(set(species.values())))}
    return np.array([number.get(species.get(name, ""), -1) for name in contigs.names], np.int64)


def _lines(path: Path) -> Iterator[_Line]:
    with open_decompressed(path) as handle:
        for number, raw in enumerate(handle, 1):
            try:
                text = raw.decode().rstrip("\r\n")
            except UnicodeDecodeError:
                raise InputError(
                    f"{path}: line {number} is no text; give the table of a taxonomic classifier"
                ) from None
            if text.strip():
                yield number, text.split("\t")


_Parser = Callable[[Iterable[_Line]], Iterator[_Label]]


def _format_of(path: Path, lines: Sequence[_Line]) -> _Parser:
    """Which reader understands the table, by its header or the first lines."""
    first = lines[0][1]
    if first[0] in ("# contig", "# ORF"):
        if "species" not in first:
            raise InputError(
                f"{path}: line 1: a table of CAT without the column 'species'; add the names with "
                "'CAT add_names --only_official'"
            )
        return _cat
    sample = [cells for _, cells in lines[:50]]
    if any(len(c) > 1 and _GTDB_RANK.search(c[1]) for c in sample):
        return _gtdb
    if first[0] in ("C", "U") and len(first) == 5:
        return _kraken
    if len(first) >= 4 and first[1].isdigit() and {c[2] for c in sample if len(c) > 2} & _RANKS:
        return _mmseqs
    raise InputError(
        f"{path}: line {lines[0][0]}: not a known table of taxonomy; give the LCA table of mmseqs "
        "taxonomy, contig2classification or ORF2LCA of CAT with official names, the output of "
        "Kraken 2 with names, or two columns with contig and lineage (d__...;s__...)"
    )


def _labels(path: Path, lines: Sequence[_Line], parse: _Parser) -> Iterator[_Label]:
    at = lines[0][0]

    def counted() -> Iterator[_Line]:
        nonlocal at
        for number, cells in lines:
            at = number
            yield number, cells

    try:
        yield from parse(counted())
    except _Malformed as error:
        raise InputError(f"{path}: line {at}: {error}") from None


def _gtdb(lines: Iterable[_Line]) -> Iterator[_Label]:
    for number, cells in lines:
        if len(cells) < 2:
            raise _Malformed("1 column; contig and lineage are needed, tab-separated")
        if not _GTDB_RANK.search(cells[1]):
            if number == 1 or cells[1].startswith("Unclassified") or cells[1] in ("", "N/A"):
                continue
            raise _Malformed(f"'{cells[1]}' is no lineage such as d__Bacteria;...;s__Name")
        names = [part.strip() for part in cells[1].split(";")]
        yield cells[0], next((n[3:] for n in names if n.startswith("s__") and n[3:]), None)


def _mmseqs(lines: Iterable[_Line]) -> Iterator[_Label]:
    """Columns: contig, taxid, rank, name; of contigs also genes (3 columns), support, lineage."""
    for _, cells in lines:
        if len(cells) < 4:
            raise _Malformed(f"{len(cells)} columns; an LCA table of MMseqs2 has at least 4")
        contig, _, rank, name = cells[:4]
        support = _number(cells[7], "support") if len(cells) > 7 else 1.0
        lineage = cells[8] if len(cells) > 8 else cells[4] if len(cells) == 5 else ""
        # A strain is below a species that only the lineage names.
        below = next((p[2:] for p in lineage.split(";") if p.startswith("s_")), None)
        species = name if rank == "species" else below
        yield contig, species if support >= CONFIDENT else None


def _kraken(lines: Iterable[_Line]) -> Iterator[_Label]:
    """Columns: C or U, contig, taxon, length, k-mers by taxid."""
    for _, cells in lines:
        if len(cells) != 5 or cells[0] not in ("C", "U"):
            raise _Malformed("an output line of Kraken 2 has 5 columns and begins with C or U")
        if cells[0] == "U":
            yield cells[1], None
            continue
        taxon = _KRAKEN_NAME.fullmatch(cells[2])
        if taxon is None:
            raise _Malformed(
                f"taxon '{cells[2]}' has no name, and taxids alone tell no rank; run Kraken 2 with "
                "--use-names"
            )
        supported = _kmer_share(cells[4], taxon[2]) >= CONFIDENT
        yield cells[1], _species_of_name(taxon[1]) if supported else None


def _kmer_share(text: str, taxid: str) -> float:
    """Share of the classified k-mers that are of a taxon."""
    counts: Counter[str] = Counter()
    for part in text.split():
        taxon, colon, number = part.partition(":")
        if taxon == "|" and number == "|":  # between mates
            continue
        if not colon or not number.isdigit():
            raise _Malformed(f"'{part}' is no count of k-mers such as 562:13")
        counts[taxon] += int(number)
    classified = sum(n for taxon, n in counts.items() if taxon not in ("0", "A"))
    return counts[taxid] / classified if classified else 0.0


def _species_of_name(name: str) -> str | None:
    """The species in a name of the NCBI taxonomy; None for names that may be of another rank."""
    if _UNNAMED.fullmatch(name):
        return None if _HIGHER.search(name.split(" ", 2)[2]) else name
    if _HIGHER.search(name):
        return None
    found = _BINOMIAL.fullmatch(name)
    return found[1] if found else None


def _cat(lines: Iterable[_Line]) -> Iterator[_Label]:
    """A header, and a column for each official rank: ``Name: support``."""
    header: _Cells = []
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for _, cells in lines:
        if not header:
            header = cells
            column = header.index("species")
            continue
        # CAT leaves out the columns behind the reason of a contig without taxid.
        label = cells[column] if len(cells) > column else ""
        if len(cells) < 2:
            raise _Malformed(f"1 column; the header has {len(header)}")
        if header[0] == "# contig":
            yield cells[0], _cat_species(label)
        elif species := _cat_species(label):
            votes[cells[0].rsplit("_", 1)[0]][species] += 1
    for contig, counts in votes.items():
        species, most = counts.most_common(1)[0]
        yield contig, species if most > CONFIDENT * counts.total() else None


def _cat_species(label: str) -> str | None:
    """``Name``, ``Name: 0.93``, ``Name*`` (suggested, not sure), ``no support``, ``NA``, ``""``."""
    name, colon, support = label.rpartition(": ")
    name = name if colon else label
    if not name or name in ("no support", "NA") or name.endswith("*"):
        return None
    return name if not colon or _number(support, "support") >= CONFIDENT else None


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _Malformed(f"{what} '{text}' is no number") from None
