"""Alignments of long reads: which of them count, and split reads counted once per position.

A long read reaches over contig ends, through repeats and through differences between strains. Two
things follow that short reads do not know:

* Aligners soft-clip what does not fit. A short alignment in the middle of a contig with most of
  its read unaligned is a conserved gene or mobile element of another genome. An alignment counts
  if it is at least as long as what is left unexplained of its read: the clipped bases that would
  still lie on the contig, less those that other alignments of the read (SA tag) take up.
* The parts of a split read can overlap on the contig (inverted or tandem repeats). Depth is the
  number of reads over a position, so each read counts once there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pysam

_LEFT_CLIP = re.compile(r"(?:(\d+)H)?(?:(\d+)S)?")
_RIGHT_CLIP = re.compile(r"(?:(\d+)S)?(?:(\d+)H)?$")
# What a CIGAR takes up of the reference.
_SPAN = re.compile(r"(\d+)[M=XDN]")
_RIGHT_CLIP_TEXT = 24

Interval = tuple[int, int]


def explains_its_read(read: pysam.AlignedSegment, contig_length: int) -> bool:
    """Whether an alignment is at least as long as what no alignment explains of its read."""
    cigar = read.cigarstring or ""
    left = _clipped(_LEFT_CLIP, cigar)
    right = _clipped(_RIGHT_CLIP, cigar[-_RIGHT_CLIP_TEXT:])
    if not left and not right:
        return True
    begin, end = read.reference_start, read.reference_end or read.reference_start
    # Bases beyond an end of the contig could not be aligned to it.
    inner = min(left, begin) + min(right, contig_length - end)
    span = end - begin
    return inner <= span or inner - sum(s for _, s in _other_parts(read)) <= span


def _clipped(pattern: re.Pattern[str], cigar: str) -> int:
    found = pattern.search(cigar)
    return sum(int(n) for n in found.groups() if n) if found else 0


def _other_parts(read: pysam.AlignedSegment) -> Iterator[tuple[str, int]]:
    """Contig and length there of the other alignments of a read, by its SA tag."""
    if not read.has_tag("SA"):
        return
    for part in str(read.get_tag("SA")).rstrip(";").split(";"):
        fields = part.split(",")
        if len(fields) >= 4:
            yield fields[0], sum(map(int, _SPAN.findall(fields[3])))


class SplitReads:
    """What was counted of the reads that have several alignments to one contig."""

    def __init__(self) -> None:
        self._counted: dict[tuple[int, str, int], list[Interval]] = {}

    def forget(self) -> None:
        """Begin with other contigs."""
        self._counted.clear()

    def uncounted(
        self, read: pysam.AlignedSegment, blocks: int | Sequence[Interval]
    ) -> int | tuple[Interval, ...]:
        """The part of an alignment's blocks that no earlier alignment of its read covers.

        Parameters
        ----------
        read : AlignedSegment
        blocks : int, or sequence of (offset, length)
            Aligned blocks from the start of the alignment; a number is one block from there on.

        Returns
        -------
        int, or tuple of (offset, length)
            As `blocks`; 0 where nothing is left.
        """
        here = read.reference_name
        if not any(contig == here for contig, _ in _other_parts(read)):
            return blocks if isinstance(blocks, int) else tuple(blocks)
        mate = read.flag & (pysam.FREAD1 | pysam.FREAD2)
        known = self._counted.setdefault((read.reference_id, read.query_name or "", mate), [])
        start = read.reference_start
        own = [(0, blocks)] if isinstance(blocks, int) else blocks
        spans = [(start + offset, start + offset + size) for offset, size in own]
        left = [piece for span in spans for piece in _without(span, known)]
        known += left
        return tuple((begin - start, end - begin) for begin, end in left) or 0


def _without(span: Interval, known: Sequence[Interval]) -> list[Interval]:
    """What is left of a span outside of others, which do not overlap one another."""
    begin, end = span
    left = []
    for low, high in sorted(known):
        if high <= begin or low >= end:
            continue
        if low > begin:
            left.append((begin, low))
        begin = max(begin, high)
    return [*left, (begin, end)] if begin < end else left
