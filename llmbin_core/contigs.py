"""Assemblies: reading, checking and preparing contigs.

A contig is known by the first token of its FASTA header, kept exactly. Its bases become codes
(A, C, G, T = 0..3, anything else = 4), concatenated for the whole set in one array.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llmbin_core import defaults
from llmbin_core.circularity import ends_overlap, says_circular
from llmbin_core.errors import InputError
from llmbin_core.fasta import iter_fasta, iter_records
from llmbin_core.files import atomic_path, gzip_writer

SEPARATOR = defaults.SEPARATOR
MIN_LENGTH = defaults.MIN_LENGTH

# SemiBin2's rule for an automatic minimum: contigs of 1000..2500 bp count only where they are rare.
_AUTO_SHORT, _AUTO_LONG, _AUTO_SHARE = 1000, 2500, 0.05

_CIRCULAR, _LINEAR = "yes", "no"
# Written behind the name of a circular contig, so that later stages know it.
_MARK = b" circular=yes"

_UNKNOWN = 4
_LETTERS = b"ACGTN"
_TO_CODE = bytes(_LETTERS.find(b) if b in _LETTERS else _UNKNOWN for b in range(256))


@dataclass(frozen=True)
class ContigTable:
    """Names and lengths of an ordered set of contigs: all that most stages need of an assembly."""

    names: tuple[str, ...]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def digest(self) -> str:
        """SHA-256 over names and lengths in order; two stage files join only if it agrees."""
        text = "".join(
            f"{n}\t{x}\n" for n, x in zip(self.names, self.lengths.tolist(), strict=True)
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def take(self, rows: NDArray[np.int64]) -> ContigTable:
        """The contigs of some rows as a table of their own."""
        return ContigTable(tuple(self.names[row] for row in rows.tolist()), self.lengths[rows])

    def first_difference(self, other: ContigTable) -> str:
        """The first contig in which two tables differ, in words."""
        for row, (mine, theirs) in enumerate(zip(self.names, other.names, strict=False)):
            if mine != theirs:
                return f"contig {row + 1} is '{mine}' in one and '{theirs}' in the other"
            if self.lengths[row] != other.lengths[row]:
                return (
                    f"contig '{mine}' has {self.lengths[row]} bp in one "
                    f"and {other.lengths[row]} bp in the other"
                )
        return f"one has {len(self)} contigs, the other {len(other)}"


@dataclass(frozen=True)
class ContigSet:
    """Contigs with their bases.

    Attributes
    ----------
    table : ContigTable
        Names and lengths (bp), in the order of the file.
    codes : uint8 [total bp]
        All bases one after the other: A, C, G, T = 0..3, unknown = 4.
    offsets : int64 [n + 1]
        Contig i is ``codes[offsets[i]:offsets[i + 1]]``.
    """

    table: ContigTable
    codes: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.table)

    def sequence(self, row: int) -> NDArray[np.uint8]:
        """Codes of one contig (a view, not a copy)."""
        return self.codes[self.offsets[row] : self.offsets[row + 1]]

    def letters(self, row: int) -> bytes:
        """Bases of one contig as ACGTN letters."""
        return self.sequence(row).tobytes().translate(_LETTERS + bytes(251))

    def rows(self, begin: int, end: int) -> ContigSet:
        """The contigs of rows begin..end-1 as a set of their own (bases are shared)."""
        table = ContigTable(self.table.names[begin:end], self.table.lengths[begin:end])
        first, last = self.offsets[begin], self.offsets[end]
        return ContigSet(table, self.codes[first:last], self.offsets[begin : end + 1] - first)

    def take(self, rows: NDArray[np.int64]) -> ContigSet:
        """The contigs of some rows as a set of their own (bases are copied)."""
        table = self.table.take(rows)
        codes = np.concatenate([self.sequence(row) for row in rows.tolist()] or [self.codes[:0]])
        return ContigSet(table, codes, np.concatenate(([0], np.cumsum(table.lengths))))


def n50(lengths: NDArray[np.int64]) -> int:
    """Length of the contig at which half of the bases lie in contigs at least as long (bp)."""
    if not len(lengths):
        return 0
    ordered = np.sort(lengths)[::-1]
    return int(ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)])


def read_contigs(path: Path, min_length: int = 1) -> ContigSet:
    """Read an assembly.

    Parameters
    ----------
    path : Path
        FASTA, plain or compressed (gzip, bzip2, xz, zstd by content).
    min_length : int
        Shorter contigs are left out (bp).

    Raises
    ------
    InputError
        See `iter_fasta`.
    """
    names: list[str] = []
    chunks: list[bytes] = []
    for name, letters in iter_fasta(path, may_be_empty=True):
        if len(letters) >= min_length:
            names.append(name)
            chunks.append(letters.translate(_TO_CODE))
    lengths = np.array([len(c) for c in chunks], dtype=np.int64)
    codes = np.frombuffer(b"".join(chunks), dtype=np.uint8)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return ContigSet(ContigTable(tuple(names), lengths), codes, offsets)


@dataclass(frozen=True)
class Assembly:
    """One input assembly; the sample name prefixes its contigs when there are several."""

    path: Path
    sample: str


@dataclass(frozen=True)
class Prepared:
    """What `prepare` kept and what it left out."""

    kept: int
    kept_bp: int
    dropped: int
    dropped_bp: int
    min_length: int


def name_samples(
    paths: Sequence[Path], names: Sequence[str] | None = None, separator: str = SEPARATOR
) -> list[Assembly]:
    """Pair assemblies with sample names, sorted by name.

    Without names they are those of the files without their endings, with ``_`` for blanks.

    Raises
    ------
    InputError
        Names that are not unique, empty or that contain the separator.
    """
    samples = list(names) if names else [file_stem(p) for p in paths]
    if len(samples) != len(paths):
        raise InputError(
            f"{len(paths)} assemblies but {len(samples)} sample names; give one name per assembly"
        )
    for path, sample in zip(paths, samples, strict=True):
        if not sample or any(c.isspace() for c in sample):
            raise InputError(f"{path}: sample name '{sample}' is empty or holds white space")
        if len(paths) > 1 and separator in sample:
            raise InputError(
                f"{path}: sample name '{sample}' contains the separator '{separator}'; "
                "rename the sample with --sample-names or choose another --separator"
            )
    double = sorted({s for s in samples if samples.count(s) > 1})
    if double:
        raise InputError(
            f"sample name '{double[0]}' belongs to several assemblies; "
            "give different names with --sample-names"
        )
    pairs = [Assembly(p, s) for p, s in zip(paths, samples, strict=True)]
    return sorted(pairs, key=lambda a: a.sample)


def file_stem(path: Path) -> str:
    """Name of a file without its endings, with ``_`` for blanks."""
    name = path.name
    for ending in (".gz", ".bz2", ".xz", ".zst"):
        name = name.removesuffix(ending)
    name = name.rsplit(".", 1)[0] if "." in name[1:] else name
    return "_".join(name.split())


def prepare(
    assemblies: Sequence[Assembly],
    fasta: Path,
    tsv: Path,
    min_length: int | Literal["auto"] = MIN_LENGTH,
    separator: str = SEPARATOR,
    joined: bool = False,
    circular: Collection[str] = (),
) -> Prepared:
    """Check assemblies and write the contigs that are binned.

    Parameters
    ----------
    assemblies : sequence of Assembly
        Several are written one after the other with names ``sample<separator>contig``.
    fasta, tsv : Path
        Outputs: gzipped FASTA, and a table with length, GC share, unknown bases and whether it
        is circular per contig.
    min_length : int or "auto"
        Shorter contigs are left out (bp); "auto" is 2500 when contigs of 1000..2500 bp hold at
        least 5 % of the bases, else 1000 (SemiBin2's rule).
    joined : bool
        The contigs of one assembly are named so already: the table takes their samples from there.
    circular : collection of str
        Contigs that are circular, as they are named in the assembly, beside those of which their
        own headers or ends say so. Their headers say ``circular=yes``.

    Raises
    ------
    InputError
        See `iter_fasta`.
    """
    limit = _auto_min_length(assemblies) if min_length == "auto" else min_length
    kept = kept_bp = dropped = dropped_bp = 0
    with (
        atomic_path(fasta) as fasta_tmp,
        atomic_path(tsv) as tsv_tmp,
        gzip_writer(fasta_tmp) as out,
        tsv_tmp.open("w", newline="\n") as rows,
    ):
        rows.write("contig\tsample\tlength\tgc\tunknown\tcircular\n")
        for sample, name, own, words, letters in _named(assemblies, separator):
            if len(letters) < limit:
                dropped += 1
                dropped_bp += len(letters)
                continue
            kept += 1
            kept_bp += len(letters)
            if joined:
                sample, _, own = name.partition(separator)
            given = name in circular or own in circular
            closed = given or says_circular(own, words) or ends_overlap(letters)
            out.write(b">%s%s\n%s\n" % (name.encode(), _MARK if closed else b"", letters))
            shape = _CIRCULAR if closed else _LINEAR
            rows.write(f"{name}\t{sample}\t{len(letters)}\t{_base_shares(letters)}\t{shape}\n")
    return Prepared(kept, kept_bp, dropped, dropped_bp, limit)


def _named(
    assemblies: Sequence[Assembly], separator: str
) -> Iterable[tuple[str, str, str, str, bytes]]:
    """Sample, name, original name, rest of the header and letters of all contigs."""
    several = len(assemblies) > 1
    for assembly in assemblies:
        for name, words, letters in iter_records(assembly.path):
            full = f"{assembly.sample}{separator}{name}" if several else name
            yield assembly.sample, full, name, words, letters


def _auto_min_length(assemblies: Sequence[Assembly]) -> int:
    lengths = np.array([len(s) for *_, s in _named(assemblies, SEPARATOR)], dtype=np.int64)
    lengths = lengths[lengths >= _AUTO_SHORT]
    short = lengths[lengths <= _AUTO_LONG].sum()
    return _AUTO_LONG if short >= _AUTO_SHARE * lengths.sum() else _AUTO_SHORT


def _base_shares(letters: bytes) -> str:
    unknown = letters.count(b"N")
    known = len(letters) - unknown
    gc = (letters.count(b"G") + letters.count(b"C")) / known if known else 0.0
    return f"{gc:.4f}\t{unknown}"
