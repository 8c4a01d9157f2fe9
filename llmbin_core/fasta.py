"""Reading nucleotide sequences from FASTA (or GenBank) files, with every record checked."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import BinaryIO, cast

from llmbin_core.errors import InputError
from llmbin_core.files import compression_of, open_decompressed

_IUPAC = b"ACGTURYSWKMBDHVNX-."


def _letter_table() -> bytes:
    """Bytes of a sequence line -> A, C, G, T, N, or 0 for what no nucleotide sequence holds."""
    table = bytearray(256)
    for letter in _IUPAC:
        table[letter] = table[letter | 32] = ord("N")
    for letter in b"ACGT":
        table[letter] = table[letter | 32] = letter
    table[ord("U")] = table[ord("u")] = ord("T")
    return bytes(table)


_TO_LETTER = _letter_table()


def iter_fasta(path: Path, *, may_be_empty: bool = False) -> Iterator[tuple[str, bytes]]:
    """Yield (identifier, ACGTN letters in upper case) of each record; see `iter_records`."""
    for name, _, letters in iter_records(path, may_be_empty=may_be_empty):
        yield name, letters


def iter_records(path: Path, *, may_be_empty: bool = False) -> Iterator[tuple[str, str, bytes]]:
    """Yield identifier, rest of the header and letters of each record of a FASTA or GenBank file.

    Letters are ACGTN in upper case; GenBank records that are circular have the description
    ``topology=circular``.

    CRLF, lower case, IUPAC letters (they become N), U (it becomes T) and empty lines are accepted.

    Parameters
    ----------
    path : Path
    may_be_empty : bool
        Accept compressed data without a record, as `prepare` writes it when no contig is long
        enough.

    Raises
    ------
    InputError
        No such file, no record at all, a duplicate or empty identifier, an empty sequence,
        characters or letter shares that no nucleotide sequence has, damaged compression.
        The message names file and line.
    """
    seen: dict[str, int] = {}
    with open_decompressed(path) as handle:
        head = cast(BufferedReader, handle).peek(64).lstrip()
        records = _genbank_records if head.startswith(b"LOCUS ") else _fasta_records
        for name, description, line, letters, plain in records(path, handle):
            if name in seen:
                raise InputError(
                    f"{path}, line {line}: contig '{name}' stands already at line {seen[name]}; "
                    "contig identifiers (the first word of the header) must be unique: rename one"
                )
            seen[name] = line
            if not letters:
                raise InputError(
                    f"{path}, line {line}: contig '{name}' has no sequence; remove it or "
                    "check whether the file was cut short"
                )
            if plain * 2 < len(letters) and letters.count(b"N") != len(letters):
                raise InputError(
                    f"{path}, line {line}: contig '{name}' has fewer than half of its letters in "
                    "ACGTUN; this looks like protein: give the nucleotide assembly"
                )
            yield name, description, letters
    if not seen and not (may_be_empty and compression_of(path)):
        raise InputError(f"{path}: holds no contig; give a FASTA file with at least one record")


Record = tuple[str, str, int, bytes, int]


def _genbank_records(path: Path, handle: BinaryIO) -> Iterator[Record]:
    """As `_fasta_records`, with the number of the record in place of the line."""
    from Bio import SeqIO

    text = TextIOWrapper(handle, "utf-8")
    try:
        parsed = SeqIO.parse(text, "genbank")  # type: ignore[no-untyped-call]
        for number, record in enumerate(parsed, 1):
            raw = bytes(record.seq)
            name = record.id or record.name
            circular = record.annotations.get("topology") == "circular"
            description = "topology=circular" if circular else ""
            yield name, description, number, raw.translate(_TO_LETTER), _plain(raw)
    except (ValueError, AssertionError) as error:
        # Biopython's UndefinedSequenceError (a record without its bases) is a ValueError.
        raise InputError(
            f"{path}: cannot be read as GenBank ({error}); give GenBank records with their full "
            "sequence, or FASTA"
        ) from None
    finally:
        text.detach()


def _fasta_records(path: Path, handle: BinaryIO) -> Iterator[Record]:
    """(identifier, rest of the header, its line, letters, number of plain ACGTUN letters)."""
    name: str | None = None
    description = ""
    header_line = plain = 0
    parts: list[bytes] = []
    for number, raw in enumerate(handle, 1):
        line = raw.rstrip()
        if not line:
            continue
        if line.startswith(b">"):
            if name is not None:
                yield name, description, header_line, b"".join(parts), plain
            name, description = _header(path, number, line)
            header_line, parts, plain = number, [], 0
            continue
        if name is None:
            raise InputError(f"{path}, line {number}: {_not_fasta(line)}")
        letters = line.translate(_TO_LETTER)
        if 0 in letters:
            bad = line[letters.index(0) : letters.index(0) + 1]
            raise InputError(
                f"{path}, line {number}: {bad!r} in contig '{name}' is no nucleotide letter; "
                "give a nucleotide FASTA file (is this protein, or not a text file?)"
            )
        parts.append(letters)
        plain += _plain(line)
    if name is not None:
        yield name, description, header_line, b"".join(parts), plain


def _plain(line: bytes) -> int:
    """Letters that are no ambiguity code: N in the input counts, N made of an R does not."""
    return len(line) - len(line.translate(None, b"ACGTUNacgtun"))


def _header(path: Path, number: int, line: bytes) -> tuple[str, str]:
    """Identifier and the rest."""
    words = line[1:].split(maxsplit=1)
    if not words or line[1:2].isspace():
        raise InputError(
            f"{path}, line {number}: the header has no identifier after '>'; name every contig"
        )
    try:
        return words[0].decode(), b"".join(words[1:]).decode(errors="replace")
    except UnicodeDecodeError:
        raise InputError(
            f"{path}, line {number}: the header is not UTF-8 text; is this a FASTA file?"
        ) from None


def _not_fasta(line: bytes) -> str:
    if line.startswith(b"@"):
        return "starts with '@' like FASTQ reads; give the assembled contigs as FASTA"
    if any(b < 9 or 13 < b < 32 for b in line[:200]):
        return "binary content; give a FASTA file (plain, gz, bz2, xz or zst)"
    return f"expected a FASTA header that starts with '>', found {line[:30]!r}"
