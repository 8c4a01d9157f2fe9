"""The figures of a report as numbers; the page draws them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbin_core.bintable import Bin
from llmbin_core.report.facts import Contigs
from llmbin_core.report.latentmap import latent_map

# More contigs than these, the longest, are not drawn: the eye sees no more and the page grows.
MOST_POINTS = 50_000
# Colours of the map; the page has as many.
N_COLOURS = 8
_STEPS = 65535


def bins_plot(bins: Sequence[Bin], classes: Sequence[str]) -> dict[str, Any]:
    """Columns of the bins as the page uses them."""
    return {
        "name": [one.name for one in bins],
        "class": [classes.index(one.quality) for one in bins],
        "bp": [one.bp for one in bins],
        "contigs": [one.contigs for one in bins],
        "gc": [one.gc for one in bins],
        "completeness": [one.completeness for one in bins],
        "contamination": [one.contamination for one in bins],
    }


def contigs_plot(contigs: Contigs, n_bins: int, seed: int) -> dict[str, Any]:
    """Points of the latent map and of depth against GC.

    Arrays travel as base64 of little-endian integers, coordinates as steps of their range.
    """
    rows = _longest(contigs.table.lengths)
    bin_of = contigs.bin_of[rows]
    plot: dict[str, Any] = {
        "shown": len(rows),
        "of": len(contigs.table),
        "names": "\n".join(contigs.table.names[row] for row in rows.tolist()),
        "length": _packed(contigs.table.lengths[rows], "<i4"),
        "bin": _packed(bin_of, "<i4"),
        "colour": [row % N_COLOURS for row in range(n_bins)],
        "map": None,
        "cover": None,
    }
    if contigs.latent is not None:
        points = latent_map(contigs.latent[rows], seed)
        plot["map"] = {"x": _coordinate(points[:, 0]), "y": _coordinate(points[:, 1])}
        plot["colour"] = _colours(points, bin_of, n_bins)
    if contigs.gc is not None and contigs.samples:
        depth = np.log10(np.maximum(contigs.depth[rows].mean(axis=1), 0.01))
        plot["cover"] = {"x": _coordinate(contigs.gc[rows]), "y": _coordinate(depth)}
    return plot


def _longest(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.argsort(-lengths, kind="stable")[:MOST_POINTS]
    return np.sort(rows)


def _coordinate(values: NDArray[np.floating]) -> dict[str, Any]:
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    steps = np.rint((values - low) / (high - low) * _STEPS)
    return {"min": round(low, 6), "max": round(high, 6), "steps": _packed(steps, "<u2")}


def _packed(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode("ascii")


def _colours(points: NDArray[np.float64], bin_of: NDArray[np.int64], n_bins: int) -> list[int]:
    """A colour per bin, so that bins of one colour lie far from each other on the map."""
    centres = np.full((n_bins, 2), np.nan)
    for row in range(n_bins):
        mine = points[bin_of == row]
        if len(mine):
            centres[row] = np.median(mine, axis=0)
    found: list[int] = []
    nearest = np.full((N_COLOURS, n_bins), np.inf)  # of a bin of the colour to each bin
    for row in range(n_bins):
        colour = int(np.argmax(nearest[:, row]))
        found.append(colour)
        away = np.nan_to_num(((centres - centres[row]) ** 2).sum(axis=1), nan=np.inf)
        nearest[colour] = np.minimum(nearest[colour], away)
    return found


def depths_plot(bins: Sequence[Bin], samples: Sequence[str]) -> dict[str, Any]:
    """Depth of bins in samples; rows in an order that puts like profiles side by side."""
    depths = np.array([[one.depths[s] for s in samples] for one in bins])
    depths = depths.reshape(len(bins), len(samples))
    return {
        "samples": list(samples),
        "rows": [[float(f"{d:.4g}") for d in row] for row in depths.tolist()],
        "order": _by_likeness(np.log10(depths + 0.1)),
    }


def _by_likeness(profiles: NDArray[np.float64]) -> list[int]:
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(profiles) < 3:
        return list(range(len(profiles)))
    tree = linkage(profiles, "average", optimal_ordering=len(profiles) <= 500)
    return [int(row) for row in leaves_list(tree)]
