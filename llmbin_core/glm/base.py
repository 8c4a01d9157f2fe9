"""What an embedder is: block sums of one pass over the bases, then a cheap head per view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@runtime_checkable
class Embedder(Protocol):
    """Turns bases into vectors in two steps, so that overlapping views share the costly one.

    Attributes
    ----------
    name : str
        Name of the model (``compact``, ``tnf``, ...).
    dim : int
        Length D of an embedding.
    digest : str
        ``sha256:...`` of everything that decides the result; equal digests give equal embeddings.
    block : int
        Bases per block.
    context : int
        Bases to either side of a block that its sums may depend on; a longer sequence may be cut
        anywhere at a multiple of `block` when this many bases are kept around the cut. A model
        whose windows must not be moved has 0 and is never cut.
    cost : int
        Bytes of working memory per base, for choosing the size of batches.
    """

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def digest(self) -> str: ...

    @property
    def block(self) -> int: ...

    @property
    def context(self) -> int: ...

    @property
    def cost(self) -> int: ...

    def span_sums(
        self, sequences: Sequence[Codes], cuts: Sequence[NDArray[np.int64]]
    ) -> list[Floats]:
        """Sums of the per-position features over spans of blocks.

        Parameters
        ----------
        sequences : sequence of uint8 [L]
            Codes A, C, G, T = 0..3, others 4.
        cuts : sequence of int64 [s + 1]
            Ascending block numbers, from 0 to ceil(L / block) at the most; span i is the blocks
            cuts[i] up to but not including cuts[i + 1].

        Returns
        -------
        list of float32 [s, H]
        """
        ...

    def block_sums(self, sequences: Sequence[Codes]) -> list[Floats]:
        """Sums of the per-position features of each block.

        Parameters
        ----------
        sequences : sequence of uint8 [L]

        Returns
        -------
        list of float32 [ceil(L / block), H]
        """
        ...

    def head(self, pooled: Floats) -> Floats:
        """Embeddings of pooled block sums, float32 [m, H] -> [m, D]; zero rows stay zero."""
        ...


def every_block(sequences: Sequence[Codes], block: int) -> list[NDArray[np.int64]]:
    """Cuts that make each block a span of its own."""
    return [np.arange(-(-len(s) // block) + 1) for s in sequences]
