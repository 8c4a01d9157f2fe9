"""Marker seeds: contigs that must lie in different bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmbin_core.contigs import ContigTable
from llmbin_core.markertable import MarkerHit

# A seed shows more than half of its marker, so that the two pieces of a cut gene are not two seeds.
_LEAST_COVERED = 0.5


def marker_seeds(hits: Sequence[MarkerHit], contigs: ContigTable) -> NDArray[np.int64]:
    """Contigs with the marker whose number of contigs is the median over all markers.

    Of markers with the same number the shortest profile counts, then the first name.

    Parameters
    ----------
    hits : sequence of MarkerHit
    contigs : ContigTable
        n contigs.

    Returns
    -------
    int64 [s]
        Sorted rows; empty without any marker.
    """
    row_of = {name: row for row, name in enumerate(contigs.names)}
    found: dict[tuple[int, str], set[int]] = {}
    for hit in hits:
        covered = hit.profile_to - hit.profile_from + 1
        if hit.contig in row_of and covered > _LEAST_COVERED * hit.profile_length:
            found.setdefault((hit.profile_length, hit.marker), set()).add(row_of[hit.contig])
    if not found:
        return np.empty(0, np.int64)
    ranked = sorted((len(rows), marker) for marker, rows in found.items())
    median = ranked[(len(ranked) - 1) // 2][0]
    marker = next(marker for count, marker in ranked if count == median)
    return np.array(sorted(found[marker]), dtype=np.int64)
