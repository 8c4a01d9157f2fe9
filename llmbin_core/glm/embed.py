"""Embeddings of views: one pass over the bases of a contig serves all its views."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from llmbin_core.errors import EnvironmentFault
from llmbin_core.glm.base import Codes, Embedder, Floats
from llmbin_core.progress import task as progress_task

log = logging.getLogger("llmbin")

BATCH_BP = 1 << 20
# Working memory that one batch may take, in bytes.
_BATCH_MEMORY = 512 << 20
_SMALLEST_BATCH = 1 << 12
# Pooled vectors that wait for the head, in bytes.
_HEAD_MEMORY = 128 << 20


@dataclass(frozen=True)
class _Piece:
    """Bases begin..end-1 of a contig, whose blocks are summed in one go."""

    contig: int
    begin: int
    end: int


def embed_views(
    embedder: Embedder,
    sequences: Sequence[Codes],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    *,
    batch_bp: int = BATCH_BP,
    per_view: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Floats:
    """Embedding of every view of every contig.

    Without `per_view` the sums of the blocks of a contig are computed once, and a view takes the
    blocks whose centre lies inside it (at least the one at its middle).

    Parameters
    ----------
    embedder : Embedder
    sequences : sequence of uint8 [L]
        Codes of the n contigs.
    starts, ends : int64 [n, V]
        Views in bp, end exclusive.
    batch_bp : int
        Bases computed at once, at most; halved when memory runs out.
    per_view : bool
        Compute each view from its own bases, as if it were a contig.
    progress : callable, optional
        Called with the number of bases done since the last call, besides the usual reporter.

    Returns
    -------
    float32 [n, V, D]
        Views without a known base are zero.

    Raises
    ------
    EnvironmentFault
        Memory runs out even with the smallest batch.
    """
    n, n_views = starts.shape
    if per_view:
        cut = [sequences[i][starts[i, v] : ends[i, v]] for i in range(n) for v in range(n_views)]
        begin = np.zeros((n * n_views, 1), dtype=np.int64)
        end = np.array([[len(s)] for s in cut], dtype=np.int64).reshape(-1, 1)
        flat = embed_views(embedder, cut, begin, end, batch_bp=batch_bp, progress=progress)
        return flat.reshape(n, n_views, embedder.dim)
    out = np.zeros((n, n_views, embedder.dim), dtype=np.float32)
    batch_bp = max(min(batch_bp, _BATCH_MEMORY // embedder.cost), _SMALLEST_BATCH)
    pool = _ViewPool(embedder, starts, ends, out)
    total = sum(len(s) for s in sequences)
    with progress_task("embedding", total, "bp") as bar:
        for batch in _batches(embedder, sequences, batch_bp):
            _pool_batch(embedder, sequences, batch, pool)
            done = sum(p.end - p.begin for p in batch)
            bar.advance(done)
            if progress:
                progress(done)
    pool.flush()
    _blank_unknown(out, sequences, starts, ends)
    return out


class _ViewPool:
    """Adds block sums to the views they belong to; complete contigs go through the head."""

    def __init__(
        self, embedder: Embedder, starts: NDArray[np.int64], ends: NDArray[np.int64], out: Floats
    ) -> None:
        self._embedder, self._out = embedder, out
        self._first, self._last = view_blocks(starts, ends, embedder.block)
        self._open: dict[int, NDArray[np.float64]] = {}
        self._full: list[tuple[int, Floats]] = []
        self._waiting = 0

    def cuts(self, piece: _Piece, skipped: int) -> NDArray[np.int64]:
        """Ends of the views within a piece, in blocks of the piece with its context before."""
        block = self._embedder.block
        offset, size = piece.begin // block, -(-(piece.end - piece.begin) // block)
        edges = np.concatenate((self._first[piece.contig], self._last[piece.contig]))
        return np.unique(np.clip(edges - offset, 0, size)) + skipped

    def add(self, piece: _Piece, cuts: NDArray[np.int64], sums: Floats, last: bool) -> None:
        """Take the sums [s, H] of the spans between the cuts (in blocks of the contig)."""
        low = np.searchsorted(cuts, np.clip(self._first[piece.contig], cuts[0], cuts[-1]))
        high = np.searchsorted(cuts, np.clip(self._last[piece.contig], cuts[0], cuts[-1]))
        pooled = np.stack(
            [sums[a:b].sum(0, dtype=np.float64) for a, b in zip(low, high, strict=True)]
        )
        held = self._open.pop(piece.contig, None)
        if held is not None:
            pooled += held
        if not last:
            self._open[piece.contig] = pooled
            return
        blocks = self._last[piece.contig] - self._first[piece.contig]
        self._full.append((piece.contig, (pooled / blocks[:, None]).astype(np.float32)))
        self._waiting += pooled.size * 4
        if self._waiting > _HEAD_MEMORY:
            self.flush()

    def flush(self) -> None:
        """Run the head on all complete contigs."""
        if not self._full:
            return
        vectors = self._embedder.head(np.concatenate([p for _, p in self._full]))
        at = 0
        for contig, pooled in self._full:
            self._out[contig] = vectors[at : at + len(pooled)]
            at += len(pooled)
        self._full, self._waiting = [], 0


def view_blocks(
    starts: NDArray[np.int64], ends: NDArray[np.int64], block: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First block and one past the last block of each view: those whose centre lies inside it.

    A view that holds no centre gets the block at its own middle.
    """
    first = -((block // 2 - starts) // block)
    last = -((block // 2 - ends) // block)
    middle = (starts + np.maximum(ends, starts + 1) - 1) // 2 // block
    empty = last <= first
    return np.where(empty, middle, first), np.where(empty, middle + 1, last)


def _batches(
    embedder: Embedder, sequences: Sequence[Codes], batch_bp: int
) -> Iterator[list[_Piece]]:
    """Pieces of about equal length together, at most batch_bp bases (or one piece)."""
    step = max(batch_bp // embedder.block, 1) * embedder.block
    order = sorted(range(len(sequences)), key=lambda i: (len(sequences[i]), i))
    batch: list[_Piece] = []
    size = 0
    for contig in order:
        length = len(sequences[contig])
        cuts = [0, length] if embedder.context == 0 else [*range(0, length, step), length]
        for begin, end in pairwise(cuts):
            if batch and size + end - begin > batch_bp:
                yield batch
                batch, size = [], 0
            batch.append(_Piece(contig, begin, end))
            size += end - begin
    if batch:
        yield batch


def _pool_batch(
    embedder: Embedder, sequences: Sequence[Codes], batch: list[_Piece], pool: _ViewPool
) -> None:
    """Sum the spans of the pieces of a batch; when memory runs out, of one half after the other."""
    skipped = [_context_blocks(embedder, p) for p in batch]
    cuts = [pool.cuts(p, s) for p, s in zip(batch, skipped, strict=True)]
    try:
        sums = embedder.span_sums([_with_context(embedder, sequences, p) for p in batch], cuts)
    except (MemoryError, torch.OutOfMemoryError) as error:
        if len(batch) == 1:
            raise EnvironmentFault(
                f"out of memory for a stretch of {batch[0].end - batch[0].begin} bp; "
                "use --device cpu, a machine with more memory or a smaller gLM"
            ) from error
        log.warning("out of memory with %d stretches at once; trying half", len(batch))
        sums = None
    if sums is None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = len(batch) // 2
        _pool_batch(embedder, sequences, batch[:half], pool)
        _pool_batch(embedder, sequences, batch[half:], pool)
        return
    for piece, cut, before, table in zip(batch, cuts, skipped, sums, strict=True):
        last = piece.end == len(sequences[piece.contig])
        pool.add(piece, cut - before + piece.begin // embedder.block, table, last)


def _context_blocks(embedder: Embedder, piece: _Piece) -> int:
    """Whole blocks kept before a piece as context."""
    return min(-(-embedder.context // embedder.block), piece.begin // embedder.block)


def _with_context(embedder: Embedder, sequences: Sequence[Codes], piece: _Piece) -> Codes:
    begin = piece.begin - _context_blocks(embedder, piece) * embedder.block
    return sequences[piece.contig][begin : piece.end + embedder.context]


def _blank_unknown(
    out: Floats,
    sequences: Sequence[Codes],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> None:
    """Zero the views that hold no known base."""
    for i, codes in enumerate(sequences):
        unknown = codes > 3
        if not unknown.any():
            continue
        running = np.concatenate(([0], np.cumsum(~unknown)))
        out[i, running[ends[i]] == running[starts[i]]] = 0
