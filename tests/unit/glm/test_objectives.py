"""Losses and retrieval figures against loops and other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from llmbin_core.glm import objectives, retrieval


@pytest.mark.parametrize("temperature", [0.03, 0.5])
def test_contrastive_loss_by_loops(temperature: float) -> None:
    torch.manual_seed(0)
    vectors, labels = torch.randn(7, 5), torch.tensor([0, 0, 1, 1, 1, 2, 3])
    unit = [v / v.norm() for v in vectors.double()]
    terms = []
    for i in range(7):
        negatives = sum(
            math.exp(float(unit[i] @ unit[n]) / temperature)
            for n in range(7)
            if labels[n] != labels[i]
        )
        for p in range(7):
            if p != i and labels[p] == labels[i]:
                positive = math.exp(float(unit[i] @ unit[p]) / temperature)
                terms.append(-math.log(positive / (positive + negatives)))
    found = objectives.contrastive_loss(vectors, labels, temperature)
    assert float(found) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_contrastive_loss_has_a_gradient_in_edge_cases() -> None:
    for labels in ([0, 1, 2], [0, 0, 0]):
        vectors = torch.randn(3, 4, requires_grad=True)
        loss = objectives.contrastive_loss(vectors, torch.tensor(labels), 0.1)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(vectors.grad).all()


class Fixed:
    """A model with given scores."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores

    def logits(self, tokens: Tensor) -> Tensor:
        return self.scores


def test_next_and_masked_loss_by_hand() -> None:
    torch.manual_seed(0)
    scores = torch.randn(2, 6, 16)
    tokens = torch.randint(7, 11, (2, 6))
    targets = tokens.clone()
    targets[1, 4:] = objectives.IGNORED
    p = scores.log_softmax(-1)
    ahead = [-p[b, t, tokens[b, t + 1]] for b in (0, 1) for t in range(5) if targets[b, t + 1] > 0]
    found = objectives.next_loss(Fixed(scores), tokens, targets)
    assert float(found) == pytest.approx(float(sum(ahead)) / len(ahead), rel=1e-5)
    here = [-p[b, t, tokens[b, t]] for b in (0, 1) for t in range(6) if targets[b, t] > 0]
    found = objectives.masked_loss(Fixed(scores), tokens, targets)
    assert float(found) == pytest.approx(float(sum(here)) / len(here), rel=1e-5)


def test_masking_shares() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(7, 12, (100, 1000))
    bases = tokens < 11
    inputs, targets = objectives.mask_bases(tokens, bases, np.arange(7, 11), 3, 0.15, rng)
    chosen = targets != objectives.IGNORED
    assert not chosen[~bases].any()
    assert chosen[bases].mean() == pytest.approx(0.15, abs=0.01)
    np.testing.assert_array_equal(targets[chosen], tokens[chosen])
    np.testing.assert_array_equal(inputs[~chosen], tokens[~chosen])
    assert (inputs[chosen] == 3).mean() == pytest.approx(0.8, abs=0.02)
    # A tenth becomes a random base, a quarter of them the same one.
    kept = inputs[chosen] == tokens[chosen]
    assert kept.mean() == pytest.approx(0.1 + 0.1 / 4, abs=0.01)


def test_auc_as_in_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, 3, (40, 4)).astype(np.float32) + 1e-3
    labels = rng.integers(0, 5, 40)
    i, j = np.triu_indices(40, 1)
    scores = retrieval.cosine(vectors)[i, j]
    expected = roc_auc_score(labels[i] == labels[j], scores)
    assert retrieval.pair_auc(vectors, labels) == pytest.approx(expected, abs=1e-9)
    assert math.isnan(retrieval.pair_auc(vectors, np.zeros(40, dtype=np.int64)))


def test_nearest_neighbours() -> None:
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 0.05]], dtype=np.float32)
    assert retrieval.nearest_accuracy(vectors, np.array([0, 0, 1, 1, 2])) == pytest.approx(0.4)
