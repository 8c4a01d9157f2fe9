"""Depth of contigs from aligned blocks: a difference array, then prefix sums of depth and depth^2.

A block adds +1 where it begins and -1 where it ends; the running sum of these is the depth. With
prefix sums of depth and of its square, kept where views begin or end, mean and variance over any
view cost O(1). Everything is summed in integers, so that no order of reads or files changes a bit.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# References are finished in groups of about this many bases: 12 bytes each while it happens.
GROUP_BP = 1 << 20

_PLUS, _MINUS = np.int32(1), np.int32(-1)


def moments(
    depth: NDArray[np.int32], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population variance of the depth over intervals.

    Parameters
    ----------
    depth : int32 [N]
        Depth of each base.
    begins, ends : int64 [...]
        Intervals, end exclusive, at least one base long.

    Returns
    -------
    mean, variance : float64 [...]
        With q the mean rounded down, variance = sum (d - q)^2 / L - (mean - q)^2; both sums are
        exact integers, so that deep and even coverage loses no digits. They hold sums of squares
        around the mean below 2^63: a standard deviation of a million x over 9 Mb.
    """
    cuts, at = np.unique(np.concatenate((begins.ravel(), ends.ravel())), return_inverse=True)
    first, last = at.reshape(2, *begins.shape)
    values = depth[: cuts[-1]].astype(np.int64)
    total = _between(values, cuts, first, last)
    values *= values
    squares = _between(values, cuts, first, last)
    length = ends - begins
    floor, rest = np.divmod(total, length)
    # sum (d - q)^2 = sum d^2 - q (2 sum d - q L), and sum d = q L + rest.
    around = squares - floor * (total + rest)
    part = rest / length
    return floor + part, np.maximum(around / length - part * part, 0.0)


def _between(
    values: NDArray[np.int64],
    cuts: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Sum of `values` from cut number `first` to cut number `last`, by sums up to each cut."""
    # Prefix sums at the cuts alone; wrapping past 2^63 is harmless, differences come out right.
    prefix = np.concatenate(([0], np.cumsum(np.add.reduceat(values, cuts[:-1]))))
    return prefix[last] - prefix[first]


class DepthSums:
    """Mean and variance of all views, from aligned blocks that arrive reference by reference.

    Parameters
    ----------
    lengths : int64 [R]
        Length of each reference sequence of the alignment file; 0 where it is no contig.
    rows : int64 [R]
        Row of each reference in the contig set, -1 where it is no contig.
    starts, ends : int64 [n, V]
        Views of the contigs.

    Attributes
    ----------
    mean, variance : float32 [n, V]
        Complete after the last `close`; contigs without reads stay 0.
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        rows: NDArray[np.int64],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
    ) -> None:
        self.lengths, self.rows = lengths, rows
        self.starts, self.ends = starts, ends
        self.mean = np.zeros(starts.shape, dtype=np.float32)
        self.variance = np.zeros(starts.shape, dtype=np.float32)
        # One spare slot behind each reference takes the ends of blocks that reach its last base.
        self._base = np.concatenate(([0], np.cumsum(lengths + 1)))
        self.cuts = _group_cuts(self._base)
        self._first = self._stop = 0
        self._steps = np.zeros(0, dtype=np.int32)

    def open(self, first: int, stop: int) -> None:
        """Begin the references first..stop-1, which must be whole groups of `cuts`."""
        self._first, self._stop = first, stop
        self._steps = np.zeros(self._base[stop] - self._base[first], dtype=np.int32)

    def add(self, blocks: NDArray[np.int64]) -> None:
        """Count aligned blocks, [k, 3]: reference, first base, length; cut at the contig's ends."""
        reference, begin, size = blocks.T
        offset = self._base[reference] - self._base[self._first]
        limit = self.lengths[reference]
        np.add.at(self._steps, offset + np.clip(begin, 0, limit), _PLUS)
        np.add.at(self._steps, offset + np.clip(begin + size, 0, limit), _MINUS)

    def close(self) -> None:
        """Finish the references that `open` began."""
        inner = self.cuts[(self.cuts >= self._first) & (self.cuts <= self._stop)].tolist()
        for first, stop in pairwise(inner):
            self._finish(first, stop)
        self._steps = np.zeros(0, dtype=np.int32)

    def _finish(self, first: int, stop: int) -> None:
        references = np.arange(first, stop)
        references = references[self.rows[first:stop] >= 0]
        if not len(references):
            return
        low = self._base[first]
        steps = self._steps[
            low - self._base[self._first] : self._base[stop] - self._base[self._first]
        ]
        # Steps of a reference sum to 0, so the running sum starts at 0 in each of them.
        depth = np.cumsum(steps, dtype=np.int32, out=steps)
        rows = self.rows[references]
        offset = (self._base[references] - low)[:, None]
        mean, variance = moments(depth, offset + self.starts[rows], offset + self.ends[rows])
        self.mean[rows], self.variance[rows] = mean, variance


def _group_cuts(base: NDArray[np.int64]) -> NDArray[np.int64]:
    """Borders of groups of references that begin within the same `GROUP_BP` bases."""
    group = base[:-1] // GROUP_BP
    inner = np.flatnonzero(np.diff(group)) + 1
    return np.concatenate(([0], inner, [len(base) - 1])).astype(np.int64)
