"""Reading frames without gene calling: which of the six frames of a stretch is translated.

Almost nine tenths of a prokaryotic genome are genes, and the codons of the translated frame tell
genomes apart far better than the same k-mers counted in all frames. A table of log-odds of in-frame
hexamers (two codons), one per GC content, is learned from raw genomes: long open reading frames
give the first table, and two rounds of expectation-maximisation (each open reading frame keeps the
positions where it scores highest) refine it. No annotation is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmbin_core.glm.alphabet import complement_numbers, kmer_numbers, reverse_complement
from llmbin_core.glm.base import Codes, Floats

HEXAMERS = 4096
N_GC = 16
_GC_LOW, _GC_HIGH = 0.20, 0.76
_GC_WIDTH = 0.08
_NONE = 255
# Integers make sums exact; the limit keeps one sequencing error from looking like a stop codon
# that ends a gene for certain.
_UNIT, _LIMIT = 256, 4.0
# TAA, TAG and TGA as 3-mer numbers (standard stop codons, NCBI translation table 11).
_STOPS = (48, 50, 56)
# Open reading frames at least this long are genes by length alone in genomes below 42 % GC (the
# chance of 300 codons without a stop is below 1e-6 there); above it, scores decide.
_SURE_LENGTH, _SCORED_LENGTH, _LENGTH_RULE_GC = 900, 400, 0.42
_DECAY = 0.7


def gc_bin(gc: NDArray[np.floating]) -> NDArray[np.int64]:
    """Table of each GC fraction, 0..N_GC-1."""
    scaled = (np.asarray(gc) - _GC_LOW) / (_GC_HIGH - _GC_LOW) * (N_GC - 1)
    return np.clip(np.rint(scaled), 0, N_GC - 1).astype(np.int64)


def learn_tables(genomes: Sequence[Codes], rounds: int = 2) -> NDArray[np.int16]:
    """Log-odds of in-frame hexamers against all hexamers, per GC content.

    Parameters
    ----------
    genomes : sequence of uint8 [L]
        One long sequence (a few 100 kb) of each of many genomes.
    rounds : int
        Rounds of expectation-maximisation after the first pass.

    Returns
    -------
    int16 [N_GC, 4096]
        Log-odds in units of 1/256 nat, within -4..4.
    """
    ordered = sorted(((_gc(g), g) for g in genomes if len(g) >= 5000), key=lambda pair: pair[0])
    inside, overall = _first_pass(ordered)
    for _ in range(rounds):
        tables = _log_odds(inside, overall)
        inside, overall = np.zeros_like(inside), np.zeros_like(overall)
        for gc, codes in ordered:
            table = tables[gc_bin(np.array(gc))]
            _add(inside, overall, gc, _count(codes, _paint(codes, table, _SCORED_LENGTH)))
    limited = np.clip(_log_odds(inside, overall), -_LIMIT, _LIMIT)
    return np.rint(limited * _UNIT).astype(np.int16)


class InFrame(NamedTuple):
    """The hexamer at each base and the strands on which it is in the translated frame, [n - 5]."""

    hexamers: NDArray[np.int32]
    known: NDArray[np.bool_]
    forward: NDArray[np.bool_]
    reverse: NDArray[np.bool_]


def in_frame(codes: Codes, tables: NDArray[np.int16], reach: int) -> InFrame:
    """Which hexamers are two codons of the translated frame.

    Each of the six frames scores the sum of its hexamers' log-odds within `reach` codons; a hexamer
    is in frame when its frame scores above zero and above the five others. The result of the
    reverse complement is the mirror image, exactly: the sums are integers.

    Parameters
    ----------
    codes : uint8 [n]
        n a multiple of 3; sequences in it are at least ``3 * reach + 6`` unknown bases apart.
    tables : int16 [N_GC, 4096]
        From `learn_tables`.
    reach : int
        Codons to either side.
    """
    hexamers, known = kmer_numbers(codes, 6)
    index = _window_bins(codes, reach) * np.int32(HEXAMERS) + hexamers
    forward = _frame_sums(tables.reshape(-1)[index] * known, reach)
    mirrored = np.ascontiguousarray(tables[:, complement_numbers(6)]).reshape(-1)
    reverse = _frame_sums(mirrored[index] * known, reach)
    either = np.maximum(forward, reverse)
    rival = np.zeros_like(either)
    rival[1:] = np.maximum(rival[1:], either[:-1])
    rival[:-1] = np.maximum(rival[:-1], either[1:])
    return InFrame(
        hexamers,
        known,
        known & (forward > rival) & (forward > reverse),
        known & (reverse > rival) & (reverse > forward),
    )


def _window_bins(codes: Codes, reach: int) -> NDArray[np.int32]:
    """Table number by the GC content within `reach` codons of each hexamer, int32 [n - 5]."""
    n = max(len(codes) - 5, 0)
    width = 6 * reach + 6
    # One running sum counts both: known bases in the high half, G and C in the low half.
    step = ((codes - np.uint8(1)) < 2).astype(np.uint32) | (codes < 4).astype(np.uint32) << 16
    running = np.zeros(len(codes) + 6 * reach + 1, dtype=np.uint32)
    inner = slice(3 * reach + 1, 3 * reach + 1 + len(codes))
    np.cumsum(step, dtype=np.uint32, out=running[inner])
    running[inner.stop :] = running[inner.stop - 1]
    window = running[width : width + n] - running[:n]
    return _bins_by_count(width)[(window >> 16) * np.uint32(width + 1) + (window & 0xFFFF)]


@lru_cache(maxsize=4)
def _bins_by_count(width: int) -> NDArray[np.int32]:
    """Table number for each (known bases, G + C) of a window, flat [(width + 1)^2]."""
    known, gc = np.divmod(np.arange((width + 1) ** 2), width + 1)
    return gc_bin(np.minimum(gc / np.maximum(known, 1), 1.0)).astype(np.int32)


def _frame_sums(values: NDArray[np.int16], reach: int) -> NDArray[np.int32]:
    """Sums over the values at the same phase (mod 3) within `reach` codons, int32 [n]."""
    n = len(values)
    rows = -(-n // 3)
    padded = np.zeros(rows * 3, dtype=np.int32)
    padded[:n] = values
    # running[reach + j] is the sum of the first j rows; it stays level beyond both ends.
    running = np.zeros((rows + 2 * reach + 1, 3), dtype=np.int32)
    inner = running[reach + 1 : reach + 1 + rows]
    np.cumsum(padded.reshape(rows, 3), axis=0, dtype=np.int32, out=inner)
    running[reach + 1 + rows :] = running[reach + rows]
    sums = running[2 * reach + 1 :] - running[:rows]
    return sums.reshape(-1)[:n]


def _gc(codes: Codes) -> float:
    return float(((codes == 1) | (codes == 2)).sum() / max(int((codes < 4).sum()), 1))


_Counts = tuple[NDArray[np.float64], NDArray[np.float64]]


def _first_pass(ordered: list[tuple[float, Codes]]) -> _Counts:
    """Counts from low GC upwards; each genome is scored with what its neighbours taught."""
    inside, overall = np.zeros((N_GC, HEXAMERS)), np.zeros((N_GC, HEXAMERS))
    near_in, near_all = np.zeros(HEXAMERS), np.zeros(HEXAMERS)
    for gc, codes in ordered:
        if gc < _LENGTH_RULE_GC or not near_in.any():
            painted = _paint(codes, np.ones(HEXAMERS, dtype=np.float32), _SURE_LENGTH)
        else:
            painted = _paint(codes, _log_odds(near_in[None], near_all[None])[0], _SCORED_LENGTH)
        counts = _count(codes, painted)
        near_in, near_all = _DECAY * near_in + counts[0], _DECAY * near_all + counts[1]
        _add(inside, overall, gc, counts)
    return inside, overall


def _add(
    inside: NDArray[np.float64],
    overall: NDArray[np.float64],
    gc: float,
    counts: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:
    """Spread the counts of a genome over the tables near its GC content (triangular weights)."""
    centres = np.linspace(_GC_LOW, _GC_HIGH, N_GC)
    weights = np.maximum(0, 1 - np.abs(centres - np.clip(gc, _GC_LOW, _GC_HIGH)) / _GC_WIDTH)
    inside += weights[:, None] * counts[0]
    overall += weights[:, None] * counts[1]


def _log_odds(inside: NDArray[np.float64], overall: NDArray[np.float64]) -> Floats:
    """Log-odds per table; a table without data takes the one of the nearest GC with data."""
    filled = np.flatnonzero(inside.sum(1) > 0)
    if filled.size == 0:
        return np.zeros(inside.shape, dtype=np.float32)
    nearest = filled[np.abs(np.arange(len(inside))[:, None] - filled).argmin(1)]
    p, q = inside[nearest] + 0.5, overall[nearest] + 0.5
    odds = p / p.sum(1, keepdims=True) / (q / q.sum(1, keepdims=True))
    table: Floats = np.log(odds).astype(np.float32)
    return table


def _paint(codes: Codes, table: Floats, min_length: int) -> NDArray[np.uint8]:
    """For each base the frame of the best open reading frame over it (3 * strand + phase).

    Phases count from the start of the strand's own reading direction; 255 where none reaches.
    """
    best = np.zeros(len(codes), dtype=np.float32)
    frame = np.full(len(codes), _NONE, dtype=np.uint8)
    for strand in (0, 1):
        text = codes if strand == 0 else reverse_complement(codes)
        for phase in range(3):
            score = _orf_scores(text, table, phase, min_length)
            score = score if strand == 0 else score[::-1]
            better = score > best
            best[better] = score[better]
            frame[better] = 3 * strand + phase
    return frame


def _orf_scores(codes: Codes, table: Floats, phase: int, min_length: int) -> Floats:
    """For each base the summed score of the open reading frame of one phase that covers it."""
    triplets, clean = kmer_numbers(codes, 3)
    hexamers, known = kmer_numbers(codes, 6)
    ends = np.isin(triplets, _STOPS) | ~clean
    stops = np.flatnonzero(ends[phase::3])
    n_codons = (len(codes) - phase) // 3
    edges = np.concatenate(([-1], stops, [n_codons]))
    values = np.where(known, table[hexamers], 0)[phase::3]
    running = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    begin = np.minimum(edges[:-1] + 1, len(values))
    # The hexamer that ends in the stop codon belongs to no gene.
    end = np.clip(edges[1:] - 1, begin, len(values))
    total = running[end] - running[begin]
    total[3 * (edges[1:] - edges[:-1] - 1) < min_length] = 0
    out = np.zeros(len(codes), dtype=np.float32)
    spread = np.repeat(total, 3 * np.diff(edges))[3:]
    spread = spread[: len(codes) - phase]
    out[phase : phase + len(spread)] = spread
    return out


def _count(codes: Codes, frame: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hexamers within the painted frames, and all hexamers of both strands, int64 [4096] each."""
    hexamers, known = kmer_numbers(codes, 6)
    overall = np.bincount(hexamers[known], minlength=HEXAMERS)
    overall = overall + overall[complement_numbers(6)]
    inside = np.zeros(HEXAMERS, dtype=np.int64)
    for strand in (0, 1):
        text, painted = (codes, frame) if strand == 0 else (reverse_complement(codes), frame[::-1])
        hexamers, known = kmer_numbers(text, 6)
        n = len(hexamers)
        hit = known & (painted[:n] == 3 * strand + np.arange(n) % 3)
        inside += np.bincount(hexamers[hit], minlength=HEXAMERS)
    return inside, overall
