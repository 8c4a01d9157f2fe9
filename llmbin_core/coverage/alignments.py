"""One pass over a BAM or CRAM file: checks, the alignments that count, their aligned blocks.

The file may be sorted by coordinate or not, indexed or not. Bases aligned by M, = or X count;
deletions, skips, insertions and clipped bases do not. Unmapped, secondary, duplicate and QC-failed
records are left out. Supplementary records count: they are the other parts of a split (mostly
long) read, whose bases no other record covers. Where mates overlap, both count. Where the parts of
a split long read overlap, they count once (`longreads`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pysam
from numpy.typing import NDArray

from llmbin_core import defaults
from llmbin_core.contigs import ContigTable
from llmbin_core.coverage.depth import DepthSums
from llmbin_core.coverage.handles import open_alignments, reference_rows
from llmbin_core.coverage.longreads import SplitReads
from llmbin_core.errors import InputError, UsageError

_LEFT_OUT = pysam.FUNMAP | pysam.FSECONDARY | pysam.FQCFAIL | pysam.FDUP
_FLUSH_AT = 3 << 18
_CACHED_CIGARS = 1 << 16
_CACHED_LENGTH = 40

# Operations of a CIGAR by their numbers in the SAM specification.
_ALIGNED_OPS = (pysam.CMATCH, pysam.CEQUAL, pysam.CDIFF)
_GAP_OPS = (pysam.CDEL, pysam.CREF_SKIP)
_COLUMN_OPS = (*_ALIGNED_OPS, pysam.CINS, pysam.CDEL)

# A CIGAR as blocks relative to the start of the alignment; one block from the start on is the
# usual case and just its length.
_Blocks = int | tuple[tuple[int, int], ...]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class DepthFilter:
    """Which alignments count towards depth.

    Attributes
    ----------
    min_mapq : int
        Mapping quality, 0..255.
    min_identity : float
        1 - NM / alignment columns (aligned, inserted and deleted bases), 0..1.
    reads : str
        ``long`` and ``hybrid``: see `longreads`.
    """

    min_mapq: int = 0
    min_identity: float = 0.0
    reads: str = defaults.READS

    def __post_init__(self) -> None:
        if not 0 <= self.min_mapq <= 255:
            raise UsageError(f"minimum mapping quality {self.min_mapq} is not within 0..255")
        if not 0 <= self.min_identity <= 1:
            raise UsageError(f"minimum identity {self.min_identity} is not within 0..1")
        if self.reads not in defaults.READ_KINDS:
            kinds = ", ".join(defaults.READ_KINDS)
            raise UsageError(f"reads '{self.reads}': use one of {kinds}")

    @property
    def long(self) -> bool:
        """Whether there are long reads among them."""
        return self.reads != "short"


@dataclass(frozen=True)
class SampleDepth:
    """Depth of one sample: mean and variance float32 [n, V], and the mapped reads that count."""

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    reads: int


def check_alignments(
    path: Path, contigs: ContigTable, passing: DepthFilter, reference: Path | None
) -> None:
    """Refuse a file that `sample_depth` would refuse before its first record.

    Raises
    ------
    InputError
        Missing file, neither BAM nor CRAM, no end-of-file block, contigs that its header lacks or
        gives another length, identity asked of CRAM without a reference.
    """
    with open_alignments(path, identity=passing.min_identity > 0, reference=reference) as handle:
        reference_rows(path, handle, contigs)


def sample_depth(
    path: Path,
    contigs: ContigTable,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    passing: DepthFilter,
    *,
    reference: Path | None = None,
    threads: int = 1,
    advance: Callable[[int], None] = lambda _: None,
) -> SampleDepth:
    """Mean and variance of depth over the views of all contigs.

    Parameters
    ----------
    path : Path
        BAM or CRAM.
    contigs : ContigTable
        All must be in the header of the file; what else the header holds is passed over.
    starts, ends : int64 [n, V]
        Views.
    passing : DepthFilter
    reference : Path, optional
        FASTA with its index beside it, for the identity of CRAM alignments.
    threads : int
        That decompress.
    advance : callable
        Told the compressed bytes read since its last call.

    Raises
    ------
    InputError
        See `check_alignments`; a damaged or cut file, no read that counts.
    """

    def scan(group_at_a_time: bool) -> _Scan:
        with open_alignments(
            path, identity=passing.min_identity > 0, reference=reference, threads=threads
        ) as handle:
            lengths, rows = reference_rows(path, handle, contigs)
            one = _Scan(path, handle, DepthSums(lengths, rows, starts, ends), passing, advance)
            one.run(group_at_a_time)
            return one

    try:
        done = scan(group_at_a_time=True)
    except _OutOfOrder:
        # An unsorted file shows in its first records; its difference array spans all contigs.
        done = scan(group_at_a_time=False)
    if not done.reads and len(contigs):
        raise InputError(f"{path}: {_no_reads_text(done.refused, passing)}")
    return SampleDepth(done.sums.mean, done.sums.variance, done.reads)


class _OutOfOrder(Exception):
    """A record belongs to a group of references that was already finished."""


class _Scan:
    """The loop over the records of one file."""

    def __init__(
        self,
        path: Path,
        handle: pysam.AlignmentFile,
        sums: DepthSums,
        passing: DepthFilter,
        advance: Callable[[int], None],
    ) -> None:
        self.path, self.handle, self.sums, self.passing = path, handle, sums, passing
        self.reads = self.refused = 0
        # Reference, begin, length of blocks, flat: the first of each read, and all others.
        self._leading: list[int] = []
        self._further: list[int] = []
        self._advance, self._told = advance, 0
        self._cache: dict[str | None, _Blocks] = {}
        self._columns: dict[str | None, int] = {}
        self._split = SplitReads()

    def run(self, group_at_a_time: bool) -> None:
        """Read all records into `sums`.

        Raises
        ------
        _OutOfOrder
            Only when `group_at_a_time`: the file is not sorted by reference.
        """
        cuts = iter((self.sums.cuts if group_at_a_time else self.sums.cuts[[0, -1]]).tolist())
        first, stop = next(cuts), next(cuts)
        self.sums.open(first, stop)
        leading, further, cache = self._leading, self._further, self._cache
        long = self.passing.long
        for read in self._counted():
            flag = read.flag
            if flag & _LEFT_OUT:
                continue
            where = read.reference_id
            if not first <= where < stop:
                if where < 0:
                    continue
                if where < first:
                    self._advance(-self._told)
                    raise _OutOfOrder
                self._flush()
                self._split.forget()
                self.sums.close()
                while where >= stop:
                    first, stop = stop, next(cuts)
                self.sums.open(first, stop)
            cigar = read.cigarstring
            blocks = cache.get(cigar)
            if blocks is None:
                blocks = self._learn(cigar, read)
            if long and read.has_tag("SA"):
                blocks = self._split.uncounted(read, blocks)
            target = further if flag & pysam.FSUPPLEMENTARY else leading
            if isinstance(blocks, int):
                target += (where, read.reference_start, blocks)
                if len(leading) > _FLUSH_AT:
                    self._flush()
            else:
                begin = read.reference_start
                for offset, size in blocks:
                    target += (where, begin + offset, size)
                    target = further
                if len(further) > _FLUSH_AT:
                    self._flush()
        self._flush()
        self.sums.close()

    def _records(self) -> Iterator[pysam.AlignedSegment]:
        try:
            yield from self.handle
        except (OSError, ValueError) as error:
            hint = ", or the reference is not the FASTA it was written against"
            raise InputError(
                f"{self.path}: damaged or cut short ({error}); copy or make the file again"
                f"{hint if self.handle.is_cram and self.passing.min_identity > 0 else ''}"
            ) from None

    def _counted(self) -> Iterable[pysam.AlignedSegment]:
        return self._records() if self.passing == DepthFilter() else self._filtered()

    def _filtered(self) -> Iterator[pysam.AlignedSegment]:
        least_quality, least_identity = self.passing.min_mapq, self.passing.min_identity
        for read in self._records():
            if read.flag & _LEFT_OUT:
                continue
            if read.mapping_quality < least_quality or (
                least_identity > 0 and self._identity(read) < least_identity
            ):
                self.refused += 1
                continue
            yield read

    def _identity(self, read: pysam.AlignedSegment) -> float:
        cigar = read.cigarstring
        columns = self._columns.get(cigar)
        if columns is None:
            columns = sum(n for op, n in read.cigartuples or () if op in _COLUMN_OPS)
            _remember(self._columns, cigar, columns)
        try:
            mismatches = int(read.get_tag("NM"))
        except KeyError:
            raise InputError(
                f"{self.path}: alignment of '{read.query_name}' has no NM tag, so its identity is "
                "unknown; add the tag with 'samtools calmd' or leave out the minimum identity"
            ) from None
        return 1 - mismatches / columns if columns else 0.0

    def _learn(self, cigar: str | None, read: pysam.AlignedSegment) -> _Blocks:
        blocks = _blocks(read.cigartuples or [])
        _remember(self._cache, cigar, blocks)
        return blocks

    def _flush(self) -> None:
        leading = np.array(self._leading, dtype=np.int64).reshape(-1, 3)
        further = np.array(self._further, dtype=np.int64).reshape(-1, 3)
        self._leading.clear()
        self._further.clear()
        self.sums.add(leading)
        self.sums.add(further)
        self.reads += int(np.count_nonzero(self.sums.rows[leading[:, 0]] >= 0))
        # A position in BGZF holds the offset of the block in its upper 48 bits.
        at = self.handle.tell() >> (0 if self.handle.is_cram else 16)
        self._advance(at - self._told)
        self._told = at


def _remember(cache: dict[str | None, _Value], cigar: str | None, value: _Value) -> None:
    """Keep what a CIGAR means; long ones hardly come again."""
    if cigar is not None and len(cigar) <= _CACHED_LENGTH:
        if len(cache) >= _CACHED_CIGARS:
            cache.clear()
        cache[cigar] = value


def _blocks(cigar: list[tuple[int, int]]) -> _Blocks:
    """Aligned blocks of a CIGAR, joined over insertions."""
    blocks: list[tuple[int, int]] = []
    at = 0
    for operation, size in cigar:
        if operation in _ALIGNED_OPS:
            if blocks and sum(blocks[-1]) == at:
                blocks[-1] = (blocks[-1][0], blocks[-1][1] + size)
            else:
                blocks.append((at, size))
            at += size
        elif operation in _GAP_OPS:
            at += size
    if not blocks:
        return 0
    return blocks[0][1] if len(blocks) == 1 and blocks[0][0] == 0 else tuple(blocks)


def _no_reads_text(refused: int, passing: DepthFilter) -> str:
    if refused:
        return (
            f"none of its {refused} alignments has a mapping quality of at least "
            f"{passing.min_mapq} and an identity of at least {passing.min_identity}; lower them"
        )
    return (
        "no read is mapped to the contigs; was it made from the reads of this sample and this "
        "assembly? Leave the file out if the sample has none"
    )
