"""The map of contigs in latent space."""

from __future__ import annotations

import numpy as np
import pytest

from llmbin_core.report.latentmap import latent_map


def _islands(n: int, k: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    island = rng.integers(0, k, n)
    latent = rng.normal(size=(k, 32))[island] + rng.normal(scale=noise, size=(n, 32))
    return (latent / np.linalg.norm(latent, axis=1, keepdims=True)).astype(np.float32), island


def test_the_map_keeps_neighbours() -> None:
    """Judged by scikit-learn's trustworthiness; its t-SNE reaches .99 on the same points."""
    from sklearn.manifold import trustworthiness

    latent, island = _islands(1200, 12, noise=0.6)
    points = latent_map(latent, 0)
    assert trustworthiness(latent, points, n_neighbors=10) > 0.9
    centres = np.array([np.median(points[island == k], axis=0) for k in range(12)])
    nearest = ((points[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == island).mean() > 0.98


def test_the_map_is_the_same_every_time_and_another_with_another_seed() -> None:
    latent, _ = _islands(200, 4)
    assert np.array_equal(latent_map(latent, 1), latent_map(latent, 1))
    assert not np.array_equal(latent_map(latent, 1), latent_map(latent, 2))


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16])
def test_maps_of_few_contigs(n: int) -> None:
    points = latent_map(_islands(16, 2)[0][:n], 0)
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()


def test_equal_latents_do_not_break_the_map() -> None:
    assert np.isfinite(latent_map(np.ones((40, 8), np.float32), 0)).all()
