"""Alignments of long reads: a read that spans several contigs is split among them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmbin_core.simulate.bam import (
    BAD_BASE,
    GOOD_BASE,
    HARD,
    MATCH,
    SOFT,
    bin_of,
    pack_bases,
)
from llmbin_core.simulate.composition import Codes
from llmbin_core.simulate.genomes import UNKNOWN, Genome, reverse_complement
from llmbin_core.simulate.pairs import REVERSE
from llmbin_core.simulate.reads import Fragments, Targets, choose_assembly

SUPPLEMENTARY = 2048
# Shorter overlaps of a read and a contig get no alignment (bp).
_MIN_ALIGNED = 200


@dataclass(frozen=True)
class _Piece:
    """Part of a read on a contig: ``begin..end`` of the read in the direction of the genome."""

    begin: int
    end: int
    contig: int
    position: int
    turned: bool


@dataclass(frozen=True)
class LongRecord:
    """A BAM record and its place in the file."""

    contig: int
    position: int
    data: bytes


def align_long(
    rng: np.random.Generator,
    fragments: Fragments,
    targets: Sequence[Targets],
    genome: Genome,
    names: Sequence[str],
    error_rate: float,
    first_fragment: int,
) -> Iterator[LongRecord]:
    """Records of all reads of one genome; see `pairs.align_pairs`.

    Parameters
    ----------
    names : sequence of str
        All contigs of the BAM, for the SA tag.
    """
    middle = (fragments.begin + fragments.end) // 2
    spans = [_overlaps(t, fragments) for t in targets]
    candidates = np.stack([(s[:, 1] > s[:, 0]) for s in spans], axis=1)
    chosen, quality = choose_assembly(rng, candidates)
    strand = rng.random(len(middle)) < 0.5
    for i in np.flatnonzero(chosen >= 0).tolist():
        begin, end = int(fragments.begin[i]), int(fragments.end[i])
        first, last = spans[chosen[i]][i].tolist()
        pieces = _pieces(targets[chosen[i]], first, last, begin, end)
        codes = genome.codes[begin:end].copy()
        wrong = (rng.random(len(codes)) < error_rate) & (codes < UNKNOWN)
        codes[wrong] = (codes[wrong] + rng.integers(1, 4, int(wrong.sum()))) % 4
        read = _Read(f"r{first_fragment + i:010d}", codes, wrong, bool(strand[i]), int(quality[i]))
        yield from read.records(pieces, names)


def _overlaps(targets: Targets, fragments: Fragments) -> NDArray[np.int64]:
    """First and last + 1 of the contigs that share enough bases with each read, int64 [n, 2]."""
    first = np.searchsorted(targets.end, fragments.begin + _MIN_ALIGNED, side="left")
    last = np.searchsorted(targets.begin, fragments.end - _MIN_ALIGNED, side="right")
    return np.stack((first, np.maximum(first, last)), axis=1)


def _pieces(targets: Targets, first: int, last: int, begin: int, end: int) -> list[_Piece]:
    """The longest piece first: it is the primary alignment."""
    pieces = []
    for row in range(first, last):
        low, high = int(targets.begin[row]), int(targets.end[row])
        a, b = max(begin, low), min(end, high)
        turned = bool(targets.reverse[row])
        position = high - b if turned else a - low
        pieces.append(_Piece(a - begin, b - begin, int(targets.number[row]), position, turned))
    return sorted(pieces, key=lambda p: (p.begin - p.end, p.begin))


@dataclass(frozen=True)
class _Read:
    name: str
    codes: Codes
    wrong: NDArray[np.bool_]
    reverse: bool
    quality: int

    def records(self, pieces: Sequence[_Piece], names: Sequence[str]) -> Iterator[LongRecord]:
        described = [self._describe(p, names) for p in pieces]
        for i, piece in enumerate(pieces):
            others = "".join(described[:i] + described[i + 1 :])
            yield LongRecord(piece.contig, piece.position, self._record(piece, i > 0, others))

    def _clips(self, piece: _Piece) -> tuple[int, int]:
        clips = piece.begin, len(self.codes) - piece.end
        return (clips[1], clips[0]) if piece.turned else clips

    def _mismatches(self, piece: _Piece) -> int:
        return int(self.wrong[piece.begin : piece.end].sum())

    def _describe(self, piece: _Piece, names: Sequence[str]) -> str:
        left, right = self._clips(piece)
        ends = [f"{n}S" if n else "" for n in (left, right)]
        cigar = f"{ends[0]}{piece.end - piece.begin}M{ends[1]}"
        strand = "-" if self.reverse ^ piece.turned else "+"
        where = f"{names[piece.contig]},{piece.position + 1},{strand}"
        return f"{where},{cigar},{self.quality},{self._mismatches(piece)};"

    def _record(self, piece: _Piece, supplementary: bool, others: str) -> bytes:
        left, right = self._clips(piece)
        codes, wrong = self.codes, self.wrong
        if supplementary:
            codes, wrong = codes[piece.begin : piece.end], wrong[piece.begin : piece.end]
        if piece.turned:
            codes, wrong = reverse_complement(codes), wrong[::-1]
        aligned = piece.end - piece.begin
        clip = HARD if supplementary else SOFT
        cigar = [left << 4 | clip, aligned << 4 | MATCH, right << 4 | clip]
        cigar = [operation for operation in cigar if operation >> 4]
        flag = REVERSE * (self.reverse ^ piece.turned) + SUPPLEMENTARY * supplementary
        ends = np.array([piece.position]), np.array([piece.position + aligned])
        name = self.name.encode() + b"\0"
        fixed = struct.pack(
            "<iiBBHHHiiii",
            piece.contig,
            piece.position,
            len(name),
            self.quality,
            int(bin_of(*ends)[0]),
            len(cigar),
            flag,
            len(codes),
            -1,
            -1,
            0,
        )
        tags = b"NMI" + struct.pack("<I", self._mismatches(piece))
        if others:
            tags += b"SAZ" + others.encode() + b"\0"
        sequence = pack_bases(codes[None])[0].tobytes()
        qualities = np.where(wrong, BAD_BASE, GOOD_BASE).astype(np.uint8).tobytes()
        body = b"".join(
            (fixed, name, struct.pack(f"<{len(cigar)}I", *cigar), sequence, qualities, tags)
        )
        return struct.pack("<i", len(body)) + body
