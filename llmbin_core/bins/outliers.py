"""Contigs that contradict their bin in depth and in the latent space.

Either alone says little: plasmids, repeats and genes that strains share differ in depth, short
contigs in the latent. On the development sets contigs far out in depth alone were right ten times
as often as wrong; of those far out in both, most were wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmbin_core.bins.markerindex import MarkerIndex
from llmbin_core.bins.quality import estimate
from llmbin_core.bins.selection import scores
from llmbin_core.files import write_text

# Robust z-scores above this are outliers; both of a contig's have to be.
_FAR_OUT = 3.0
# Spreads (log depth; cosine distance) below these are not told from noise.
_LEAST_DEPTH_SPREAD, _LEAST_LATENT_SPREAD = 0.05, 1e-3
_DEPTH_FLOOR = 0.1
# From the median absolute deviation to the standard deviation of a normal law.
_MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Outlier:
    """A contig that contradicts its bin.

    Attributes
    ----------
    row, bin : int
        Contig, and number of its bin.
    depth_z, latent_z : float
        Robust z-scores: root mean square over samples of the log depth; distance from the centre
        of the bin in the latent space.
    moved : bool
        It was taken out because the bin scores higher without it.
    """

    row: int
    bin: int
    depth_z: float
    latent_z: float
    moved: bool


def drop_outliers(
    bins: Sequence[NDArray[np.int64]],
    index: MarkerIndex,
    latent: NDArray[np.float32],
    depths: NDArray[np.float32],
    min_size: int,
) -> tuple[list[NDArray[np.int64]], list[Outlier]]:
    """Flag outliers and take out those without which their bin scores higher.

    Parameters
    ----------
    bins : sequence of int64 [size]
        Rows of the contigs of each bin.
    index : MarkerIndex
    latent : float32 [n, d]
        Unit vectors.
    depths : float32 [n, S]
        Mean depth (x).
    min_size : int
        No bin is made smaller (bp).

    Returns
    -------
    bins : list of int64 [size]
    outliers : list of Outlier
        By bin, then by row.
    """
    kept: list[NDArray[np.int64]] = []
    found: list[Outlier] = []
    for number, rows in enumerate(bins):
        lengths = index.lengths[rows]
        by_depth = depth_deviation(depths[rows], lengths)
        by_latent = latent_deviation(latent[rows], lengths)
        out = np.flatnonzero((by_depth > _FAR_OUT) & (by_latent > _FAR_OUT))
        worse = _better_without(rows, out, index, min_size)
        kept.append(np.delete(rows, out[worse]))
        found += [
            Outlier(int(rows[i]), number, float(by_depth[i]), float(by_latent[i]), bool(moved))
            for i, moved in zip(out, worse, strict=True)
        ]
    return kept, sorted(found, key=lambda o: (o.bin, o.row))


def write_outliers(path: Path, outliers: Sequence[tuple[str, str, Outlier]]) -> None:
    """Write outliers (contig, bin, numbers) as TSV; none leave the header alone."""
    lines = ["contig\tbin\tdepth_z\tlatent_z\tmoved_to_unbinned"]
    for contig, bin_name, o in outliers:
        moved = "yes" if o.moved else "no"
        lines.append(f"{contig}\t{bin_name}\t{o.depth_z:.2f}\t{o.latent_z:.2f}\t{moved}")
    write_text(path, "\n".join(lines) + "\n")


def depth_deviation(depths: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Robust z-score of each contig's log depth, root mean square over samples: [k, S] -> [k]."""
    logs = np.log(depths + _DEPTH_FLOOR)
    centre = np.stack([_weighted_median(column, lengths) for column in logs.T])
    spread = _MAD_TO_SD * np.median(np.abs(logs - centre), axis=0) + _LEAST_DEPTH_SPREAD
    return np.asarray(np.sqrt((((logs - centre) / spread) ** 2).mean(axis=1)), dtype=np.float64)


def latent_deviation(
    latent: NDArray[np.float32], lengths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Robust z-score of each contig's cosine distance from the centre: [k, d] -> [k]."""
    centre = lengths @ latent.astype(np.float64)
    distance = 1 - latent @ (centre / max(float(np.linalg.norm(centre)), 1e-12))
    middle = np.median(distance)
    spread = _MAD_TO_SD * np.median(np.abs(distance - middle)) + _LEAST_LATENT_SPREAD
    return np.asarray((distance - middle) / spread, dtype=np.float64)


def _weighted_median(values: NDArray[np.floating], weights: NDArray[np.int64]) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _better_without(
    rows: NDArray[np.int64], out: NDArray[np.int64], index: MarkerIndex, min_size: int
) -> NDArray[np.bool_]:
    """For each outlier, whether the bin scores higher without it and those taken out before.

    Two contigs with the two copies of a marker each contaminate the bin, but one of them belongs
    to it: one is taken out at a time, the one that gains most first.
    """
    whole, *alone = _worth(rows, [out[:0], *out[:, None]], index)
    gains = np.array(alone) - whole
    moved = np.zeros(len(out), dtype=np.bool_)
    for i in np.argsort(-gains, kind="stable")[: int((gains > 0).sum())].tolist():
        without = moved.copy()
        without[i] = True
        before, after = _worth(rows, [out[moved], out[without]], index)
        moved[i] = after > before and index.lengths[np.delete(rows, out[without])].sum() >= min_size
    return moved


def _worth(
    rows: NDArray[np.int64], taken: Sequence[NDArray[np.int64]], index: MarkerIndex
) -> NDArray[np.float64]:
    """Score of a bin without some of its contigs, for each choice of them; agreement stays."""
    parts = [np.delete(rows, some) for some in taken]
    sizes = np.array([index.lengths[part].sum() for part in parts], dtype=np.int64)
    return scores(estimate(index, parts), np.zeros(len(parts)), sizes)
