"""Length-weighted k-means that starts from marker seeds."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning


def seeded_kmeans(
    latent: NDArray[np.float32],
    lengths: NDArray[np.int64],
    seeds: NDArray[np.int64],
    random_seed: int = 0,
) -> NDArray[np.int32]:
    """One cluster per seed, its latent as the first centre.

    Parameters
    ----------
    latent : float32 [n, d]
    lengths : int64 [n]
        Weights (bp).
    seeds : int64 [s]
        Rows of the seed contigs, s >= 1.

    Returns
    -------
    int32 [n]
        Cluster 0..s-1 of each contig.
    """
    model = KMeans(
        n_clusters=len(seeds), init=latent[seeds], n_init=1, max_iter=100, random_state=random_seed
    )
    with warnings.catch_warnings():
        # Identical contigs among the seeds leave an empty cluster: nothing to act on.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = model.fit(latent, sample_weight=lengths).labels_
    return np.asarray(labels, dtype=np.int32)
