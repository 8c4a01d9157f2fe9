"""Split reads counted once per position.

A long read reaches over contig ends, the origin of a circle, repeats and breakpoints; aligners then
report it in several parts (the primary and its supplementary alignments), each with a mapping
quality of its own, by which it passes or not. The parts can overlap on the contig (inverted or
tandem repeats). Depth is the number of reads over a position, so each read counts once there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pysam
from numpy.typing import NDArray

Interval = tuple[int, int]


def _contigs_of_other_parts(read: pysam.AlignedSegment) -> list[str]:
    """Where the other alignments of a read lie, by its SA tag."""
    parts = str(read.get_tag("SA")).split(";") if read.has_tag("SA") else []
    return [part.partition(",")[0] for part in parts]


class SplitReads:
    """What was counted of the reads that have several alignments to one contig."""

    def __init__(self) -> None:
        # Begin and end of the blocks of each part, int32 [blocks, 2]: small, as there are many.
        self._counted: dict[tuple[int, str, int], list[NDArray[np.int32]]] = {}

    def forget(self) -> None:
        """Begin with other contigs."""
        self._counted.clear()

    def uncounted(
        self, read: pysam.AlignedSegment, blocks: int | tuple[Interval, ...]
    ) -> int | tuple[Interval, ...]:
        """The part of an alignment's blocks that no earlier alignment of its read covers.

        Parameters
        ----------
        read : AlignedSegment
        blocks : int, or tuple of (offset, length)
            Aligned blocks from the start of the alignment; a number is one block from there on.

        Returns
        -------
        int, or tuple of (offset, length)
            As `blocks`; 0 where nothing is left.
        """
        if read.reference_name not in _contigs_of_other_parts(read):
            return blocks
        mate = read.flag & (pysam.FREAD1 | pysam.FREAD2)
        parts = self._counted.setdefault((read.reference_id, read.query_name or "", mate), [])
        start = read.reference_start
        own = [(0, blocks)] if isinstance(blocks, int) else blocks
        spans = [(start + offset, start + offset + size) for offset, size in own]
        near = [p for p in parts if p[0, 0] < spans[-1][1] and spans[0][0] < p[-1, 1]]
        if near:
            known = sorted((begin, end) for part in near for begin, end in part.tolist())
            spans = _difference(spans, known)
            blocks = tuple((begin - start, end - begin) for begin, end in spans) or 0
        if spans:
            parts.append(np.array(spans, dtype=np.int32))
        return blocks


def _difference(spans: Sequence[Interval], known: Sequence[Interval]) -> list[Interval]:
    """What is left of spans outside of others; both are sorted and disjoint."""
    left, first = [], 0
    for begin, end in spans:
        at = begin
        while first < len(known) and known[first][1] <= begin:
            first += 1
        number = first
        while number < len(known) and known[number][0] < end:
            low, high = known[number]
            if low > at:
                left.append((at, low))
            at = max(at, high)
            number += 1
        if at < end:
            left.append((at, end))
    return left
