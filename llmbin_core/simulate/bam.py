"""BAM files, written as whole arrays of records."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbin_core import __version__
from llmbin_core.files import atomic_path
from llmbin_core.simulate.composition import Codes
from llmbin_core.simulate.genomes import UNKNOWN
from llmbin_core.simulate.pairs import AlignedReads

MATCH, SOFT, HARD = 0, 4, 5
GOOD_BASE, BAD_BASE = np.uint8(37), np.uint8(14)

_NAME_DIGITS = 10
_CHUNK = 1 << 16
# Write at the fastest compression; the type stub of pysam knows the modes without a level only.
_FAST: Any = "w1"
_BIN_LEVELS = ((14, 4681), (17, 585), (20, 73), (23, 9), (26, 1))


def write_bam(
    path: Path, names: Sequence[str], lengths: Sequence[int], records: Iterator[bytes]
) -> None:
    """Write sorted records to a BAM file, and its index beside it (``.bai``)."""
    import pysam

    with atomic_path(path) as temporary:
        with pysam.BGZFile(str(temporary), _FAST, None) as handle:
            handle.write(_header(names, lengths))
            for block in records:
                handle.write(block)
        # The index must not be older than the file, and is complete before the file appears.
        with atomic_path(path.with_name(path.name + ".bai")) as index:
            pysam.index("-o", str(index), str(temporary))


def _header(names: Sequence[str], lengths: Sequence[int]) -> bytes:
    lines = ["@HD\tVN:1.6\tSO:coordinate"]
    lines += [f"@SQ\tSN:{n}\tLN:{bp}" for n, bp in zip(names, lengths, strict=True)]
    lines.append(f"@PG\tID:llmbin-simulate\tPN:llmbin-simulate\tVN:{__version__}")
    text = "".join(f"{line}\n" for line in lines).encode()
    parts = [b"BAM\1", struct.pack("<i", len(text)), text, struct.pack("<i", len(names))]
    for name, length in zip(names, lengths, strict=True):
        encoded = name.encode() + b"\0"
        parts += [struct.pack("<i", len(encoded)), encoded, struct.pack("<i", length)]
    return b"".join(parts)


def bin_of(begin: NDArray[np.integer[Any]], end: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Bin of the BAI index that holds ``begin..end`` (SAM specification, section 5.3)."""
    last = end - 1
    found = np.zeros(len(begin), dtype=np.int64)
    for shift, first in reversed(_BIN_LEVELS):
        same = begin >> shift == last >> shift
        found = np.where(same, first + (begin >> shift), found)
    return found


def pair_records(
    rng: np.random.Generator,
    reads: AlignedReads,
    bases: Codes,
    read_length: int,
    error_rate: float,
) -> Iterator[bytes]:
    """BAM records of reads sorted by contig and position, some ten thousand at a time.

    Parameters
    ----------
    bases : uint8 [bp]
        Codes of all genomes.
    """
    windows = np.lib.stride_tricks.sliding_window_view(bases, read_length)
    order = np.lexsort((reads.position, reads.contig))
    for begin in range(0, len(reads), _CHUNK):
        part = reads.take(order[begin : begin + _CHUNK])
        letters, wrong = _sequence(rng, part, windows[part.source], error_rate)
        yield _pack(part, letters, wrong)


def _sequence(
    rng: np.random.Generator, reads: AlignedReads, letters: Codes, error_rate: float
) -> tuple[Codes, NDArray[np.bool_]]:
    """Bases of the reads in the direction of the contig, and which of them are wrong."""
    turned = letters[reads.turned][:, ::-1]
    letters[reads.turned] = np.where(turned < UNKNOWN, 3 - turned, UNKNOWN)
    wrong = np.zeros(letters.shape, dtype=bool)
    n = int(rng.binomial(letters.size, error_rate))
    wrong.reshape(-1)[rng.integers(0, letters.size, n)] = True
    wrong &= letters < UNKNOWN
    rows, columns = np.divmod(np.flatnonzero(wrong), letters.shape[1])
    letters[rows, columns] = (letters[rows, columns] + rng.integers(1, 4, len(rows))) % 4
    return letters, wrong


def _pack(reads: AlignedReads, letters: Codes, wrong: NDArray[np.bool_]) -> bytes:
    """Records of reads; clipped ones are longer and put between the others in their place."""
    clipped = (reads.left > 0).astype(np.int64) + (reads.right > 0)
    plain = _records(reads, letters, wrong, np.flatnonzero(clipped == 0), 1).tobytes()
    odd: dict[int, bytes] = {}
    for operations in (2, 3):
        rows = np.flatnonzero(clipped == operations - 1)
        made = _records(reads, letters, wrong, rows, operations)
        odd |= {row: made[i].tobytes() for i, row in enumerate(rows.tolist())}
    size = _record_type(1, letters.shape[1]).itemsize
    parts, done = [], 0
    for before, row in enumerate(sorted(odd)):
        here = (row - before) * size
        parts += [plain[done:here], odd[row]]
        done = here
    return b"".join([*parts, plain[done:]])


def _record_type(operations: int, read_length: int) -> np.dtype[Any]:
    return np.dtype(
        [
            ("size", "<i4"),
            ("contig", "<i4"),
            ("position", "<i4"),
            ("name_length", "u1"),
            ("quality", "u1"),
            ("bin", "<u2"),
            ("operations", "<u2"),
            ("flag", "<u2"),
            ("length", "<i4"),
            ("mate_contig", "<i4"),
            ("mate_position", "<i4"),
            ("template", "<i4"),
            ("name", "u1", (_NAME_DIGITS + 2,)),
            ("cigar", "<u4", (operations,)),
            ("sequence", "u1", ((read_length + 1) // 2,)),
            ("base_quality", "u1", (read_length,)),
            ("tag", "S3"),
            ("mismatches", "u1"),
        ]
    )


def _records(
    reads: AlignedReads,
    letters: Codes,
    wrong: NDArray[np.bool_],
    rows: NDArray[np.int64],
    operations: int,
) -> NDArray[Any]:
    """Records of those reads whose alignment has the given number of CIGAR operations."""
    part, letters, wrong = reads.take(rows), letters[rows], wrong[rows]
    n, length = letters.shape
    records = np.zeros(n, dtype=_record_type(operations, length))
    aligned = length - part.left - part.right
    values = {
        "size": records.dtype.itemsize - 4,
        "contig": part.contig,
        "position": part.position,
        "name_length": _NAME_DIGITS + 2,
        "quality": part.quality,
        "bin": bin_of(part.position, part.position + aligned),
        "operations": operations,
        "flag": part.flag,
        "length": length,
        "mate_contig": part.mate_contig,
        "mate_position": part.mate_position,
        "template": part.template,
        "name": _names(part.fragment),
        "cigar": _cigar(part, aligned, operations),
        "sequence": pack_bases(letters),
        "base_quality": np.where(wrong, BAD_BASE, GOOD_BASE),
        "tag": b"NMC",
        "mismatches": _mismatches(part, wrong),
    }
    for field, value in values.items():
        records[field] = value
    return records


def _names(fragment: NDArray[np.int64]) -> Codes:
    """``r0000000001`` and so on, ending in a zero byte."""
    text = np.zeros((len(fragment), _NAME_DIGITS + 2), dtype=np.uint8)
    text[:, 0] = ord("r")
    digits = fragment[:, None] // 10 ** np.arange(_NAME_DIGITS - 1, -1, -1) % 10
    text[:, 1:-1] = digits + ord("0")
    return text


def _cigar(part: AlignedReads, aligned: NDArray[np.int32], operations: int) -> NDArray[np.int64]:
    cigar = np.zeros((len(part), operations), dtype=np.int64)
    first = (part.left > 0).astype(np.int64)
    rows = np.arange(len(part))
    if operations > 1:
        cigar[:, 0] = part.left << 4 | SOFT
        cigar[:, -1] = np.where(part.right > 0, part.right << 4 | SOFT, cigar[:, -1])
    cigar[rows, first] = aligned << 4 | MATCH
    return cigar


def pack_bases(letters: Codes) -> Codes:
    """Codes [n, length] in the four-bit alphabet of BAM (1, 2, 4, 8; 15 for N), two to a byte."""
    nibbles = np.where(letters < UNKNOWN, np.uint8(1) << letters, np.uint8(15))
    if letters.shape[1] % 2:
        nibbles = np.pad(nibbles, ((0, 0), (0, 1)))
    return np.asarray(nibbles[:, 0::2] << 4 | nibbles[:, 1::2], dtype=np.uint8)


def _mismatches(part: AlignedReads, wrong: NDArray[np.bool_]) -> NDArray[np.int64]:
    length = wrong.shape[1]
    rows, columns = np.divmod(np.flatnonzero(wrong), length)
    inside = (columns >= part.left[rows]) & (columns < length - part.right[rows])
    return np.bincount(rows[inside], minlength=len(wrong))
