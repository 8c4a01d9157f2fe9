"""Alignments of read pairs: where each read lies on the contigs, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from llmbin_core.simulate.reads import Fragments, Ints, Targets, choose_assembly

Compact = NDArray[np.int32]

PAIRED, PROPER, MATE_UNMAPPED, REVERSE, MATE_REVERSE, FIRST, SECOND = 1, 2, 8, 16, 32, 64, 128


@dataclass(frozen=True)
class AlignedReads:
    """Aligned reads of equal length.

    Attributes
    ----------
    contig, position : int32 [n]
        Number of the contig in the BAM and leftmost aligned base on it (0-based).
    left, right : int32 [n]
        Clipped bases at either end, as seen on the contig.
    source : int64 [n]
        First base of the read among the bases of all genomes.
    turned : bool [n]
        Whether the contig is the reverse complement of the genome.
    flag, quality, mate_contig, mate_position, template, fragment
        As in the SAM format; `fragment` becomes the name.
    """

    contig: Compact
    position: Compact
    left: Compact
    right: Compact
    source: Ints
    turned: NDArray[np.bool_]
    flag: Compact
    quality: NDArray[np.uint8]
    mate_contig: Compact
    mate_position: Compact
    template: Compact
    fragment: Ints

    def __len__(self) -> int:
        return len(self.contig)

    def take(self, rows: Ints) -> AlignedReads:
        """The reads of some rows, in their order."""
        return AlignedReads(*(getattr(self, f.name)[rows] for f in fields(self)))


def join(parts: Sequence[AlignedReads]) -> AlignedReads:
    """All reads, one part after the other."""
    names = [f.name for f in fields(AlignedReads)]
    return AlignedReads(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


@dataclass(frozen=True)
class _Mates:
    """One read of each fragment on the contigs; `row` is -1 where it is not aligned."""

    row: Ints
    number: Ints
    position: Ints
    left: Ints
    right: Ints
    turned: NDArray[np.bool_]
    aligned: Ints


def align_pairs(
    rng: np.random.Generator,
    fragments: Fragments,
    targets: Sequence[Targets],
    read_length: int,
    genome_offset: int,
    first_fragment: int,
) -> AlignedReads:
    """Align both ends of each fragment of one genome; ends outside of contigs have no alignment.

    Parameters
    ----------
    targets : sequence of Targets
        Contigs of the genome in each assembly. A pair is aligned to one of them.
    genome_offset : int
        Where the genome begins among the bases of all genomes.
    first_fragment : int
        Number of the first fragment.
    """
    begins = (fragments.begin, fragments.end - read_length)
    rows = [np.stack([t.at(b + read_length // 2) for t in targets], axis=1) for b in begins]
    chosen, quality = choose_assembly(rng, (rows[0] >= 0) | (rows[1] >= 0))
    everyone = np.arange(len(chosen))
    shift = np.cumsum([0, *(len(t.begin) for t in targets)])
    contigs = Targets(
        *(np.concatenate([getattr(t, f.name) for t in targets]) for f in fields(Targets))
    )
    mates = []
    for begin, row in zip(begins, rows, strict=True):
        mine = row[everyone, chosen]
        mine = np.where((chosen >= 0) & (mine >= 0), mine + shift[chosen], -1)
        mates.append(_place(contigs, mine, begin, read_length))
    left_first = rng.random(len(chosen)) < 0.5
    records = []
    for side in (0, 1):
        me, mate = mates[side], mates[1 - side]
        here = np.flatnonzero(me.row >= 0)
        mate_position = np.where(mate.row >= 0, mate.position, me.position)[here]
        records.append(
            AlignedReads(
                contig=me.number[here].astype(np.int32),
                position=me.position[here].astype(np.int32),
                left=me.left[here].astype(np.int32),
                right=me.right[here].astype(np.int32),
                source=begins[side][here] + genome_offset,
                turned=me.turned[here],
                flag=_flags(me, mate, side, left_first)[here].astype(np.int32),
                quality=quality[here],
                mate_contig=np.where(mate.row >= 0, mate.number, me.number)[here].astype(np.int32),
                mate_position=mate_position.astype(np.int32),
                template=_template(me, mate, side)[here].astype(np.int32),
                fragment=here + first_fragment,
            )
        )
    return join(records)


def _place(contigs: Targets, row: Ints, begin: Ints, length: int) -> _Mates:
    if not len(contigs.begin):
        none = np.zeros(len(row), dtype=np.int64)
        return _Mates(row, none, none, none, none, none.astype(bool), none)
    first, last, turned = contigs.begin[row], contigs.end[row], contigs.reverse[row]
    end = begin + length
    before, behind = np.maximum(first - begin, 0), np.maximum(end - last, 0)
    position = np.where(turned, last - np.minimum(end, last), np.maximum(begin, first) - first)
    return _Mates(
        row,
        contigs.number[row],
        position,
        np.where(turned, behind, before),
        np.where(turned, before, behind),
        turned,
        length - before - behind,
    )


def _flags(me: _Mates, mate: _Mates, side: int, left_first: NDArray[np.bool_]) -> Ints:
    # The read at the right end of a fragment is on the other strand of the genome.
    reverse, mate_reverse = me.turned ^ bool(side), mate.turned ^ (not side)
    mated = mate.row >= 0
    flag = PAIRED + REVERSE * reverse + MATE_REVERSE * (mate_reverse & mated)
    flag += MATE_UNMAPPED * ~mated + PROPER * (mated & (me.number == mate.number))
    return np.asarray(flag + np.where(left_first ^ bool(side), FIRST, SECOND))


def _template(me: _Mates, mate: _Mates, side: int) -> Ints:
    both = (me.row >= 0) & (mate.row >= 0) & (me.number == mate.number)
    first = np.minimum(me.position, mate.position)
    last = np.maximum(me.position + me.aligned, mate.position + mate.aligned)
    leads = me.position + side <= mate.position
    return np.where(both, np.where(leads, last - first, first - last), 0)
