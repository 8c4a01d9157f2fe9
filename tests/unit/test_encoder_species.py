"""Losses that know species, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbin_core.encoder.loss import OTHER_SPECIES, SAME_SPECIES, info_nce, pair_loss


def weight_of(one: int, other: int) -> float:
    """The rule, in words: unknown 1, same species nothing, different species more."""
    if one < 0 or other < 0:
        return 1.0
    return SAME_SPECIES if one == other else OTHER_SPECIES


@settings(max_examples=20)
@given(st.lists(st.integers(-1, 2), min_size=2, max_size=6), st.integers(1, 20), st.integers(0, 9))
def test_loss_with_species_equals_the_definition(species: list[int], tile: int, seed: int) -> None:
    torch.manual_seed(seed)
    n, temperature = len(species), 0.3
    z = torch.randn(3 * n, 5, dtype=torch.float64).float().requires_grad_()
    unit = z / z.norm(dim=1, keepdim=True)
    terms = []
    for i in range(3 * n):
        similarity = unit @ unit[i] / temperature
        negatives = sum(
            (
                weight_of(species[i % n], species[j % n]) * similarity[j].exp()
                for j in range(3 * n)
                if j % n != i % n
            ),
            start=torch.zeros(()),
        )
        for p in (j for j in range(3 * n) if j % n == i % n and j != i):
            positive = similarity[p].exp()
            terms.append(-torch.log(positive / (positive + negatives)))
    expected = torch.stack(terms).mean()
    (wanted,) = torch.autograd.grad(expected, z, allow_unused=True)
    found = info_nce(z, 3, temperature, tile, torch.tensor(species))
    (gradient,) = torch.autograd.grad(found, z)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-5)


def test_pair_loss_equals_the_definition() -> None:
    torch.manual_seed(0)
    species = [0, 0, 1, -1]
    z = torch.randn(8, 3)
    unit = (z / z.norm(dim=1, keepdim=True)).numpy()
    must = np.mean([np.sum((unit[i] - unit[4 + i]) ** 2) for i in range(4)])

    def cannot(weights: bool) -> float:
        total = [
            max(0.0, 1 - float(np.linalg.norm(unit[i] - unit[4 + j]))) ** 2
            * (weight_of(species[i], species[j]) if weights else 1.0)
            for i in range(4)
            for j in range(4)
            if i != j
        ]  # fmt: skip
        return float(np.mean(total))

    assert cannot(True) != pytest.approx(cannot(False))
    assert pair_loss(z).item() == pytest.approx(must + cannot(False), rel=1e-5)
    labelled = pair_loss(z, torch.tensor(species))
    assert labelled.item() == pytest.approx(must + cannot(True), rel=1e-5)
